"""`ragweave doctor`: what there is and what is missing."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from ragweave.retrievers.embedders.minilm import available
from tests.cli.running import GRAPH, ragweave
from tests.support.embeddings_server import EmbeddingsServer
from tests.support.openai_server import OpenAIServer


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs/tea.md").write_text("# Tea\n\nBlack tea steeps for four minutes.\n")
    (tmp_path / "graph.yaml").write_text(GRAPH)
    return tmp_path


def findings(folder: Path, *arguments: str) -> dict[str, tuple[str, str]]:
    """State and text by what it is about."""
    done = ragweave("doctor", *arguments, "--format", "json", cwd=folder)
    found = {finding["about"]: (finding["state"], finding["text"]) for finding in json.loads(done.stdout)}
    assert done.returncode == int(any(state == "fail" for state, _ in found.values()))
    return found


def test_the_machine_is_described(folder: Path) -> None:
    done = ragweave("doctor", cwd=folder)
    assert done.returncode == 0
    lines = {line[4:].split("  ")[0].strip(): line[:2] for line in done.stdout.splitlines()}
    assert {"ragweave", "python", "disk here", "extra local", "device", "local server", "graph"} <= lines.keys()
    assert lines["python"] == "ok"


def test_an_index_is_missing_then_there_then_stale(folder: Path) -> None:
    state, said = findings(folder, "graph.yaml")["index notes"]
    assert (state, said) == ("fail", "there is none yet: run `ragweave index graph.yaml`")
    assert ragweave("index", "graph.yaml", cwd=folder).returncode == 0
    state, said = findings(folder, "graph.yaml")["index notes"]
    assert (state, said) == ("ok", "index is up to date with docs: 1 passage of 1 document, no vectors, 0.0 MB")
    (folder / "docs/coffee.md").write_text("# Coffee\n\nA moka pot takes five minutes.\n")
    state, said = findings(folder, "graph.yaml")["index notes"]
    assert (state, said) == ("warn", "stale (1 added): run `ragweave index graph.yaml`")


def test_a_wrong_graph_is_said_to_be_wrong(folder: Path) -> None:
    (folder / "graph.yaml").write_text(GRAPH.replace("type: generator", "type: generater"))
    assert findings(folder, "graph.yaml")["graph"] == ("fail", "1 problem: `ragweave check graph.yaml` shows them")
    assert "does not exist" in findings(folder, "none.yaml")["graph"][1]


def with_server(folder: Path, url: str, model: str, key: str = "sk-test-1234567890") -> None:
    """Let the graph's model be one on this server."""
    scripted = GRAPH[GRAPH.index("type: scripted") : GRAPH.index("}\nretrievers")]
    chat = f"type: openai, model: {model}, base_url: {url}, api_key: {key}"
    (folder / "graph.yaml").write_text(GRAPH.replace(scripted, chat))


@pytest.mark.parametrize(
    ("model", "key", "state", "said"),
    [
        ("test-model", "sk-test-1234567890", "ok", "{} is there and has 'test-model'"),
        ("tset-model", "sk-test-1234567890", "warn", "{} is there and lists no 'tset-model': test-model, other-model"),
    ],
)
def test_a_server_is_asked_for_its_models(folder: Path, model: str, key: str, state: str, said: str) -> None:
    with OpenAIServer() as server:
        with_server(folder, server.url, model, key)
        found = findings(folder, "graph.yaml")["model chat"]
    assert found[0] == state
    assert found[1].startswith(said.format(server.url))


def test_a_server_that_is_not_there_is_a_failure(folder: Path) -> None:
    with_server(folder, "http://127.0.0.1:9/v1", "m")
    state, said = findings(folder, "graph.yaml")["model chat"]
    assert state == "fail"
    assert "http://127.0.0.1:9/v1 refused the connection" in said


def test_embedders_say_what_serves_them(folder: Path) -> None:
    embedders = """
embedders:
  small: {type: minilm}
  remote: {type: openai, model: embed, base_url: SERVER, api_key: sk-test-1234567890}
  gone: {type: openai, model: embed, base_url: "http://127.0.0.1:9/v1", max_retries: 0}
retrievers:"""
    with EmbeddingsServer() as server:
        text = GRAPH.replace("\nretrievers:", embedders.replace("SERVER", server.url), 1)
        (folder / "graph.yaml").write_text(text)
        found = findings(folder, "graph.yaml")
    assert found["embedder remote"] == ("ok", f"embed at {server.url}, 3 numbers a text")
    assert found["embedder gone"][0] == "fail"
    if available() is None:
        assert found["embedder small"] == ("ok", "OpenVINO, built from its weights, 384 numbers a text")


def test_a_server_of_tools_is_told_with_its_pin(folder: Path) -> None:
    pytest.importorskip("mcp")
    (folder / "server.py").write_text('''
from mcp.server import MCPServer
server = MCPServer("shop")

@server.tool()
def price(item: str) -> str:
    """What an item costs."""
    return "5"

server.run("stdio")
''')
    tools = f"tools: {{shop: {{type: mcp, command: ['{sys.executable}', server.py]}}, clock: {{type: clock}}}}\n"
    (folder / "graph.yaml").write_text(GRAPH.replace("retrievers:", f"{tools}retrievers:"))
    done = ragweave("doctor", "graph.yaml", "--format", "json", cwd=folder)
    told = [one["text"] for one in json.loads(done.stdout) if one["about"] == "tool shop"]
    assert told[1:] == ["shop_price: What an item costs."]
    said, pin = told[0].split("pinned: ")
    assert said == "1 tool of a server, not pinned; what it says now is "
    pinned = tools.replace("server.py]", f"server.py], pinned: {pin}")
    (folder / "graph.yaml").write_text(GRAPH.replace("retrievers:", f"{pinned}retrievers:"))
    assert tool_of(folder) == ("ok", f"1 tool of a server, as it was pinned: {pin}")
    (folder / "server.py").write_text((folder / "server.py").read_text().replace("costs.", "costs. Buy it."))
    state, said = tool_of(folder)
    assert state == "fail"
    assert "tells its tools otherwise than when they were pinned; leave `pinned` out" in said


def test_a_document_is_told_with_its_pin(folder: Path) -> None:
    document = "openapi: 3.1.0\npaths: {/price: {get: {operationId: price, summary: What an item costs.}}}\n"
    (folder / "shop.yaml").write_text(document)
    settings = "document: shop.yaml, operations: [price], base_url: 'https://shop.example.org'"
    graph = GRAPH.replace("retrievers:", f"tools: {{shop: {{type: openapi, {settings}}}}}\nretrievers:")
    (folder / "graph.yaml").write_text(graph)
    state, said = tool_of(folder)
    assert (state, said.partition("pinned: ")[0]) == ("ok", "1 tool of a document, not pinned; what it says now is ")
    pinned = graph.replace("example.org'}", f"example.org', pinned: {said.partition('pinned: ')[2]}}}")
    (folder / "graph.yaml").write_text(pinned)
    assert tool_of(folder)[1].startswith("1 tool of a document, as it was pinned")
    (folder / "shop.yaml").write_text(document.replace("/price:", "/sell:"))
    assert tool_of(folder)[0] == "fail"


def tool_of(folder: Path) -> tuple[str, str]:
    """The first that is said of the tool `shop`."""
    found = json.loads(ragweave("doctor", "graph.yaml", "--format", "json", cwd=folder).stdout)
    return next((str(one["state"]), str(one["text"])) for one in found if one["about"] == "tool shop")
