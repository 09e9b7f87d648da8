"""A graph with an agent, and tools that note their calls."""

from __future__ import annotations

from pathlib import Path

from ragweave import Context
from ragweave.orchestrator.graph import Graph
from ragweave.orchestrator.stores.durable import DurableStore
from ragweave.orchestrator.stores.sqlite import SqliteDatabase
from ragweave.tools.function import tool

CALLED: list[str] = []

SHOP = """\
schema: ragweave/v1
name: shop
inputs: {question: str}
outputs: [answer]
models:
  chat:
    type: scripted
    replies:
      - {after: refund, text: "Paid back."}
      - {after: price, text: "It costs 19.90."}
      - when: Pay
        tool_calls: [{id: a, name: price, arguments: {order: 7}}, {id: b, name: refund, arguments: {order: 7}}]
      - {when: cost, tool_calls: [{id: a, name: price, arguments: {order: 3}}]}
      - {when: Hello, text: "Good day."}
prompts:
  clerk: {text: "## system\\nYou are a clerk.\\n\\n## user\\n{{ question }}", variables: {question: str}}
approval: [{allow: price}, {ask: refund}]
nodes:
  clerk: {type: agent, model: chat, prompt: clerk, tools: [price, refund], max_steps: 3}
edges: [start -> clerk -> end]
"""


def register() -> None:
    """The tools of the shop; to be called within `registry.scope()`."""
    CALLED.clear()

    @tool(effects="read")
    def price(order: int) -> str:
        """What an order cost."""
        CALLED.append(f"price {order}")
        return "19.90"

    @tool(effects="external")
    def refund(order: int, ctx: Context) -> str:
        """Pay an order back."""
        CALLED.append(f"refund {order} {ctx.key.partition(':')[2]}")
        return f"order {order} is paid back"


def write(folder: Path, text: str = SHOP, name: str = "shop.yaml") -> Path:
    """The graph as a file."""
    file = folder / name
    file.write_text(text, encoding="utf-8")
    return file


def load(file: Path) -> Graph:
    """The graph of a file, its runs in a file beside it."""
    return Graph.load(file, store=DurableStore(SqliteDatabase(file.parent / "runs.sqlite")))
