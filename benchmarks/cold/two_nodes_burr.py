"""A two-action Burr application in a fresh process."""

import asyncio

from burr.core import ApplicationBuilder, State, action


@action(reads=["n"], writes=["n"])
async def inc(state: State) -> State:
    """Add one."""
    return state.update(n=state["n"] + 1)


async def main() -> int:
    """Two nodes."""
    app = (
        ApplicationBuilder()
        .with_actions(a=inc, b=inc)
        .with_transitions(("a", "b"))
        .with_state(n=0)
        .with_entrypoint("a")
        .build()
    )
    _, _, state = await app.arun(halt_after=["b"])
    return int(state["n"])


print(asyncio.run(main()))
