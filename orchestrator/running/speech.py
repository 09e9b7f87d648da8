"""What a chat window shows of a run: its answer as it comes, and how the run ended, as plain data."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from ragweave.orchestrator.errors import RagweaveError, RunError
from ragweave.orchestrator.running.events import Event
from ragweave.orchestrator.running.run import inside
from ragweave.orchestrator.values import Citation

if TYPE_CHECKING:
    from ragweave.orchestrator.graph import Graph, Result


class Piece(NamedTuple):
    """Something for a chat window. The kind says what to do with the text:

    token      add it to what is shown
    reset      clear what is shown: it is said anew
    answer     show it instead of all before, with its `sources`; the run is done
    ask        show it: the run waits until `graph.aresume(run_id, answers={path: …})`
    cancelled  the run was ended by its caller or by a newer one of its thread; the text says so
    error      the run failed, or did not begin; the text says why, and names what is wrong in the graph
    """

    kind: Literal["token", "reset", "answer", "ask", "cancelled", "error"]
    text: str = ""
    sources: tuple[Citation, ...] = ()
    run_id: str = ""
    """With the kinds that end a run, unless it did not begin."""
    path: str = ""
    """With `ask`, what the answer is to be given for."""

    def data(self) -> dict[str, Any]:
        """The fields that its kind has, as JSON data; of a source its number, title, source, line and quote."""
        data: dict[str, Any] = {"kind": self.kind}
        if self.kind != "reset":
            data["text"] = self.text
        if self.kind == "answer":
            data["sources"] = [one.model_dump(exclude={"document"}) for one in self.sources]
        if self.run_id:
            data["run_id"] = self.run_id
        if self.path:
            data["path"] = self.path
        return data

    def json(self) -> str:
        """`data()` as one line of JSON."""
        return json.dumps(self.data())

    def sse(self) -> str:
        """The piece as a server-sent event, named after its kind, with `json()` as its data."""
        return f"event: {self.kind}\ndata: {self.json()}\n\n"


class Speech:
    """Finds in the events of one run what is part of its answer: no drafts, no notes to itself."""

    __slots__ = ("_nodes", "_path")

    def __init__(self, graph: Graph) -> None:
        outputs = set(graph.plan.spec.outputs)
        self._nodes = {name for name, node in graph.checked.nodes.items() if node.written.keys() & outputs}
        self._path = ""
        """Of the call whose text is shown; empty if none is."""

    def heard(self, event: Event) -> Sequence[Piece]:
        """What an event changes in the window: nothing, a token, a reset, or both where another call speaks now."""
        if event.kind == "token" and (event.frame.partition("#")[0] or event.node) in self._nodes:
            before, self._path = self._path, event.path
            token = Piece("token", event.text)
            return (token,) if before in ("", self._path) else (Piece("reset"), token)
        if event.kind == "reset" and inside(self._path, event.path):
            self._path = ""
            return (Piece("reset"),)
        return ()


async def pieces(graph: Graph, stream: Callable[[], AsyncGenerator[Event, None]]) -> AsyncGenerator[Piece, None]:
    """A run for a chat window. Leaving early ends the run."""
    speech = Speech(graph)
    try:
        async with aclosing(stream()) as events:
            async for event in events:
                if event.kind in ("run_done", "run_parked"):
                    for piece in _outcome(event.data["result"]):
                        yield piece
                for piece in speech.heard(event):
                    yield piece
    except RunError as error:
        yield Piece("cancelled" if error.status == "cancelled" else "error", str(error), run_id=error.run_id)
    except RagweaveError as error:
        yield Piece("error", str(error))


def _outcome(result: Result) -> Iterator[Piece]:
    if result.status == "done":
        yield Piece("answer", result.text, result.sources, result.run_id)
    for path, ask in result.asks.items():
        yield Piece("ask", ask.question, run_id=result.run_id, path=path)
