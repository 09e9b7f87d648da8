"""Exact arithmetic and traced numbers on real reports: `python benchmarks/analyst.py`.

The graph of `examples/analyst`, file and rules as they are, on the arithmetic questions of TAT-QA's development part,
which is read from `../shared/data` beside the repository and is not part of it. In the place of a model, the derivation
that the set gives is the expression, and the answer states its result; it cites the passages of the question's own
report that were found, and says that the reports do not say where none was. So what is measured is all but the model:
whether the calculator gets the set's answer, whether the search finds the report among all, and what the rules let
through.

A result is right if it is the set's answer to two decimals, as the set rounds, and a percentage where the set says so.
A derivation of a percentage is computed `in %`, unless it writes `%` itself. One that the calculator refuses comes back
once more without signs of money and with round brackets, as its errors ask of a model; nothing else is mended.
"""

from __future__ import annotations

import asyncio
import collections
import json
import math
import re
import shutil
from collections.abc import AsyncIterator, Mapping, Sequence
from decimal import ROUND_HALF_UP, Context, Decimal
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import PrivateAttr
from rich.console import Console
from rich.table import Table

from ragweave import Graph
from ragweave.orchestrator.contracts import ChatChunk, ChatModel, ChatRequest
from ragweave.orchestrator.errors import ToolError
from ragweave.retrievers.chunking import Chunks
from ragweave.retrievers.embedders.minilm import MiniLM
from ragweave.retrievers.indexes.indexing import build_index
from ragweave.tools.calculator import Calculator

ROOT = Path(__file__).resolve().parents[1]
DATA = ROOT.parent / "shared" / "data" / "tatqa"
BUILD = ROOT / "build" / "analyst"
EXAMPLE = ROOT / "examples" / "analyst"
RIGHT, MENDED = "the derivation gives the answer, with its scale", "the same, or does without money signs and [ ]"
OTHER = "it gives another result"
ABSTENTION = "The reports do not say."
console = Console(width=120)
Row = dict[str, Any]


class Derivation(ChatModel, type="tatqa_derivation"):
    """Says what TAT-QA says of the question in `row`."""

    _row: Row = PrivateAttr(default_factory=dict)

    def about(self, row: Row) -> None:
        """Take the next question."""
        self._row = row

    async def stream(self, request: ChatRequest) -> AsyncIterator[ChatChunk]:
        """The expression where no documents are given, else the answer with its citations."""
        if not request.documents:
            unit = "" if self._row["scale"] == "percent" else self._row["scale"]
            again = "could not compute" in "".join(message.text for message in request.messages)
            written = mended(expression(self._row)) if again else expression(self._row)
            yield ChatChunk(text=json.dumps({"expression": written, "unit": unit}))
            return
        source = f"{self._row['doc']}.md"
        marks = "".join(f"[{n}]" for n, one in enumerate(request.documents, 1) if one.source == source)
        result = re.search(r"The calculation: .* = (\S+)", request.messages[-1].text)
        yield ChatChunk(text=f"It is {result[1]} {marks}." if result and marks else ABSTENTION)


def expression(row: Row) -> str:
    """The derivation, as a share in per cent where the answer is one."""
    derivation = str(row["derivation"]).strip()
    return f"{derivation} in %" if row["scale"] == "percent" and "%" not in derivation else derivation


def mended(text: str) -> str:
    """An expression without signs of money, in round brackets."""
    return re.sub("[$£€]", "", text).translate(str.maketrans("[]", "()"))


def is_right(row: Row, value: str, unit: str) -> bool:
    """Whether a result is the set's answer, with its scale."""
    try:
        found, wanted = (
            Decimal(str(one)).quantize(Decimal("0.01"), ROUND_HALF_UP, Context(prec=99))
            for one in (value, row["answer"])
        )
    except ArithmeticError:
        return False
    return found == wanted and (unit == "%") == (row["scale"] == "percent")


def calculated(rows: Sequence[Row]) -> dict[str, list[Row]]:
    """The questions by what the calculator makes of their derivations."""
    found: dict[str, list[Row]] = {RIGHT: [], MENDED: []}
    for row in rows:
        outcome = ""
        for text, right in ((expression(row), RIGHT), (mended(expression(row)), MENDED)):
            try:
                result = Calculator().calculate(text)
            except ToolError as error:
                outcome = f"refused: {error.message.split(';')[0]}"
                continue
            outcome = right if is_right(row, result.value, result.unit) else OTHER
            break
        found.setdefault(outcome, []).append(row)
    return found


