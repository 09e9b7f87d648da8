"""Every error that ragweave raises, in one tree.

RagweaveError                 anything below; `hint` says the way out
├── GraphError                a graph file is wrong; `problems` lists every fault at once
├── PluginError               a plugin cannot be loaded, or registers a name that it may not
├── RunError                  a run failed or was cancelled; `run_id`, `path` and `status` say which and where
├── ThreadBusy                a run of this thread goes on, and the graph refuses a second one
├── JournalError              a stored run cannot be read
├── OutputError               a Result has no such output (a KeyError too)
└── NodeError                 raised by a node, a model, a tool: `transient` says whether a retry may help
    ├── InputError            what a node was given is not what it can work on
    ├── CallTimeout           a call took longer than its `timeout` (transient)
    ├── ConditionError        a `when` condition failed on this state
    ├── Denied                a person said no
    ├── BudgetExceeded        the next call does not fit into what a budget has left
    ├── Blocked               a guard let what goes into a model, a retriever or a tool, or comes out of it, not pass
    ├── ContractError         a model, an embedder, a retriever or a reranker gave what its kind does not give
    ├── ModelError            a model endpoint refused, failed or broke off
    │   └── EndpointUnusable  it refuses every call: a wrong key, an unknown model, a used-up quota
    ├── ToolError             a tool cannot do what it was asked; the message may be told to a model
    │   └── Lost              what was asked of another machine may have been done (a ConnectionError too)
    ├── IndexUnusable         a retrieval index is missing, stale, locked or of another model
    ├── ResourceError         a resource cannot be built: a setting, a file or an environment variable
    │   └── CircularResources resources that name one another in a circle
    └── MissingExtra          a package is not installed; says what to install
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, NamedTuple


class RagweaveError(Exception):
    """Anything that ragweave raises on purpose; `str()` is one readable message, `hint` the way out."""

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}; {self.hint}" if self.hint else self.message


class Fix(NamedTuple):
    """A replacement that repairs a problem without a doubt: `old` at line:column (1-based) becomes `new`."""

    line: int
    column: int
    old: str
    new: str


class Problem(NamedTuple):
    """One fault of a graph file. `line` and `column` are 1-based; 0 if the graph was built in Python."""

    code: str
    message: str
    file: str = ""
    line: int = 0
    column: int = 0
    severity: Literal["error", "warning"] = "error"
    fix: Fix | None = None

    @property
    def place(self) -> str:
        """`file:line:col`, or the file alone where there is no position."""
        return f"{self.file}:{self.line}:{self.column}" if self.line else self.file

    def __str__(self) -> str:
        return f"{self.place}  {self.code}  {self.message}"


class GraphError(RagweaveError):
    """A graph is wrong: every problem of it at once, in the order of the file."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        errors = [problem for problem in self.problems if problem.severity == "error"]
        file = self.problems[0].file if self.problems else "graph"
        count = f"{len(errors)} problem{'' if len(errors) == 1 else 's'}"
        super().__init__("\n".join([f"{file}: {count}", *(f"  {problem}" for problem in errors)]))


class PluginError(RagweaveError):
    """A plugin cannot be loaded, or registers a name that it may not."""


class JournalError(RagweaveError):
    """A stored run cannot be read or written: it is damaged, of another version, or not there; `transient` if the store
    was only out of reach."""

    def __init__(self, message: str, *, hint: str = "", transient: bool = False) -> None:
        super().__init__(message, hint=hint)
        self.transient = transient


class RunTaken(JournalError):
    """A run cannot be written by this worker: another one goes on with it, or has taken it over."""


class ThreadTaken(RunTaken):
    """Another run of the same thread goes on, `run_id`, in this process or another one."""

    def __init__(self, thread_id: str, run_id: str) -> None:
        super().__init__(f"thread {thread_id!r} is busy: run {run_id} goes on", hint="try again when it has ended")
        self.run_id = run_id


class OutputError(RagweaveError, KeyError):
    """A Result has no output of this name."""


class RunError(RagweaveError):
    """A run failed or was cancelled. `__cause__` is the error of the node at `path`.

    `partial` is the text that its calls had streamed and not taken back for another try, by call path, the oldest
    first: what a chat window shows of an answer that was broken off.
    """

    def __init__(
        self,
        message: str,
        *,
        run_id: str,
        path: str = "",
        status: Literal["failed", "cancelled"] = "failed",
        hint: str = "",
        partial: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message, hint=hint)
        self.run_id = run_id
        self.path = path
        self.status = status
        self.partial: Mapping[str, str] = partial or {}


class ThreadBusy(RagweaveError):
    """Another run of the thread goes on, `run_id`, and the graph was told to refuse a second one."""

    def __init__(self, thread_id: str, run_id: str) -> None:
        super().__init__(
            f"thread {thread_id!r} is busy: run {run_id} goes on",
            hint="try again when it has ended, or end it: await graph.cancel(run_id); "
            "with turns='queue' runs wait, with turns='interrupt' the newest takes over",
        )
        self.thread_id = thread_id
        self.run_id = run_id


