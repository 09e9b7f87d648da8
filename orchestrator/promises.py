"""What the methods of a resource promise: looked at when its class is defined, and held against what a call gives."""

from __future__ import annotations

import functools
import inspect
import math
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ragweave.orchestrator.errors import ContractError, PluginError
from ragweave.orchestrator.values import Document

if TYPE_CHECKING:
    from ragweave.orchestrator.contracts import Resource
    from ragweave.orchestrator.guardrails.guards import Guards

Method = Callable[..., Any]


def keep(cls: type[Resource]) -> None:
    """Make the methods of a class keep what its kind promises. Raises PluginError for those that never can."""
    for name, promise in PROMISES.get(cls.kind, {}).items():
        method = vars(cls).get(name)
        if inspect.isfunction(method) and not getattr(method, "__isabstractmethod__", False):
            setattr(cls, name, functools.wraps(method)(promise(f"{cls.__name__}.{name}", method)))


def refuse_incomplete(cls: type[Resource]) -> None:
    """Raise PluginError for a type that lacks a method of its kind."""
    missing = sorted(getattr(cls, "__abstractmethods__", ()))
    if missing:
        raise PluginError(
            f"{cls.__name__} is registered as {cls.type_name!r}, but has no {', '.join(missing)}, "
            f"which all {cls.kind} have"
        )


def _searching(shown: str, method: Method) -> Method:
    _refuse_unless_async(shown, method)

    async def search(self: Any, query: str, top_k: int, *args: Any, **keywords: Any) -> list[Document]:
        guards = _guards(self, "search", search)
        query = query if guards is None else await guards.query(query)
        found = await _awaited(self, shown, method(self, query, top_k, *args, **keywords))
        if not isinstance(found, (list, tuple)):
            raise _broken(self, shown, _a(found), "a list of Document")
        for place, one in enumerate(found):
            if not isinstance(one, Document):
                raise _broken(self, shown, f"{_a(one)} as item {place}", "a list of Document")
        return list(found) if guards is None else await guards.documents(found, query)

    return search


def _scoring(shown: str, method: Method) -> Method:
    _refuse_unless_async(shown, method)

    async def score(
        self: Any, question: str, documents: Sequence[Document], *args: Any, **keywords: Any
    ) -> list[float]:
        given = await _awaited(self, shown, method(self, question, documents, *args, **keywords))
        wanted = f"a list of {len(documents)} numbers, one for each document"
        try:
            scores = [float(one) for one in given]
        except (TypeError, ValueError):
            raise _broken(self, shown, _a(given), wanted) from None
        if len(scores) != len(documents):
            raise _broken(self, shown, f"{len(scores)} scores", wanted)
        unknown = [at for at, one in enumerate(scores) if math.isnan(one)]
        if unknown:
            raise _broken(self, shown, f"nan as score {unknown[0]}", wanted)
        return scores

    return score


def _embedding(shown: str, method: Method) -> Method:
    if inspect.iscoroutinefunction(method) or inspect.isasyncgenfunction(method):
        raise PluginError(f"{shown} is async, but is called from worker threads", hint="write `def`")

    def embed(self: Any, texts: Sequence[str], *args: Any, **keywords: Any) -> Any:
        vectors = method(self, texts, *args, **keywords)
        size = (len(texts), self.dimension)
        wanted = f"float32 of shape {size}: a row for each text, as long as `dimension` says"
        shape, kind = getattr(vectors, "shape", None), getattr(getattr(vectors, "dtype", None), "kind", "")
        if shape is None:
            raise _broken(self, shown, _a(vectors), f"a numpy array, {wanted}")
        if tuple(shape) != size:
            raise _broken(self, shown, f"an array of shape {tuple(shape)}", wanted)
        if kind != "f":
            raise _broken(self, shown, f"an array of {getattr(vectors, 'dtype', 'no type')}", wanted)
        return vectors.astype("float32", copy=False)

    return embed


def _streaming(shown: str, method: Method) -> Method:
    if inspect.iscoroutinefunction(method):
        hint = "yield each ChatChunk, or write a plain `def` that returns an async iterator"
        raise PluginError(f"{shown} is an `async def` without `yield`: it gives one result, not a stream", hint=hint)
    if inspect.isgeneratorfunction(method):
        raise PluginError(f"{shown} yields, but is not async", hint="write `async def`")

    def unguarded(self: Any, request: Any, *args: Any, **keywords: Any) -> AsyncIterator[Any]:
        chunks = method(self, request, *args, **keywords)
        if not hasattr(type(chunks), "__aiter__"):
            if inspect.iscoroutine(chunks):
                chunks.close()
            wanted = "an async iterator of ChatChunk (`async def stream` with `yield`)"
            raise _broken(self, shown, _a(chunks), wanted)
        return _Chunks(chunks, self, shown)

    def stream(self: Any, request: Any, *args: Any, **keywords: Any) -> AsyncIterator[Any]:
        guards = _guards(self, "stream", stream)
        if guards is None:
            return unguarded(self, request, *args, **keywords)
        return guards.speech(None).stream(functools.partial(unguarded, self), request)

    stream.unguarded = unguarded  # type: ignore[attr-defined]
    return stream


