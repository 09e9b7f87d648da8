"""What the question needs of the documents: within the budget, in unbroken parts that stand where they say."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ragweave.orchestrator.context import Context
from ragweave.orchestrator.contracts import Embedder
from ragweave.orchestrator.graph import Graph
from ragweave.orchestrator.nodes.compress import ABOUT, Compress, compress
from ragweave.orchestrator.resources import Resources
from ragweave.orchestrator.texts.tokens import estimate_tokens
from ragweave.orchestrator.values import Document
from ragweave.prompts.marks import Mark
from ragweave.prompts.quotes import citations

RECIPES = Path(__file__).parents[2] / "examples" / "cookbook" / "recipes"
NAMES = ("kvass.md", "pho-soup.md", "garam-masala.md", "gnocchi.md")


def recipes(*names: str) -> tuple[list[Document], dict[str, str]]:
    """Documents that start in the middle of their sources, with the sources."""
    sources, found = {}, []
    for name in names:
        source = (RECIPES / name).read_text(encoding="utf-8")
        begin = source.index("\n", 10) + 1
        sources[name] = source
        line = source.count("\n", 0, begin) + 1
        text = source[begin:]
        title = name.removesuffix(".md").replace("-", " ").capitalize()
        found.append(
            Document(
                id=f"{name}:1",
                text=text,
                title=title,
                source=name,
                offsets=(begin, len(source)),
                line=line,
                metadata={"tags": ["x"]},
                score=0.5,
            )
        )
    return found, sources


def size(documents: list[Document]) -> int:
    return sum(ABOUT + estimate_tokens(document.title) + estimate_tokens(document.text) for document in documents)


async def kept(question: str, documents: list[Document], **settings: object) -> list[Document]:
    return (await Compress(**settings)(question=question, documents=documents, ctx=Context()))["documents"]


async def test_documents_that_fit_stay_as_they_are() -> None:
    documents, _ = recipes(*NAMES)
    assert await kept("How long does kvass ferment?", documents, max_tokens=size(documents)) == documents
    assert await kept("How long does kvass ferment?", []) == []


@pytest.mark.parametrize(
    ("question", "said"),
    [
        ("How long does kvass ferment?", "ferment for a week"),
        ("Are star anise and mace added to garam masala?", "normally not added"),
    ],
)
async def test_the_answer_is_kept_and_most_of_the_rest_is_not(question: str, said: str) -> None:
    documents, _ = recipes(*NAMES)
    parts = await kept(question, documents, max_tokens=200)
    assert size(parts) <= 200
    assert any(said in part.text for part in parts)


@settings(deadline=None, max_examples=30)
@given(
    st.sampled_from(["How long?", "How much salt and flour?", "what", "", "Which spices go into the broth, and when?"]),
    st.integers(1, 1500),
    st.lists(st.sampled_from(NAMES), min_size=1, max_size=4, unique=True),
)
def test_every_part_stands_where_it_says(question: str, budget: int, names: list[str]) -> None:
    documents, sources = recipes(*names)
    parts = compress(question, documents, budget, estimate_tokens)
    assert parts
    assert size(parts) <= budget or len(parts) == 1
    before = (0, 0)
    for part in parts:
        assert part.offsets is not None
        source = sources[part.source]
        assert source[slice(*part.offsets)] == part.text
        assert part.line == source.count("\n", 0, part.offsets[0]) + 1
        whole = next(document for document in documents if document.id == part.id)
        assert (part.metadata, part.score) == (whole.metadata, whole.score)
        assert part.title.startswith(whole.title)
        place = (documents.index(whole), part.offsets[0])
        assert place >= before
        before = (place[0], part.offsets[1])


async def test_a_citation_of_a_part_points_to_the_line_of_the_source() -> None:
    documents, sources = recipes(*NAMES)
    parts = await kept("How long does kvass ferment?", documents, max_tokens=200)
    number = 1 + next(place for place, part in enumerate(parts) if "ferment for a week" in part.text)
    said = "Let it ferment for a week"
    (citation,) = citations(f"{said} [{number}].", [Mark((number,), len(said) + 1, len(said) + 4)], parts)
    assert citation.line is not None
    assert "Place the jar in a warm place" in sources["kvass.md"].splitlines()[citation.line - 1]
    assert citation.document == "kvass.md:1"


async def test_the_best_sentence_is_kept_even_where_it_alone_is_too_long() -> None:
    documents, _ = recipes(*NAMES)
    (part,) = await kept("How long does kvass ferment?", documents, max_tokens=1)
    assert "week" in part.text


async def test_a_row_keeps_the_head_of_its_table() -> None:
    text = (
        "| city | people |\n|---|---|\n| Lisk | 12 |\n| Dorn | 40 |\n\n" + "Ferries run. They are blue and old. " * 20
    )
    (part,) = await kept("How many people live in Dorn?", [Document(id="a", text=text)], max_tokens=60)
    assert part.text.startswith("| city | people |")
    assert "Dorn | 40" in part.text


async def test_an_item_keeps_its_mark_and_its_heading_goes_into_the_title() -> None:
    text = (
        "Intro words that say little.\n\n## Dough\n\n- 500 g flour\n- water\n\n## Sauce\n\n- 2 leeks\n\n"
        + "Rest. " * 80
    )
    (part,) = await kept("How many leeks?", [Document(id="a", title="Pie", text=text)], max_tokens=20)
    assert (part.text, part.title, part.offsets, part.line) == ("- 2 leeks", "Pie > Sauce", None, None)


async def test_a_sentence_that_says_it_again_is_left_out() -> None:
    sheep = "Sheep graze here all day long. " * 10
    closes = ["The bridge at Lisk closes on Monday at noon. ", "On Monday at noon the bridge at Lisk closes. "]
    text = closes[0] + sheep + closes[1] + sheep + "It opens again on Friday. " + sheep
    parts = await kept("When does the bridge at Lisk close and open?", [Document(id="a", text=text)], max_tokens=46)
    said = " ".join(part.text for part in parts)
    assert "opens again on Friday" in said
    assert said.count("closes") == 1


async def test_an_embedder_finds_what_shares_no_word() -> None:
    class Meanings(Embedder, type="meanings_for_a_test"):
        """Knows that a physician is a doctor, and nothing else."""

        @property
        def identity(self) -> str:
            return "test"

        @property
        def dimension(self) -> int:
            return 2

        def embed(self, texts: Sequence[str]) -> np.ndarray:
            rows = [[1.0, 0.0] if "doctor" in text or "physician" in text else [0.0, 1.0] for text in texts]
            return np.array(rows, dtype=np.float32)

    text = "Anna paints barns. Bert mends nets. Cleo is the physician. Dora bakes rye. Emil keeps bees. Fred sings low."
    ctx = Context(resources=Resources())
    assert ctx.resources is not None
    ctx.resources.put("embedders", "meanings", Meanings())
    node = Compress(max_tokens=22, embedder="meanings")
    (part,) = (await node(question="Is there a doctor?", documents=[Document(id="a", text=text)], ctx=ctx))["documents"]
    assert "Cleo" in part.text


async def test_in_a_graph_between_a_retriever_and_a_generator() -> None:
    graph = Graph.parse("""
schema: ragweave/v1
inputs: {question: str, documents: "list[Document]"}
outputs: [answer, documents]
nodes:
  compress: {type: compress, max_tokens: 150}
  answer:   {type: generator, model: extractive}
edges: [start -> compress -> answer -> end]
""")
    documents, sources = recipes(*NAMES)
    async with graph:
        result = await graph.arun(question="How long does kvass ferment?", documents=documents)
    (citation, *_) = result["answer"].citations
    assert "week" in result["answer"].text
    assert citation.quote in sources["kvass.md"].splitlines()[citation.line - 1]
