"""A two-step pydantic-graph graph in a fresh process."""

import asyncio

from pydantic_graph import GraphBuilder, StepContext


async def inc(ctx: StepContext[None, None, int]) -> int:
    """Add one."""
    return ctx.inputs + 1


builder = GraphBuilder(input_type=int, output_type=int)
a, b = (builder.step(inc, node_id=name) for name in "ab")
builder.add(
    builder.edge_from(builder.start_node).to(a),
    builder.edge_from(a).to(b),
    builder.edge_from(b).to(builder.end_node),
)
print(asyncio.run(builder.build().run(inputs=0)))
