"""Embeddings of LangChain as embedders: given as objects, registered, and named in a file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("langchain_core")

from langchain_core.embeddings import DeterministicFakeEmbedding, Embeddings

from ragweave import Graph, GraphError
from ragweave.orchestrator.errors import ModelError, ResourceError
from ragweave.orchestrator.interop.embedder import LangChainEmbedder
from ragweave.orchestrator.resources import Resources
from tests.interop.things import WORDS, WordCounts


def test_rows_are_unit_vectors_in_the_order_of_the_texts() -> None:
    embedder = LangChainEmbedder.of(WordCounts())
    vectors = embedder.embed(["tea tea", "the lamp", "", "tea tea", "\ud800"])
    assert vectors.shape == (5, len(WORDS))
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert WORDS[int(vectors[0].argmax())] == "tea"
    np.testing.assert_array_equal(vectors[0], vectors[3])
    np.testing.assert_array_equal(vectors[1:2], embedder.embed(["the lamp"]))
    assert embedder.dimension == len(WORDS)
    assert embedder.embed([]).shape == (0, len(WORDS))


def test_the_dimension_is_found_by_one_call() -> None:
    assert LangChainEmbedder.of(DeterministicFakeEmbedding(size=12)).dimension == 12


def test_the_identity_names_the_class_and_its_model() -> None:
    class Named(WordCounts):
        model = "words-2"

    assert LangChainEmbedder.of(Named()).identity == "langchain/Named:words-2"
    assert LangChainEmbedder.of(WordCounts()).identity == "langchain/WordCounts"
    assert LangChainEmbedder.of(WordCounts(), identity="words/7").identity == "words/7"


def test_a_graph_takes_an_object_and_embeds_a_text_once() -> None:
    asked: list[str] = []

    class Listening(WordCounts):
        def embed_documents(self, texts: list[str]) -> list[list[float]]:
            asked.extend(texts)
            return super().embed_documents(texts)

    kind = {"type": "classifier", "embedder": "words", "head": "nearest", "threshold": 0}
    kind["labels"] = {"key": ["the key is under the mat"], "tea": ["tea is in the tin"]}
    graph = Graph(
        name="sorting",
        inputs={"text": "str"},
        outputs=["label", "again"],
        embedders={"words": Listening()},
        nodes={"one": kind, "two": {**kind, "threshold": 0.1, "head": "linear", "writes": {"label": "again"}}},
        edges=["start -> one -> two -> end"],
    )
    with graph:
        result = graph.run(text="which tin is the tea in")
    assert (result["label"], result["again"]) == ("tea", "tea")
    assert asked.count("which tin is the tea in") == 1


@pytest.mark.parametrize("found", [[[1.0, 2.0]], [[1.0], [1.0, 2.0]], [], [[float("nan")], [1.0]], None, [1.0, 2.0]])
def test_what_is_no_array_of_vectors_is_an_error(found: Any) -> None:
    class Wrong(Embeddings):
        def embed_documents(self, texts: list[str]) -> list[list[float]]:
            return found  # type: ignore[no-any-return]

        def embed_query(self, text: str) -> list[float]:
            raise AssertionError

    with pytest.raises(ModelError, match="embedder 'Wrong' gave no vectors of one length for 2 texts"):
        LangChainEmbedder.of(Wrong()).embed(["a", "b"])


@pytest.mark.parametrize(("status", "passing"), [(429, True), (503, True), (400, False)])
def test_a_failure_names_the_embedder_and_may_pass_where_its_status_says_so(status: int, passing: bool) -> None:
    class Refused(Exception):
        status_code = status

    class Failing(WordCounts):
        def embed_documents(self, texts: list[str]) -> list[list[float]]:
            raise Refused("no room")

    with pytest.raises(ModelError, match="embedder 'Failing' failed: Refused: no room") as caught:
        LangChainEmbedder.of(Failing()).embed(["a"])
    assert caught.value.transient is passing


@pytest.mark.parametrize(
    ("model", "said"),
    [("cohere:embed-v4", "pip install langchain-cohere"), ("nothing", "LangChain cannot make embedder")],
)
def test_a_model_that_cannot_be_made_says_what_to_do(model: str, said: str) -> None:
    pytest.importorskip("langchain")
    with pytest.raises(ResourceError) as caught:
        LangChainEmbedder(model=model).open(Resources())
    assert said in f"{caught.value} {caught.value.hint}"


PLUGIN = """
from ragweave.orchestrator.interop import register
from tests.interop.things import WordCounts

register("counts", WordCounts())
"""


def test_a_registered_one_is_a_type_of_graph_files(tmp_path: Path) -> None:
    (tmp_path / "words.py").write_text(PLUGIN)
    (tmp_path / "graph.yaml").write_text(
        "schema: ragweave/v1\nname: g\ninputs: {text: str}\noutputs: [label]\nembedders: {words: {type: counts}}\n"
        "nodes:\n  sort: {type: classifier, embedder: words, head: nearest, threshold: 0, "
        "labels: {key: [the key is under the mat], tea: [tea is in the tin]}}\nedges: [start -> sort -> end]\n"
    )
    with Graph.load(tmp_path / "graph.yaml", plugins=[str(tmp_path / "words.py")]) as graph:
        assert graph.run(text="is the mat under the key")["label"] == "key"


def test_embeddings_are_no_node() -> None:
    with pytest.raises(GraphError, match=r"nodes\.a"):
        Graph(name="g", inputs={"text": "str"}, outputs=["x"], nodes={"a": WordCounts()}, edges=["start -> a -> end"])
