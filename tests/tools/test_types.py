"""The tools that graph files name by type: as a model is told of them, and what it reads."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from ragweave import Graph
from ragweave.orchestrator.errors import GraphError, ResourceError
from tests.tools.looping import looping

Ask = Callable[..., list[str]]


@pytest.fixture
def asked(tmp_path: Path) -> Ask:
    """What a model reads of calls of one tool that a graph declares."""

    def ask(declared: str, *calls: dict[str, Any]) -> list[str]:
        listed = [{"id": f"c{at}", **call} for at, call in enumerate(calls)]
        text = looping(f"[{{tool_calls: {listed!r}}}, Read.]", "[it]", head=f"tools: {{it: {declared}}}")
        (tmp_path / "graph.yaml").write_text(text)
        graph = Graph.load(tmp_path / "graph.yaml")
        graph.run(question="?")
        ask.offered = graph.resources.get("models", "chat").requests[0].tools  # type: ignore[attr-defined]
        return [one.text for one in graph.resources.get("models", "chat").requests[-1].messages if one.role == "tool"]

    return ask


def call(name: str, **arguments: Any) -> dict[str, Any]:
    return {"name": name, "arguments": arguments}


def test_the_clock_knows_calendars(asked: Ask) -> None:
    moment, later, between, now = asked(
        "{type: clock, zone: Europe/Berlin}",
        call("it_moment", moment="2024-02-29"),
        call("it_add", moment="2024-01-31", months=1),
        call("it_difference", start="2024-03-01", end="2024-03-11"),
        call("it_now", zone="Mars/Olympus"),
    )
    assert "Thursday" in moment
    assert later.startswith("2024-02-29")
    assert between == "10 days; 10 days in all, 6 of them from Monday to Friday"
    assert now.startswith("error: ")


def test_files_are_those_of_the_folder_and_read_only(asked: Ask, tmp_path: Path) -> None:
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "a.md").write_text("# Bread\nof rye\n")
    (tmp_path / "secret.txt").write_text("no")
    listed, read, found, outside, written = asked(
        "{type: files, root: notes}",
        call("it_list"),
        call("it_read", path="a.md", first=2),
        call("it_search", words="RYE"),
        call("it_read", path="../secret.txt"),
        call("it_write", path="b.md", text="x"),
    )
    assert (listed, read, found) == ("a.md (15 bytes)", "of rye\n", "a.md:2: of rye")
    assert outside.startswith("error: ")
    assert "there is no tool 'it_write'" in written
    assert sorted(path.name for path in (tmp_path / "notes").iterdir()) == ["a.md"]


def test_files_may_be_written_where_that_is_said(asked: Ask, tmp_path: Path) -> None:
    (tmp_path / "notes").mkdir()
    (said,) = asked("{type: files, root: notes, writable: true}", call("it_write", path="b.md", text="x"))
    assert said == "b.md has 1 bytes now"
    assert (tmp_path / "notes" / "b.md").read_text() == "x"


def test_a_database_is_asked_and_not_changed(asked: Ask, tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "shop.sqlite") as database:
        database.execute("CREATE TABLE orders (id INTEGER PRIMARY KEY, total REAL)")
        database.execute("INSERT INTO orders VALUES (7, 19.9)")
    database.close()
    rows, refused = asked(
        "{type: sql, path: shop.sqlite}",
        call("it", sql="SELECT total FROM orders WHERE id = 7"),
        call("it", sql="DELETE FROM orders"),
    )
    assert "| 19.9 |" in rows
    assert refused.startswith("error: ")
    assert "orders" in asked.offered[0]["description"]  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("declared", "said"),
    [
        ("{type: sql}", "a database is wanted"),
        ("{type: sql, path: nowhere.sqlite}", "there is no database 'nowhere.sqlite'"),
        ("{type: files, root: nowhere}", "there is no folder 'nowhere'"),
        ("{type: clock, zone: Mars/Olympus}", "Mars/Olympus"),
        ("{type: http, hosts: []}", "hosts"),
        ("{type: http, hosts: ['http://x.org']}", "is no host"),
    ],
)
def test_what_is_wrong_with_a_tool_is_told_when_the_graph_is_loaded(asked: Ask, declared: str, said: str) -> None:
    with pytest.raises((GraphError, ResourceError), match=said):
        asked(declared)


class Pages(BaseHTTPRequestHandler):
    """One page."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("content-type", "text/plain")
        self.end_headers()
        self.wfile.write(b"Hello.")

    def log_message(self, *_: Any) -> None:
        """Nothing."""


@pytest.fixture
def port() -> Iterator[int]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Pages) as server:
        thread = Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


def test_a_page_is_fetched_and_the_inside_is_not(asked: Ask, port: int) -> None:
    opened = f"allow_private: ['127.0.0.1:{port}']"
    page, other = asked(
        f"{{type: http, hosts: [127.0.0.1, localhost], ports: [{port}], {opened}}}",
        call("it", url=f"http://127.0.0.1:{port}/"),
        call("it", url="http://10.0.0.1/"),
    )
    assert page.startswith("200 http://127.0.0.1")
    assert page.endswith("Hello.")
    assert other.startswith("error: ")
    (closed,) = asked(f"{{type: http, hosts: ['*'], ports: [{port}]}}", call("it", url=f"http://127.0.0.1:{port}/"))
    assert closed.startswith("error: ")


def test_python_runs_in_a_sandbox(asked: Ask) -> None:
    from ragweave.tools.sandbox.sandbox import PythonSandbox

    try:
        asyncio.run(PythonSandbox().start())
    except ResourceError as error:
        pytest.skip(str(error))
    result, failed = asked("{type: python}", call("it", code="print(6 * 7)"), call("it", code="1 / 0"))
    assert result == "42"
    assert "ZeroDivisionError" in failed
