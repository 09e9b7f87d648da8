"""The memory of the last turns: on disk and in the process, by scope, once for each key, from many threads."""

from __future__ import annotations

import asyncio
import hashlib
import json
import sqlite3
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ragweave.orchestrator.contracts import Scope
from ragweave.orchestrator.errors import ResourceError
from ragweave.orchestrator.memory import turns
from ragweave.orchestrator.memory.window import Window
from ragweave.orchestrator.resources import Resources
from ragweave.orchestrator.stores import encoding, known
from ragweave.orchestrator.stores.decoding import Decoder
from ragweave.orchestrator.stores.packing import squeeze
from ragweave.orchestrator.values import BlobPart, Message, TextPart, ToolCall

HERE = Scope("acme", "ada", "t1")
FILE = ".ragweave/memory.sqlite"


def opened(folder: Path | None, max_turns: int = 20, **settings: object) -> Window:
    memory = Window(max_turns=max_turns, file=FILE if folder else "", **settings)
    memory.open(Resources(folder=folder))
    return memory


def turn(text: str) -> list[Message]:
    return [Message.of("user", f"{text}?"), Message.of("assistant", f"{text}.")]


async def texts(memory: Window, scope: Scope = HERE) -> list[str]:
    return [message.text for message in await memory.history(scope) if message.role == "user"]


@pytest.fixture(params=["file", "process"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Path | None:
    return tmp_path if request.param == "file" else None


async def test_what_was_added_is_history_in_order(folder: Path | None) -> None:
    memory = opened(folder)
    assert await memory.history(HERE) == []
    assert await memory.add(HERE, turn("a"), key="1")
    assert await memory.add(HERE, turn("b é \n"), key="2")
    assert await memory.history(HERE) == [*turn("a"), *turn("b é \n")]
    await memory.close()


async def test_only_the_last_turns_are_shown_and_the_rest_is_dropped_in_time(folder: Path | None) -> None:
    memory = opened(folder, max_turns=3)
    for number in range(turns.SPARE + 10):
        await memory.add(HERE, turn(str(number)), key=str(number))
    assert await texts(memory) == [f"{number}?" for number in range(turns.SPARE + 7, turns.SPARE + 10)]
    assert await memory.delete(HERE) == turns.SPARE + 3
    assert await memory.history(HERE) == []
    await memory.close()


async def test_a_key_writes_once_even_when_its_turn_has_left_the_window(folder: Path | None) -> None:
    memory = opened(folder, max_turns=2)
    for number in range(9):
        assert await memory.add(HERE, turn(str(number)), key=f"run:{number}")
    assert not await memory.add(HERE, turn("0"), key="run:0")
    assert await texts(memory) == ["7?", "8?"]
    await memory.close()


async def test_the_conversation_used_longest_ago_makes_room(folder: Path | None) -> None:
    memory = opened(folder, max_threads=2)
    for number in range(turns.SWEEP_EVERY):
        await memory.add(Scope("", "", f"t{number}"), turn("x"), key="k")
    kept = [number for number in range(turns.SWEEP_EVERY) if await memory.history(Scope("", "", f"t{number}"))]
    assert kept == [turns.SWEEP_EVERY - 2, turns.SWEEP_EVERY - 1]
    await memory.close()


SCOPES = [Scope(tenant, user, thread) for tenant in ("a", "b") for user in ("a", "b") for thread in ("a", "b")]


@settings(deadline=None, max_examples=25)
@given(
    st.lists(
        st.tuples(st.sampled_from(SCOPES), st.sampled_from(["add", "delete", "history"]), st.integers(0, 5)),
        max_size=25,
    )
)
def test_no_interleaving_shows_one_scope_what_is_anothers(steps: list[tuple[Scope, str, int]]) -> None:
    async def body(folder: Path | None) -> None:
        memory = opened(folder, max_turns=3)
        model: dict[Scope, dict[str, str]] = {scope: {} for scope in SCOPES}
        for scope, action, number in steps:
            key = f"k{number}"
            if action == "add":
                new = await memory.add(scope, turn(f"{scope}{number}"), key=key)
                assert new == (key not in model[scope])
                model[scope].setdefault(key, f"{scope}{number}?")
            elif action == "delete":
                assert await memory.delete(scope) == len(model[scope])
                model[scope].clear()
            else:
                assert await texts(memory, scope) == list(model[scope].values())[-3:]
        await memory.close()

    asyncio.run(body(None))
    with tempfile.TemporaryDirectory() as name:
        asyncio.run(body(Path(name)))


async def test_many_conversations_at_once_lose_nothing(folder: Path | None) -> None:
    memory = opened(folder, max_turns=10)
    scopes = [Scope("", "", f"t{number}") for number in range(8)]
    await asyncio.gather(*(memory.add(scope, turn(str(n)), key=str(n)) for n in range(10) for scope in scopes))
    for scope in scopes:
        assert sorted(await texts(memory, scope)) == sorted(f"{n}?" for n in range(10))
    await memory.close()


WRITER = """
import asyncio, sys
from pathlib import Path
from tests.memory.test_window import opened, turn, HERE
async def main():
    memory = opened(Path(sys.argv[1]), max_turns=100)
    for number in range(20):
        await memory.add(HERE, turn(f"{sys.argv[2]}-{number}"), key=f"{sys.argv[2]}-{number}")
    await memory.close()
asyncio.run(main())
"""


def test_two_processes_write_one_file(tmp_path: Path) -> None:
    root = Path(__file__).parents[2]
    started = [
        subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path), name], cwd=root) for name in ("one", "two")
    ]
    assert [process.wait(60) for process in started] == [0, 0]
    memory = opened(tmp_path, max_turns=100)
    said = asyncio.run(texts(memory))
    for name in ("one", "two"):
        assert [text for text in said if text.startswith(name)] == [f"{name}-{number}?" for number in range(20)]
    asyncio.run(memory.close())


