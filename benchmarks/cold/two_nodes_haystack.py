"""A two-component Haystack pipeline in a fresh process."""

import asyncio

from haystack import Pipeline, component


@component
class Inc:
    """Add one."""

    @component.output_types(n=int)
    def run(self, n: int) -> dict[str, int]:
        """Add one."""
        return {"n": n + 1}

    @component.output_types(n=int)
    async def run_async(self, n: int) -> dict[str, int]:
        """Add one."""
        return {"n": n + 1}


pipeline = Pipeline()
pipeline.add_component("a", Inc())
pipeline.add_component("b", Inc())
pipeline.connect("a.n", "b.n")
print(asyncio.run(pipeline.run_async({"a": {"n": 0}}))["b"]["n"])
