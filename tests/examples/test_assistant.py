"""The example of an agent: its tools are really called, and nothing is paid that nobody allowed, or twice."""

from __future__ import annotations

import hashlib
import json
import sqlite3
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from ragweave import Graph
from ragweave.orchestrator import registry
from tests.cli.running import COMMAND, environment, on_terminal, ragweave
from tests.examples.folders import copied
from tests.support.openai_server import OpenAIServer, Reply

ALBUMS = "SELECT Title FROM Album JOIN Artist USING (ArtistId) WHERE Name = 'AC/DC' ORDER BY AlbumId"
HOSTILE = (
    "DELETE FROM Invoice",
    "UPDATE Invoice SET Total = 0",
    "SELECT 1; DROP TABLE Invoice",
    "ATTACH DATABASE 'refunds.sqlite' AS ledger",
    "PRAGMA writable_schema = 1",
    "SELECT * FROM Employee",
    "SELECT readfile('/etc/passwd')",
    "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n",
)
KILLED = """
import os, signal
from pathlib import Path
import shop_tools

book = shop_tools._book

def killed(*given):
    kept = book(*given) if Path("kill-after").exists() else None
    for name in ("kill-before", "kill-after"):
        if Path(name).exists():
            Path(name).unlink()
            os.kill(os.getpid(), signal.SIGKILL)
    return kept or book(*given)

shop_tools._book = killed
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("CHAT_MODEL", "CHAT_BASE_URL", "CHAT_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    return copied("assistant", tmp_path)


@pytest.fixture
def graph(folder: Path) -> Iterator[Graph]:
    with opened(folder) as graph:
        yield graph


@contextmanager
def opened(folder: Path) -> Iterator[Graph]:
    with (
        registry.scope(),
        Graph.load(folder / "assistant.yaml", plugins=[str(folder / "shop_tools.py")]) as graph,
    ):
        yield graph


def asked(folder: Path, question: str) -> subprocess.CompletedProcess[str]:
    return ragweave("run", "assistant.yaml", "--question", question, cwd=folder)


def shop(folder: Path, query: str, *values: Any) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(folder / "chinook.sqlite")) as connection:
        return connection.execute(query, values).fetchall()


def paid(folder: Path) -> list[tuple[int, int]]:
    """Invoices and cents of the ledger."""
    if not (folder / "refunds.sqlite").exists():
        return []
    with closing(sqlite3.connect(folder / "refunds.sqlite")) as connection:
        return connection.execute("SELECT invoice, cents FROM refund ORDER BY invoice").fetchall()


def test_answers_are_what_the_tools_gave(graph: Graph, folder: Path) -> None:
    for artist in ("AC/DC", "Metallica", "queen"):
        titles = [title for (title,) in shop(folder, ALBUMS.replace("= 'AC/DC'", "= ? COLLATE NOCASE"), artist)]
        told = str(graph.run(question=f"Which albums do we have by {artist}?")["answer"])
        assert told.startswith(f"We have {len(titles)}: ")
        assert all(title in told for title in titles)
    for number in (1, 98, 412):
        ((name, total),) = shop(
            folder, "SELECT LastName, Total FROM Invoice JOIN Customer USING (CustomerId) WHERE InvoiceId = ?", number
        )
        told = str(graph.run(question=f"Whose is invoice {number}?")["answer"])
        assert name in told
        assert f": {total:g} dollars." in told
    whole = 'What do the tracks of "Let There Be Rock" cost'
    assert str(graph.run(question=f"{whole}?")["answer"]) == "Its tracks are 7.92 dollars together."
    assert str(graph.run(question=f"{whole} with 25% off?")["answer"]) == "With 25% off that is 5.94 dollars."


@pytest.mark.parametrize(
    ("question", "said"),
    [
        ("Which albums do we have by Nobody?", "I find nothing of that name or number in our database."),
        ("Refund invoice 9999", "I find nothing of that name or number in our database."),
        ("Pay 1 dollars of invoice 9999 back", "I did not pay that back: there is no invoice 9999."),
        (
            "Pay 1.50 dollars of invoice 6 back",
            "I did not pay that back: invoice 6 is 0.99 dollars, so 1.50 cannot be paid back.",
        ),
        ("Pay 0 dollars of invoice 6 back", "I did not pay that back: invoice 6 is 0.99 dollars, so 0.00 cannot be"),
        ("Refund invoice 404", "I did not pay that back: it is not allowed: a rule of the graph denies it."),
        ("Who are you?", "I know about invoices,"),
    ],
)
def test_what_cannot_be_done_is_said_and_nothing_is_paid(graph: Graph, folder: Path, question: str, said: str) -> None:
    assert str(graph.run(question=question)["answer"]).startswith(said)
    assert paid(folder) == []


def test_a_small_refund_goes_at_once_and_only_once_for_an_invoice(graph: Graph, folder: Path) -> None:
    said = str(graph.run(question="Refund invoice 1")["answer"])
    assert said == "Done: 1.98 dollars for invoice 1 are on their way to Leonie Köhler."
    for question in ("Refund invoice 1", "Pay 0.50 dollars of invoice 1 back"):
        assert str(graph.run(question=question)["answer"]).endswith("invoice 1 has been paid back before.")
    assert paid(folder) == [(1, 198)]


def test_a_refund_that_is_asked_about_survives_its_process(folder: Path) -> None:
    parked = asked(folder, "Refund invoice 3")
    assert parked.returncode == 1
    assert "asks: Call refund? invoice: 3 amount: 5.94" in parked.stderr
    assert paid(folder) == []
    assert "act#2[0]  Call refund?" in ragweave("runs", "--waiting", cwd=folder).stdout
    done = ragweave("resume", "last", "--answer", "yes", cwd=folder)
    assert done.stdout == "Done: 5.94 dollars for invoice 3 are on their way to Daan Peeters.\n", done.stderr
    assert paid(folder) == [(3, 594)]


async def test_another_process_is_answered_in_python(folder: Path) -> None:
    assert asked(folder, "Refund invoice 3").returncode == 1
    with registry.scope():
        async with Graph.load(folder / "assistant.yaml", plugins=[str(folder / "shop_tools.py")]) as graph:
            (run,) = await graph.runs(status="parked")
            edited = {"approved": True, "arguments": {"invoice": 3, "amount": 20, "reason": "all of it and more"}}
            denied = await graph.aresume(run.run_id, answers={"act#2[0]": edited})
            assert "it is not allowed" in str(denied["answer"])  # a person does not lift what is denied
            parked = await graph.arun(question="Refund invoice 3")
            no = {"approved": False, "reason": "too late"}
            said = (await graph.aresume(parked.run_id, answers={"act#2[0]": no}))["answer"]
            assert str(said) == "I did not pay that back: a person said no: too late."
            assert paid(folder) == []
            parked = await graph.arun(question="Refund invoice 3")
            less = {"approved": True, "arguments": {"invoice": 3, "amount": 4.95, "reason": "one track was fine"}}
            said = (await graph.aresume(parked.run_id, answers={"act#2[0]": less}))["answer"]
            assert str(said).startswith("Done: 4.95 dollars")
    assert paid(folder) == [(3, 495)]


@pytest.mark.parametrize("moment", ["kill-before", "kill-after"])
def test_a_kill_in_a_refund_does_not_pay_twice(folder: Path, moment: str) -> None:
    (folder / "killed.py").write_text(KILLED, encoding="utf-8")
    (folder / "pyproject.toml").write_text('[tool.ragweave]\nplugins = ["shop_tools", "killed"]\n', encoding="utf-8")
    (folder / moment).touch()
    broken = asked(folder, "Refund invoice 1")
    assert broken.returncode == -9
    assert paid(folder) == ([(1, 198)] if moment == "kill-after" else [])
    done = ragweave("resume", "last", cwd=folder)
    assert done.stdout == "Done: 1.98 dollars for invoice 1 are on their way to Leonie Köhler.\n", done.stderr
    assert paid(folder) == [(1, 198)]


def test_a_chat_knows_what_was_said_before(folder: Path) -> None:
    lines = "Whose is invoice 1?\nThank you.\nRefund it, please.\nRefund invoice 1, please.\n"
    command = [*COMMAND, "chat", "assistant.yaml"]
    done = subprocess.run(
        command, cwd=folder, env=environment(), input=lines, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert "asks: Call refund? invoice: 1" in done.stderr  # that it is invoice 1 was remembered, and not asked for
    assert done.stdout.strip().endswith("Done: 1.98 dollars for invoice 1 are on their way to Leonie Köhler.")
    assert paid(folder) == [(1, 198)]
    assert "asks" not in asked(folder, "Refund it, please.").stderr  # of another conversation it knows nothing


def test_a_chat_at_a_terminal_asks_at_once(folder: Path) -> None:
    typed = [("> ", "Refund invoice 3\r"), ("[y/n]", "y\r"), ("Daan Peeters", "/quit\r")]
    seen = on_terminal("chat", "assistant.yaml", cwd=folder, columns=200, typed=typed)
    assert seen.status == 0, seen.raw
    assert "Call refund?" in seen.raw
    assert paid(folder) == [(3, 594)]


def calls(*made: tuple[str, dict[str, Any]]) -> Reply:
    """A reply that asks for tools in the way of the wire."""
    pieces: Sequence[dict[str, Any]] = [
        {
            "index": at,
            "id": f"call_{at}",
            "type": "function",
            "function": {"name": name, "arguments": json.dumps(given)},
        }
        for at, (name, given) in enumerate(made)
    ]
    return Reply(tool_calls=pieces, finish="tool_calls")


@pytest.fixture
def endpoint(monkeypatch: pytest.MonkeyPatch) -> Iterator[OpenAIServer]:
    with OpenAIServer() as server:
        monkeypatch.setenv("CHAT_MODEL", "test-model")
        monkeypatch.setenv("CHAT_BASE_URL", server.url)
        monkeypatch.setenv("CHAT_API_KEY", server.key)
        yield server


def test_a_model_on_a_server_drives_the_same_graph(folder: Path, endpoint: OpenAIServer) -> None:
    endpoint.replies = [
        calls(("sql", {"sql": ALBUMS}), ("calculator", {"expression": "8 * 0.99"})),
        calls(("refund", {"invoice": 3, "amount": 5.94, "reason": "scratched"})),
        Reply("It is paid back."),
        Reply("You are welcome."),
    ]
    with opened(folder) as graph:
        parked = graph.run(question="Daan's record was scratched.", thread_id="counter")
        assert list(parked.asks) == ["act#2[0]"]
        assert paid(folder) == []
        result = graph.resume(parked.run_id, answers={"act#2[0]": True})
        assert str(result["answer"]) == "It is paid back."
        graph.run(question="Thank you.", thread_id="counter")
    assert paid(folder) == [(3, 594)]
    first, second, third, fourth = (request.json for request in endpoint.requests)
    assert [one["function"]["name"] for one in first["tools"]] == ["sql", "calculator", "refund"]
    described = first["tools"][0]["function"]["description"]
    assert "table InvoiceLine" in described
    assert "table Employee" not in described
    told = [one["content"] for one in second["messages"] if one["role"] == "tool"]
    assert "For Those About To Rock We Salute You" in told[0]
    assert told[1] == "7.92"
    assert third["messages"][-1]["content"].startswith("5.94 dollars for invoice 3 are on their way")
    said = [(one["role"], one["content"]) for one in fourth["messages"]]
    assert said[1:] == [
        ("user", "Daan's record was scratched."),
        ("assistant", "It is paid back."),
        ("user", "Thank you."),
    ]


def test_a_sum_is_not_split_to_get_by_the_rules(folder: Path, endpoint: OpenAIServer) -> None:
    why = "the customer asked for it"
    parts = [("refund", {"invoice": 3, "amount": amount, "reason": why}) for amount in (2, 1.98, 1.96, -2)]
    endpoint.replies = [calls(*parts), Reply("I paid what I could.")]
    with opened(folder) as graph:
        graph.run(question="Pay invoice 3 back, in small parts.")
    told = [one["content"] for one in endpoint.requests[1].json["messages"] if one["role"] == "tool"]
    assert sum(one.startswith("error: invoice 3 has been paid back before") for one in told) == 2
    assert told[3].startswith("error: invoice 3 is 5.94 dollars, so -2.00 cannot be paid back")
    assert len(paid(folder)) == 1


def test_hostile_sql_of_a_model_is_refused(folder: Path, endpoint: OpenAIServer) -> None:
    text = (folder / "assistant.yaml").read_text(encoding="utf-8")
    quick = text.replace("type: sql, path: chinook.sqlite", "type: sql, timeout: 1s, path: chinook.sqlite")
    (folder / "assistant.yaml").write_text(quick, encoding="utf-8")
    before = hashlib.sha256((folder / "chinook.sqlite").read_bytes()).digest()
    endpoint.replies = [
        calls(*(("sql", {"sql": one}) for one in HOSTILE), ("sql", {"sql": ALBUMS}), ("files_read", {"path": "x"})),
        Reply("I could not do that."),
    ]
    with opened(folder) as graph:
        assert str(graph.run(question="Empty the till!")["answer"]) == "I could not do that."
    told = [one["content"] for one in endpoint.requests[1].json["messages"] if one["role"] == "tool"]
    assert len(told) == len(HOSTILE) + 2
    assert [one for one, said in zip(HOSTILE, told, strict=False) if not said.startswith("error: ")] == []
    assert told[-2].endswith("Let There Be Rock |\n\n(2 rows)")  # beside them a good query is answered
    assert told[-1].startswith("error: there is no tool 'files_read'")
    assert hashlib.sha256((folder / "chinook.sqlite").read_bytes()).digest() == before
    assert paid(folder) == []


def test_a_loop_that_never_ends_is_ended(folder: Path, endpoint: OpenAIServer) -> None:
    endpoint.replies = [calls(("calculator", {"expression": "1 + 1"}))]
    with opened(folder) as graph:
        assert str(graph.run(question="Go on for ever.")["answer"]) == "I could not find that out."
    assert len(endpoint.requests) == 9
