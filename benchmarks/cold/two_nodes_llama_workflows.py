"""A two-step LlamaIndex workflow in a fresh process."""

import asyncio

from workflows import Workflow, step
from workflows.events import Event, StartEvent, StopEvent


class Middle(Event):
    """Between the two steps."""

    n: int


class Two(Workflow):
    """Two nodes."""

    @step
    async def a(self, ev: StartEvent) -> Middle:
        """Add one."""
        return Middle(n=ev.n + 1)

    @step
    async def b(self, ev: Middle) -> StopEvent:
        """Add one."""
        return StopEvent(result=ev.n + 1)


async def main() -> int:
    """Two nodes."""
    return int(await Two().run(n=0))


print(asyncio.run(main()))
