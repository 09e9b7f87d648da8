"""Checks around the calls of a resource: what goes into it, and what comes out of it, whoever calls."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

from ragweave.orchestrator.context import Context, asking
from ragweave.orchestrator.errors import Blocked, ResourceError
from ragweave.orchestrator.guardrails.check import Check, Subject
from ragweave.orchestrator.guardrails.screening import STRENGTH, screen
from ragweave.orchestrator.result import plain
from ragweave.orchestrator.running.events import Event
from ragweave.orchestrator.values import Document, Verdict

if TYPE_CHECKING:
    from ragweave.orchestrator.contracts import Guarded
    from ragweave.orchestrator.guardrails.speech import Speech
    from ragweave.orchestrator.resources import Resources

_UNCHECKED = "it could not be checked"


class Guards:
    """The checks of one resource, by side: those of its `input` and those of its `output`."""

    def __init__(self, name: str, checks: Mapping[str, Mapping[str, Check]]) -> None:
        self.name = name
        """How the graph calls the resource, such as `models.chat`."""
        self.input = checks.get("input", {})
        self.output = checks.get("output", {})

    def speech(self, ctx: Context | None) -> Speech:
        """For one call of a model. Without `ctx`, the call that asks is the one that last looked a resource up."""
        from ragweave.orchestrator.guardrails.speech import Speech  # of models only

        return Speech(self, ctx)

    async def query(self, query: str) -> str:
        """A query as the retriever may read it. Raises Blocked."""
        texts = Texts(self.input, Subject(query))
        checked = await texts.text(query)
        self.settle("input", texts.verdict(), None)
        return checked

    async def documents(self, documents: Sequence[Document], query: str) -> list[Document]:
        """The passages that may go on; those that are blocked are left out, which is told."""
        kept: list[Document] = []
        verdicts: list[Verdict] = []
        texts = Texts(self.output, Subject(query))
        for document in documents:
            texts = Texts(self.output, Subject(query), texts.hidden)
            changed = {"title": await texts.text(document.title), "text": await texts.text(document.text)}
            verdict = texts.verdict()
            verdicts.append(
                verdict.model_copy(update={"reasons": tuple(f"{document.id}: {why}" for why in verdict.reasons)})
            )
            if verdict.passed:
                same = (document.title, document.text) == (changed["title"], changed["text"])
                kept.append(document if same else document.model_copy(update=changed))
        self.tell("output", joined(verdicts), None, left_out=len(documents) - len(kept))
        return kept

    async def arguments(self, arguments: Mapping[str, Any], ctx: Context | None) -> Mapping[str, Any]:
        """The arguments of a call as the tool may read them. Raises Blocked, which a model is told."""
        texts = Texts(self.input, Subject())
        checked = await texts.value(arguments)
        self.settle("input", texts.verdict(), ctx)
        return cast("Mapping[str, Any]", checked)

    async def result(self, result: Any, ctx: Context | None) -> Any:
        """What a tool gave as a model may read it. Raises Blocked: the call was made, and its result is withheld."""
        texts = Texts(self.output, Subject())
        checked = await texts.value(plain(result))
        self.settle("output", texts.verdict(), ctx, "the call was made, but what it gave is withheld")
        return checked

    def settle(self, side: str, verdict: Verdict, ctx: Context | None, what: str = "") -> None:
        """Tell what was found, if anything was. Raises Blocked for what may not pass."""
        self.tell(side, verdict, ctx)
        if verdict.passed:
            return
        checks = self.input if side == "input" else self.output
        reasons = [why for why in verdict.reasons if _blocks(checks, why)] or list(verdict.reasons)
        raise Blocked(
            f"{self.name}: {what or f'its {side} was blocked'}: {'; '.join(reasons)}",
            resource=self.name,
            side=side,
            reasons=reasons,
        )

    def tell(self, side: str, verdict: Verdict, ctx: Context | None, *, left_out: int | None = None) -> None:
        """Journal a verdict, and show it to whoever listens; nothing where nothing was found."""
        ctx = ctx if ctx is not None else asking()
        if verdict.action == "allow" or ctx is None or ctx.run is None:
            return
        data: dict[str, Any] = {"resource": self.name, "side": side, "action": verdict.action}
        data |= {"reasons": list(verdict.reasons)} | ({"left_out": left_out} if left_out else {})
        kind = "guarded" if verdict.passed or left_out is not None else "blocked"
        ctx.run.journal(Event(kind, ctx.frame, ctx.node, ctx.visit, data, ctx.item, ctx.member))


class Texts:
    """Several texts that go one way together: one value has one tag in all of them, and there is one verdict."""

    def __init__(self, checks: Mapping[str, Check], subject: Subject, hidden: Mapping[str, str] | None = None) -> None:
        self.hidden: Mapping[str, str] = hidden or {}
        """What stands for each tag that may be shown again."""
        self._checks = checks
        self._subject = subject
        self._done: dict[str, str] = {}
        self._verdicts: list[Verdict] = []

    async def text(self, text: str) -> str:
        """One text, as it may go on."""
        if not text or not self._checks:
            return text
        if text not in self._done:
            screened = await screen(self._checks, text, self._subject, self.hidden)
            self.hidden, self._done[text] = screened.hidden, screened.text
            self._verdicts.append(screened.verdict)
        return self._done[text]

    async def value(self, value: Any) -> Any:
        """A value of JSON with all texts in it, the keys of its maps too."""
        if isinstance(value, str):
            return await self.text(value)
        if isinstance(value, Mapping):
            return {await self.text(key): await self.value(item) for key, item in value.items()}
        if isinstance(value, (list, tuple)):
            return [await self.value(item) for item in value]
        return value

    def verdict(self) -> Verdict:
        """Over all of them."""
        return joined(self._verdicts)


def joined(verdicts: Sequence[Verdict]) -> Verdict:
    """One verdict of several: the strongest action, and all reasons; passed if what goes on may go on."""
    action = max((one.action for one in verdicts), key=STRENGTH.index, default="allow")
    reasons = tuple(dict.fromkeys(why for one in verdicts for why in one.reasons))
    return Verdict(passed=all(one.passed for one in verdicts), action=action, reasons=reasons)


def opened(resource: Guarded, resources: Resources) -> None:
    """Open the checks of a resource. Raises ResourceError, also for one that would ask a person: a call cannot wait."""
    checks: dict[str, dict[str, Check]] = {}
    for side, names in resource.guard.items():
        checks[side] = {name: resources.get("checks", name) for name in names}
        for name, check in checks[side].items():
            if check.action == "ask":
                raise ResourceError(f"guard.{side}: {cannot_ask(name)}")
    resource._guards = Guards(resource._declared_as or resource.type_name or type(resource).__name__, checks)


def cannot_ask(name: str) -> str:
    """Why a check that asks a person is none for a guard."""
    return (
        f"the check {name!r} asks a person, and a call cannot wait for one; "
        f"let it block or flag here, or put it into a guardrail node"
    )


def guards_of(resource: Any) -> Guards | None:
    """The checks around this resource; None if it has none. Those of one that no graph has opened are opened now."""
    if not getattr(resource, "guard", None):
        return None
    if resource._guards is None:
        from ragweave.orchestrator.resources import Resources  # only where a resource is used without a graph

        opened(resource, Resources())
    return cast("Guards", resource._guards)


def _blocks(checks: Mapping[str, Check], reason: str) -> bool:
    name, _, said = reason.partition(": ")
    return said.startswith(_UNCHECKED) or (name in checks and checks[name].action == "block")
