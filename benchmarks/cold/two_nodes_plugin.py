"""The node type of `two_nodes.yaml`."""

from typing import TypedDict

from ragweave import node


class N(TypedDict):
    """A counter."""

    n: int


@node
async def two_nodes_inc(n: int) -> N:
    """Add one."""
    return {"n": n + 1}