class NodeError(RagweaveError):
    """What went wrong in a call. `transient` errors are retried; `retry_after` is in seconds."""

    transient: bool = False

    def __init__(
        self, message: str, *, hint: str = "", transient: bool | None = None, retry_after: float | None = None
    ) -> None:
        super().__init__(message, hint=hint)
        if transient is not None:
            self.transient = transient
        self.retry_after = retry_after


class InputError(NodeError):
    """What a node was given is not what it can work on."""


class CallTimeout(NodeError):
    """A call took longer than its `timeout`."""

    transient = True


class ConditionError(NodeError):
    """A `when` condition failed on the state that it met; it is never taken for "false"."""


class Denied(NodeError):
    """A person said no."""


class BudgetExceeded(NodeError):
    """The next call does not fit into what a budget has left; another try would not either.

    `scope` names the graph or the node that has the budget, `limit` its key, such as `max_tokens`.
    """

    def __init__(
        self, message: str, *, scope: str = "", limit: str = "", hint: str = "", frame: str = "", partial: bool = False
    ) -> None:
        super().__init__(message, hint=hint)
        self.scope = scope
        self.limit = limit
        self.frame = frame
        """The graph that ends with what it has, if the budget wants that: the path of its frame."""
        self.partial = partial
        """True if the budget keeps what there is by then: `on_exceed` names partial_answer."""


class Blocked(NodeError):
    """A guard did not let a text pass; another try would not either. The message says which check, and why, and holds
    nothing of the text: it may be told to a model."""

    def __init__(self, message: str, *, resource: str = "", side: str = "", reasons: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.resource = resource
        """Whose guard, such as `models.chat`."""
        self.side = side
        """`input` or `output`."""
        self.reasons = tuple(reasons)
        """Each with the name of its check before it."""


class ContractError(NodeError):
    """A resource gave something other than its kind promises: a fault of its class."""


class ModelError(NodeError):
    """A model endpoint refused, failed or broke off."""


class EndpointUnusable(ModelError):
    """A model endpoint refuses every call, whatever is asked: a wrong key, an unknown model, a used-up quota."""


class ToolError(NodeError):
    """A tool cannot do what it was asked. The message may be told to a model: it says what to change in the call, and
    holds no secret, no path of the machine outside what the tool serves, and nothing of other runs."""


class Lost(ToolError, ConnectionError):
    """Another machine was asked, and its answer did not come: nobody here knows whether it did what it was asked. Of a
    call with effects a person decides what now; of any other the model is told."""

    transient = True


class IndexUnusable(NodeError):
    """A retrieval index is missing, stale, locked or of another model."""


class ResourceError(NodeError):
    """A resource cannot be built: a setting, a file or an environment variable is missing."""


class CircularResources(ResourceError):
    """Resources name one another in a circle, so that none of them can be built first."""


class MissingExtra(NodeError):
    """A package is not installed."""

    def __init__(self, feature: str, package: str, extra: str) -> None:
        super().__init__(
            f"{feature} needs the package {package!r}, which is not installed",
            hint=f"pip install 'ragweave[{extra}]'",
        )


def unknown_run(run_id: str) -> JournalError:
    """The error of a run that a store does not know."""
    return JournalError(f"there is no run {run_id!r} in this store")


def is_transient(error: BaseException) -> bool:
    """True if a retry may help: an error of ours marked transient, a timeout, a lost connection."""
    if isinstance(error, (NodeError, JournalError)):
        return error.transient
    return isinstance(error, (TimeoutError, ConnectionError))


def a(word: object) -> str:
    """A word with its article: "an Answer", "a Document", "a Usage"."""
    text = str(word)
    return f"an {text}" if text[:1].lower() in ("a", "e", "i", "o") else f"a {text}"


def closest(name: str, candidates: Iterable[str]) -> str | None:
    """The candidate that `name` most likely meant, or None if none is near."""
    lowered = {candidate.lower(): candidate for candidate in candidates}
    if name.lower() in lowered:
        return lowered[name.lower()]
    from difflib import get_close_matches  # only what is misspelt needs it

    found = get_close_matches(name.lower(), lowered, n=1, cutoff=0.6)
    return lowered[found[0]] if found else None


def did_you_mean(name: str, candidates: Iterable[str]) -> str:
    """The end of a message: "; did you mean 'x'?", else the candidates, else nothing."""
    known = sorted(set(candidates))
    near = closest(name, known)
    if near is not None:
        return f"; did you mean {near!r}?"
    if not known:
        return ""
    shown = ", ".join(known[:12]) + (", …" if len(known) > 12 else "")
    return f"; there is: {shown}"