async def test_another_process_goes_on_with_the_conversation(tmp_path: Path) -> None:
    first = opened(tmp_path)
    await first.add(HERE, turn("a"), key="1")
    await first.close()
    second = opened(tmp_path)
    assert await texts(second) == ["a?"]
    await second.close()


async def test_what_is_only_read_leaves_no_file(tmp_path: Path) -> None:
    memory = opened(tmp_path)
    assert await memory.history(HERE) == []
    assert await memory.delete(HERE) == 0
    assert not (tmp_path / ".ragweave").exists()


async def test_deleted_text_is_not_in_the_file(tmp_path: Path) -> None:
    memory = opened(tmp_path)
    await memory.add(HERE, turn("pomegranate"), key="1")
    await memory.add(Scope("acme", "bob", "t1"), turn("quince"), key="1")
    assert await memory.delete(HERE) == 1
    await memory.close()
    found = b"".join(path.read_bytes() for path in (tmp_path / ".ragweave").iterdir())
    assert b"quince" in found
    assert b"pomegranate" not in found


async def test_two_memories_of_one_file_are_apart(tmp_path: Path) -> None:
    one, other = opened(tmp_path), opened(tmp_path, collection="notes")
    await one.add(HERE, turn("a"), key="1")
    assert await texts(other) == []
    assert await texts(one) == ["a?"]
    await one.close()
    await other.close()


async def test_a_file_that_is_none_of_ours_is_said_with_the_way_out(tmp_path: Path) -> None:
    (tmp_path / ".ragweave").mkdir()
    (tmp_path / FILE).write_text("my shopping list, quite long, so that it is no database\n" * 30)
    with pytest.raises(ResourceError, match=r"memory\.sqlite' cannot be used: file is not a database; .*file: \"\""):
        await opened(tmp_path).history(HERE)
    (tmp_path / FILE).unlink()
    (tmp_path / FILE).mkdir()
    with pytest.raises(ResourceError, match="is a folder"):
        opened(tmp_path)


async def test_a_file_of_a_newer_version_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / ".ragweave").mkdir()
    with sqlite3.connect(tmp_path / FILE) as connection:
        connection.execute("PRAGMA user_version = 9")
    connection.close()
    with pytest.raises(ResourceError, match="newer version of ragweave"):
        await opened(tmp_path).add(HERE, turn("a"), key="1")


def mixed(number: int) -> list[Message]:
    """A turn with everything that messages may hold."""
    picture = BlobPart(type="image", blob="a" * 64, media_type="image/png")
    call = ToolCall(id=f"c{number}", name="look", arguments={"where": ["ä\ud800", {"type": "text", "text": 1}]})
    long = "\n".join(f'A "line" no. {line} of {number} \U0001f600' for line in range(40))
    asked = Message(role="user", parts=(TextPart(text="?"), picture, TextPart(text=long)))
    return [asked, Message(role="assistant", tool_calls=(call,)), Message(role="tool", tool_call_id=call.id)]