def write_reports(folder: Path) -> int:
    """Each context of the set as a file: its table, then its paragraphs in order; how many there are."""
    contexts: dict[str, list[Row]] = collections.defaultdict(list)
    for line in (DATA / "corpus.jsonl").read_text(encoding="utf-8").splitlines():
        item = json.loads(line)
        contexts[item["doc"]].append(item)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for name, items in contexts.items():
        parts = [markdown(one["table"]) for one in items if one["kind"] == "table"]
        parts += [one["text"] for one in sorted((i for i in items if i["kind"] != "table"), key=lambda i: i["order"])]
        (folder / f"{name}.md").write_text("\n\n".join(parts) + "\n", encoding="utf-8")
    return len(contexts)


def markdown(table: Sequence[Sequence[str]]) -> str:
    """A table as Markdown, its first row as the head."""
    rows = ["| " + " | ".join(cell.replace("|", "/").replace("\n", " ") for cell in row) + " |" for row in table]
    return "\n".join([rows[0], "|" + "---|" * len(table[0]), *rows[1:]])


async def answered(graph: Graph, rows: Sequence[Row]) -> tuple[collections.Counter[str], dict[int, int]]:
    """What the graph makes of each question, and for how many the report is among the first 1, 3 and 6 passages."""
    outcomes: collections.Counter[str] = collections.Counter()
    found = dict.fromkeys((1, 3, 6), 0)
    model = Derivation()
    graph.resources.put("models", "chat", model)
    for row in rows:
        model.about(row)
        run = await graph.arun(question=row["question"])
        known: Mapping[str, Any] = (await graph.areplay(run.run_id)).state
        sources = [one.source for one in known["documents"]]
        for first in found:
            found[first] += f"{row['doc']}.md" in sources[:first]
        if run["released_by"] == "nobody":
            outcomes[reason(known, f"{row['doc']}.md" in sources)] += 1
            continue
        result = known["tool_results"][0].content.split(" ")[0]
        right = is_right(row, result.rstrip("%"), "%" if result.endswith("%") else "")
        outcomes["released, right" if right else "released, another result than the set's"] += 1
    return outcomes, found


def reason(known: Mapping[str, Any], there: bool) -> str:
    """Why an answer was not released."""
    if any(one.error for one in known["tool_results"]):
        return "refused: the calculator refuses the derivation"
    return "refused: a number is in no cited passage" if there else "refused: its report was not found"


def share(part: int, whole: int) -> str:
    """A share with its 95% interval by Wilson's formula."""
    z, p = 1.96, part / whole
    middle, spread = p + z * z / (2 * whole), z * math.sqrt(p * (1 - p) / whole + z * z / (4 * whole * whole))
    low, high = ((middle + sign * spread) / (1 + z * z / whole) for sign in (-1, 1))
    return f"{part} of {whole}: {p:.1%} [{low:.1%}, {high:.1%}]"


async def measure(limit: int) -> None:
    """Print the tables."""
    questions = [json.loads(line) for line in (DATA / "queries.jsonl").read_text(encoding="utf-8").splitlines()]
    rows = [row for row in questions if row["answer_type"] == "arithmetic"]
    table = Table("the calculator alone", "arithmetic questions", "", title="TAT-QA, development part")
    outcomes = calculated(rows)
    for what, those in outcomes.items():
        shown = f"{those[0]['derivation'].strip()!r} for {those[0]['answer']} {those[0]['scale']}" if those else ""
        count = len(those) + (len(outcomes[RIGHT]) if what == MENDED else 0)
        table.add_row(what, share(count, len(rows)), "" if what in (RIGHT, MENDED) else f"such as {shown}")
    console.print(table)
    shutil.rmtree(BUILD, ignore_errors=True)
    shutil.copytree(EXAMPLE, BUILD, ignore=shutil.ignore_patterns(".ragweave", "__pycache__", ".env"))
    count = write_reports(BUILD / "reports")
    report = build_index(BUILD / "reports", BUILD / ".ragweave" / "reports", MiniLM(), chunks=Chunks("heading"))
    chosen = rows[:limit] if limit else rows
    async with Graph.load(BUILD / "analyst.yaml", plugins=[str(BUILD / "analyst_nodes.py")]) as graph:
        counted, found = await answered(graph, chosen)
    table = Table(
        "the graph of examples/analyst", f"over {count} contexts in {report.chunks} passages", title_justify="left"
    )
    for first, number in found.items():
        table.add_row(f"a passage of the question's report among the first {first}", share(number, len(chosen)))
    for what, number in counted.most_common():
        table.add_row(what, share(number, len(chosen)))
    console.print(table)


def main(limit: Annotated[int, typer.Option(help="Only so many questions go through the graph; 0: all.")] = 0) -> None:
    """Exact arithmetic and traced numbers on TAT-QA."""
    if not DATA.is_dir():
        console.print("left out: TAT-QA is not beside the repository")
        return
    asyncio.run(measure(limit))


if __name__ == "__main__":
    typer.run(main)
