"""Calls of a Runnable within a run: what it is told of the run, its text as it comes, the tokens that it uses."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator, Mapping
from typing import Any

from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.messages import AIMessage
from langchain_core.outputs import LLMResult
from langchain_core.runnables import Runnable, RunnableConfig
from langchain_core.runnables.config import ensure_config, merge_configs

from ragweave.orchestrator.context import Context
from ragweave.orchestrator.errors import ModelError, NodeError
from ragweave.orchestrator.interop import is_compiled
from ragweave.orchestrator.models.langchain import text_of_message, usage_of
from ragweave.orchestrator.values import Usage


class Counting(BaseCallbackHandler):
    """Hears of every call of a chat model, however deep inside, and counts its tokens toward the call of a node."""

    run_inline = True  # in the task of the call, so that it is counted before the call ends

    def __init__(self, ctx: Context) -> None:
        self._ctx = ctx

    def on_llm_end(self, response: LLMResult, **_: Any) -> None:
        """Count what a call has used."""
        usage = Usage(calls=1)
        for generations in response.generations[:1]:
            for one in generations[:1]:
                message = getattr(one, "message", None)
                usage = usage_of(message) if isinstance(message, AIMessage) else usage
        self._ctx.use(usage)

    def on_llm_error(self, error: BaseException, **_: Any) -> None:
        """Count a call that failed."""
        self._ctx.use(Usage(calls=1), answered=False)


def configured(ctx: Context) -> RunnableConfig:
    """The config of a call: of the Runnable around the run if there is one, with the run, whose it is and our count."""
    own: RunnableConfig = {
        "callbacks": [Counting(ctx)],
        "run_name": ctx.node or None,  # type: ignore[typeddict-item]
        "metadata": {"ragweave_run_id": ctx.run_id, "ragweave_path": ctx.path},
    }
    known = {"thread_id": ctx.thread_id, "user": ctx.user, "tenant": ctx.tenant}
    if any(known.values()):
        own["configurable"] = {name: value for name, value in known.items() if value}
    return merge_configs(ensure_config(), own)


async def called(runnable: Runnable[Any, Any], given: Any, ctx: Context, *, emits: bool) -> Any:
    """What a Runnable gives. Where it `emits`, it is text or a message, which is streamed as it comes.

    Raises what the Runnable raises; an answer of a server that may be another next time (429, 503, …) is a transient
    ModelError.
    """
    config = configured(ctx)
    try:
        if not emits:
            return await runnable.ainvoke(given, config)
        if is_compiled(runnable):
            return await _agent(runnable, given, config, ctx)
        return await _text(runnable, given, config, ctx)
    except NodeError:
        raise
    except Exception as error:
        status = getattr(error, "status_code", None)
        if isinstance(status, int) and (status in (408, 409, 429) or 500 <= status < 600):
            raise ModelError(f"{runnable.get_name()!r}: {type(error).__name__}: {error}", transient=True) from error
        raise


async def _text(runnable: Runnable[Any, Any], given: Any, config: RunnableConfig, ctx: Context) -> Any:
    whole: Any = None
    chunks: AsyncGenerator[Any, None] = runnable.astream(given, config)  # type: ignore[assignment]
    async with contextlib.aclosing(chunks):
        async for chunk in chunks:
            whole = chunk if whole is None else whole + chunk
            await ctx.emit(chunk if isinstance(chunk, str) else text_of_message(chunk))
    return whole


async def _agent(agent: Any, given: Any, config: RunnableConfig, ctx: Context) -> Any:
    """The last state of an agent. What its model says on the way to a tool is withdrawn when it speaks anew."""
    outer = str(config.get("configurable", {}).get("checkpoint_ns") or "")  # of an agent that runs this graph
    depth = outer.count("|") + 1 if outer else 0
    state: Mapping[str, Any] = {}
    speaking: str | None = None
    chunks = agent.astream(given, config, stream_mode=["messages", "values"])
    async with contextlib.aclosing(chunks):
        async for mode, data in chunks:
            if mode == "values":
                state = data
                continue
            message, about = data
            text = text_of_message(message) if isinstance(message, AIMessage) else ""
            if not text or about.get("langgraph_checkpoint_ns", "").count("|") > depth:  # of an agent inside this one
                continue
            if speaking not in (None, message.id):
                await ctx.withdraw("the agent goes on")
            speaking = message.id
            await ctx.emit(text)
    if "__interrupt__" in state:
        asked = ", ".join(str(getattr(one, "value", one)) for one in state["__interrupt__"])
        raise NodeError(
            f"the agent {agent.get_name()!r} waits for a person: {asked}",
            hint="its interrupts are not passed on; give the node `interrupt`, or ask in a node of its own",
        )
    return state