async def test_turns_that_were_put_together_are_as_they_were(tmp_path: Path) -> None:
    count = 2 * turns.TOGETHER + 3
    memory = opened(tmp_path, max_turns=count)
    for number in range(count):
        assert await memory.add(HERE, mixed(number), key=str(number))
    assert not await memory.add(HERE, mixed(0), key="0")
    await memory.close()
    for shown in (count, turns.TOGETHER + 5, 3, 1):
        reader = opened(tmp_path, max_turns=shown)
        expected = [message for number in range(count - shown, count) for message in mixed(number)]
        assert await reader.history(HERE) == expected
        await reader.close()
    with sqlite3.connect(tmp_path / FILE) as connection:
        assert connection.execute("SELECT count(*) FROM turns").fetchone() == (5,)
    connection.close()
    assert await memory.delete(HERE) == count
    await memory.close()
    assert b"line" not in (tmp_path / FILE).read_bytes()


async def test_turns_of_an_older_file_stay_and_others_follow(tmp_path: Path) -> None:
    memory = opened(tmp_path, max_turns=100)
    for number in range(turns.TOGETHER + 4):
        await memory.add(HERE, mixed(number), key=str(number))
    await memory.close()
    with sqlite3.connect(tmp_path / FILE) as connection:  # as version 2 had it: JSON, compressed if it is long
        connection.execute("DROP TABLE written")
        connection.execute("DELETE FROM turns")
        for number in range(20):
            text = json.dumps([message.model_dump(mode="json") for message in mixed(number)[number % 2 :]])
            body = squeeze(text.encode()) if len(text) >= 512 else text
            row = ("history", *HERE, number + 1, f"old {number}", body, 0.0)
            connection.execute("INSERT INTO turns VALUES (?, ?, ?, ?, ?, ?, ?, ?)", row)
        connection.execute("PRAGMA user_version = 2")
    connection.close()
    again = opened(tmp_path, max_turns=100)
    expected = [message for number in range(20) for message in mixed(number)[number % 2 :]]
    assert await again.history(HERE) == expected
    assert not await again.add(HERE, mixed(3), key="old 3")
    for number in range(30):
        assert await again.add(HERE, mixed(number), key=f"new {number}")
    await again.close()
    reader = opened(tmp_path, max_turns=100)
    assert await reader.history(HERE) == expected + [message for number in range(30) for message in mixed(number)]
    await reader.close()


@pytest.mark.parametrize(
    "body", [b"", b"\x06", b"\x07abc", b"\x06[1,2]\n", b"\x06[[[{}]],[3]]\nabc", b"junk", "[1]", "{}"]
)
async def test_a_damaged_turn_is_said(tmp_path: Path, body: bytes | str) -> None:
    memory = opened(tmp_path)
    await memory.add(HERE, turn("a"), key="1")
    await memory.close()
    with sqlite3.connect(tmp_path / FILE) as connection:
        connection.execute("UPDATE turns SET messages = ?", (body,))
    connection.close()
    with pytest.raises(ResourceError, match="cannot be used: a turn in it is damaged"):
        await opened(tmp_path).history(HERE)
    for number in range(turns.TOGETHER):
        assert await memory.add(HERE, turn("a"), key=f"next {number}")


async def test_a_run_names_texts_that_its_memory_has_read_and_a_deletion_forgets_them(tmp_path: Path) -> None:
    memory = opened(tmp_path)
    await memory.add(HERE, mixed(1), key="1")
    await memory.close()
    reader = opened(tmp_path)
    known.forget()
    text = (await reader.history(HERE))[0].text[1:]
    name = encoding.written(hashlib.sha256(b"T" + text.encode()).digest()[: encoding.HASH])
    assert known.known("acme") == {name: text}
    assert not known.known("another")
    decoder = Decoder(lambda names: {}, encoding.digest_with(None), "", known.known("acme"))
    assert decoder.value(f'{{"l":["{name}",["x"]]}}') == [text, "x"]
    await reader.delete(HERE)
    assert not known.known("acme")
    await reader.close()


async def test_a_memory_works_without_a_graph_and_closes_before_it_was_used() -> None:
    memory = Window(file="")
    await memory.close()
    assert await memory.add(HERE, turn("a"), key="1")
    await memory.close()
