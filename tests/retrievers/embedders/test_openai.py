"""Embeddings by a server: batches, encodings, refusals and pauses, against a real server."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator

import numpy as np
import pytest

from ragweave import Graph
from ragweave.orchestrator.errors import EndpointUnusable, GraphError, ModelError, ResourceError
from ragweave.orchestrator.resources import Resources
from ragweave.retrievers.embedders.openai import OpenAIEmbedder
from tests.support.embeddings_server import EmbeddingsServer
from tests.support.openai_server import Reply


@pytest.fixture
def made() -> Iterator[list[OpenAIEmbedder]]:
    made: list[OpenAIEmbedder] = []
    yield made
    for one in made:
        asyncio.run(one.close())


def embedder(made: list[OpenAIEmbedder], server: EmbeddingsServer, **settings: object) -> OpenAIEmbedder:
    known = {"model": "embed", "base_url": server.url, "api_key": server.key, **settings}
    made.append(OpenAIEmbedder.model_validate(known))
    return made[-1]


def unit(*numbers: float) -> list[float]:
    return list(np.array(numbers) / np.linalg.norm(numbers))


@pytest.mark.parametrize("formats", [("float", "base64"), ()], ids=["base64", "numbers alone"])
def test_vectors_come_in_order_and_have_length_one(made: list[OpenAIEmbedder], formats: tuple[str, ...]) -> None:
    with EmbeddingsServer(formats=formats) as server:
        model = embedder(made, server)
        found = model.embed(["banana", "", "a"])
        np.testing.assert_allclose(found, [unit(6, 3, 1), unit(1, 0, 1), unit(1, 1, 1)], atol=1e-6)
        assert found.dtype == np.float32
        assert model.dimension == 3
        assert model.embed([]).shape == (0, 3)
        assert len(server.requests) == (1 if formats else 2), "a refused field is left out, and so it stays"
        model.embed(["c"])
        assert ("encoding_format" in server.requests[-1].json) == bool(formats)


def test_texts_are_sent_in_batches_several_at_a_time(made: list[OpenAIEmbedder]) -> None:
    with EmbeddingsServer(meet=4) as server:
        model = embedder(made, server, max_batch=10)
        texts = ["b" * number for number in range(1, 61)]
        found = model.embed(texts)
        np.testing.assert_allclose(found, [unit(len(text), 0, 1) for text in texts], atol=1e-6)
        assert [len(request.json["input"]) for request in server.requests] == [10] * 6
        assert server.busiest == 4


def test_a_batch_that_is_too_large_for_the_server_is_halved(made: list[OpenAIEmbedder]) -> None:
    with EmbeddingsServer(most=3) as server:
        found = embedder(made, server).embed(["b" * number for number in range(1, 9)])
        np.testing.assert_allclose(found, [unit(number, 0, 1) for number in range(1, 9)], atol=1e-6)


def test_a_text_that_is_too_long_is_told_with_the_way_out(made: list[OpenAIEmbedder]) -> None:
    with EmbeddingsServer() as server, pytest.raises(ModelError, match=r"a text of 20,000 characters is too long.*cut"):
        embedder(made, server).embed(["short", "b" * 20_000])


def test_concurrent_questions_share_requests(made: list[OpenAIEmbedder]) -> None:
    with EmbeddingsServer() as server:
        server.go.clear()
        model = embedder(made, server, query_prefix="query: ", document_prefix="passage: ")
        rows: dict[int, np.ndarray] = {}

        def ask(number: int) -> None:
            begun.release()
            rows[number] = model.embed_queries(["b" * number])[0]

        begun = threading.Semaphore(0)
        threads = [threading.Thread(target=ask, args=(number,)) for number in range(1, 33)]
        for thread in threads:
            thread.start()
        for _ in threads:
            assert begun.acquire(timeout=60)
        time.sleep(0.2)
        server.go.set()
        for thread in threads:
            thread.join()
        assert len(server.requests) < 16
        assert all(text.startswith("query: b") for request in server.requests for text in request.json["input"])
        for number in range(1, 33):
            np.testing.assert_allclose(rows[number], unit(number + 7, 0, 1), atol=1e-6)
        model.embed(["b"])
        assert server.requests[-1].json["input"] == ["passage: b"]


def test_the_pause_that_a_busy_server_asks_for_is_made(made: list[OpenAIEmbedder], pauses: list[float]) -> None:
    with EmbeddingsServer([Reply(status=429, headers={"retry-after-ms": "80"}), Reply(close_after=0)]) as server:
        embedder(made, server).embed(["a"])
        assert len(server.requests) == 3
        assert pauses[0] == 0.08


def test_a_wrong_key_is_told_and_not_shown(made: list[OpenAIEmbedder]) -> None:
    with EmbeddingsServer() as server:
        with pytest.raises(EndpointUnusable, match=r"refused the key.*check the setting 'api_key'") as caught:
            embedder(made, server, api_key="sk-wrong-0987").embed(["a"])
        assert "0987" not in str(caught.value)
        assert len(server.requests) == 1


def test_a_wrong_model_is_answered_with_the_servers_own_names(made: list[OpenAIEmbedder]) -> None:
    with (
        EmbeddingsServer() as server,
        pytest.raises(EndpointUnusable, match=r"has no model 'embde'.*did you mean 'embed'"),
    ):
        embedder(made, server, model="embde").embed(["a"])


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"data": [{"embedding": [1, 2]}, {"embedding": [1]}]}, r"2 vectors of \[1, 2\] numbers for 1 texts"),
        ({"data": []}, "0 vectors"),
        ({"choices": []}, "something else for 1 texts; is base_url the address of a server of embeddings?"),
        ({"data": [{"embedding": "@@@"}]}, "something else"),
        ({"data": [{"embedding": [0.0, 0.0]}]}, "no direction"),
        ("<html>", "something else than JSON"),
    ],
)
def test_what_is_no_vector_is_an_error(made: list[OpenAIEmbedder], body: object, said: str) -> None:
    with EmbeddingsServer([Reply(body=body)]) as server, pytest.raises(ModelError, match=said):
        embedder(made, server).embed(["a"])


def test_vectors_of_another_length_are_refused(made: list[OpenAIEmbedder]) -> None:
    with EmbeddingsServer() as server:
        model = embedder(made, server)
        assert model.dimension == 3
        server.width = 4
        with pytest.raises(ModelError, match="vectors of 4 numbers; 3 are expected; is it another model"):
            model.embed(["b"])
        assert embedder(made, server, dimensions=2).embed(["b"]).shape == (1, 2)


def test_vectors_of_other_servers_and_prefixes_are_not_compared(made: list[OpenAIEmbedder]) -> None:
    with EmbeddingsServer() as server:
        one = embedder(made, server)
        assert one.identity == f"openai/embed at {server.url}"
        assert one.identity == embedder(made, server, query_prefix="q: ", api_key="other").identity
        assert len({one.identity, embedder(made, server, document_prefix="p: ").identity}) == 2
        assert len({one.identity, embedder(made, server, dimensions=2).identity}) == 2
        tasks = [embedder(made, server, extra={"task": task}).identity for task in ("passage", "code")]
        assert len({one.identity, *tasks}) == 3
    made.append(OpenAIEmbedder(model="text-embedding-3-small"))
    assert made[-1].identity == "openai/text-embedding-3-small"
    with pytest.raises(ResourceError, match="'api_key' is not set"):
        made[-1].open(Resources())


YAML = """
schema: ragweave/v1
inputs: {question: str}
outputs: [documents]
embedders:
  remote: {type: openai, model: embed, base_url: "${env:EMBED_URL:-}", api_key: "${env:EMBED_KEY:-}"}
retrievers:
  notes: {type: hybrid, index: notes, embedder: remote}
nodes:
  find: {type: retriever, retriever: notes}
edges: [start -> find -> end]
"""


def test_empty_settings_count_as_not_given_and_wrong_ones_are_found_by_the_check() -> None:
    assert Graph.parse(YAML).plan
    with pytest.raises(GraphError, match="unknown setting 'modle'"):
        Graph.parse(YAML.replace("model: embed", "modle: embed"))