def _calling(shown: str, method: Method) -> Method:
    _refuse_unless_async(shown, method)

    async def call(self: Any, name: str, arguments: Any, ctx: Any, *args: Any, **keywords: Any) -> Any:
        guards = _guards(self, "call", call)
        if guards is None:
            return await _awaited(self, shown, method(self, name, arguments, ctx, *args, **keywords))
        arguments = await guards.arguments(arguments, ctx)
        return await guards.result(
            await _awaited(self, shown, method(self, name, arguments, ctx, *args, **keywords)), ctx
        )

    return call


def _finding(shown: str, method: Method) -> Method:
    _refuse_unless_async(shown, method)

    async def find(self: Any, text: str, *args: Any, **keywords: Any) -> list[Any]:
        found = await _awaited(self, shown, method(self, text, *args, **keywords))
        if not isinstance(found, (list, tuple)):
            raise _broken(self, shown, _a(found), "a list of Finding")
        from ragweave.orchestrator.guardrails.check import Finding  # a module that imports this one

        reached = 0
        for place, one in enumerate(found):
            if not isinstance(one, Finding):
                raise _broken(self, shown, f"{_a(one)} as item {place}", "a list of Finding")
            if not reached <= one.begin <= one.end <= len(text):
                wanted = f"places in the order of the text, within its {len(text)} characters and apart from each other"
                raise _broken(self, shown, f"{one.begin} to {one.end} as item {place}", wanted)
            reached = one.end
        return list(found)

    return find


class _Chunks:
    """The pieces of a reply, each of which is one."""

    __slots__ = ("_chunks", "_model", "_next", "_shown", "_wanted")

    def __init__(self, chunks: Any, model: Any, shown: str) -> None:
        from ragweave.orchestrator.contracts import ChatChunk  # the module that imports this one

        self._chunks = chunks
        self._next = chunks.__aiter__().__anext__
        self._model = model
        self._shown = shown
        self._wanted = ChatChunk

    def __aiter__(self) -> _Chunks:
        return self

    async def __anext__(self) -> Any:
        chunk = await self._next()
        if not isinstance(chunk, self._wanted):
            hint = "ChatChunk(text=…)" if isinstance(chunk, str) else "ChatChunk"
            raise _broken(self._model, self._shown, _a(chunk), hint, did="yielded")
        return chunk

    async def aclose(self) -> None:
        close = getattr(self._chunks, "aclose", None)
        if close is not None:
            await close()


def _guards(resource: Any, name: str, method: Method) -> Guards | None:
    """The checks around a call; none where a subclass has a method in the place of this one, which has them."""
    if not getattr(resource, "guard", None) or getattr(type(resource), name, None) is not method:
        return None
    from ragweave.orchestrator.guardrails.guards import guards_of  # for those who have guards

    return guards_of(resource)


def _refuse_unless_async(shown: str, method: Method) -> None:
    """A plain function may still return something to await, if it says so or is the wrapper of one that does."""
    returned = str(getattr(method, "__annotations__", {}).get("return", ""))
    awaitable = returned.rpartition("typing.")[2].startswith(("Awaitable", "Coroutine"))
    if not (inspect.iscoroutinefunction(inspect.unwrap(method)) or inspect.iscoroutinefunction(method) or awaitable):
        raise PluginError(f"{shown} is a plain `def`, but is awaited", hint=_ASYNC.format(shown.rpartition(".")[2]))


_ASYNC = "write `async def {}`, and call what blocks by `await asyncio.to_thread(…)`"


async def _awaited(resource: Any, shown: str, result: Any) -> Any:
    if not inspect.isawaitable(result):
        raise _broken(resource, shown, _a(result), f"something to await: write `async def {shown.rpartition('.')[2]}`")
    return await result


def _broken(resource: Any, shown: str, came: str, wanted: str, *, did: str = "returned") -> ContractError:
    declared = getattr(resource, "_declared_as", "")
    return ContractError(f"{f'{declared}: ' if declared else ''}{shown} {did} {came}; wanted is {wanted}")


def _a(thing: Any) -> str:
    """A thing as a short phrase: what it is, and its value where that is short."""
    if thing is None:
        return "None"
    text = repr(thing)
    return f"{type(thing).__name__} {text}" if len(text) <= 60 and not text.startswith("<") else type(thing).__name__


PROMISES: Mapping[str, Mapping[str, Callable[[str, Method], Method]]] = {
    "models": {"stream": _streaming},
    "embedders": {"embed": _embedding, "embed_queries": _embedding},
    "retrievers": {"search": _searching},
    "rerankers": {"score": _scoring},
    "tools": {"call": _calling},
    "checks": {"find": _finding},
}
"""By kind, the methods that promise something, and what makes each of them keep it."""
