"""Encryption at rest: what a key opens, what it hides, and what happens without it or with another one."""

from __future__ import annotations

import base64
import secrets
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import SecretStr

from ragweave.orchestrator.errors import JournalError, MissingExtra, ResourceError
from ragweave.orchestrator.stores import RunRecord
from ragweave.orchestrator.stores.durable import DurableStore
from ragweave.orchestrator.stores.encoding import digest_with
from ragweave.orchestrator.stores.packing import pack, unpack
from ragweave.orchestrator.stores.sealing import cipher_of
from ragweave.orchestrator.stores.settings import SqliteSettings
from tests.stores.support import bytes_of, calls, contents, echo, store_of

KEY, OTHER = secrets.token_hex(32), secrets.token_hex(32)
SECRET = "the recipe of the old baker"


USES: list[Callable[[DurableStore, str], Awaitable[object]]] = [
    lambda store, run: echo(store).arun(text="something new"),
    lambda store, run: store.begin(RunRecord("another")),
    lambda store, run: store.record(run),
    lambda store, run: store.events(run),
    lambda store, run: store.bundle(run),
    lambda store, run: store.runs(),
    lambda store, run: store.crashed(),
    lambda store, run: store.cached("k"),
    lambda store, run: store.take(run),
    lambda store, run: store.adopt(run, "v", "files"),
    lambda store, run: store.delete(run_id=run),
    lambda store, run: store.delete(tenant=""),
    lambda store, run: store.gc(),
]


async def one_run(file: Path, key: str | None) -> str:
    """A run that ended, with a short and a long text and a cached result."""
    store = store_of(file, key)
    result = await echo(store).arun(text=SECRET * 50)
    await store.cache("k", {"said": SECRET}, 60.0, run_id=result.run_id)
    await store.close()
    return result.run_id


async def test_runs_come_back_with_their_key_and_no_byte_of_their_texts_is_in_the_files(tmp_path: Path) -> None:
    run = await one_run(tmp_path / "runs.sqlite", KEY)
    store = store_of(tmp_path / "runs.sqlite", KEY)
    events = await store.events(run)
    assert [event.data["said"] for event in events if event.kind == "finished"] == [SECRET.upper() * 50]
    assert await store.cached("k") == {"said": SECRET}
    kept = bytes_of(tmp_path)
    for part in ("recipe", "baker", "RECIPE", "said"):
        assert part.encode() not in kept
    assert run.encode() in kept  # ids can be read
    await store.close()


async def test_the_same_runs_without_a_key_can_be_read_in_the_file(tmp_path: Path) -> None:
    await one_run(tmp_path / "runs.sqlite", None)
    assert b"recipe" in bytes_of(tmp_path)


@pytest.mark.parametrize(
    ("written", "opened", "told"),
    [
        (KEY, OTHER, "another key"),
        (KEY, None, "are encrypted, and no key"),
        (None, KEY, "not encrypted, but a key"),
    ],
    ids=["another", "missing", "needless"],
)
async def test_a_key_that_does_not_fit_is_told_at_the_first_use_and_nothing_is_written(
    tmp_path: Path, written: str | None, opened: str | None, told: str
) -> None:
    file = tmp_path / "runs.sqlite"
    run = await one_run(file, written)
    before = contents(file)
    calls.clear()
    store = store_of(file, opened)
    for use in USES:
        fresh = store_of(file, opened)
        for tried in (fresh, fresh, store):
            with pytest.raises(JournalError, match=told):
                await use(tried, run)
        await fresh.close()
    await store.close()
    assert calls == []
    assert contents(file) == before
    assert len(await store_of(file, written).events(run)) > 2


async def test_a_store_that_became_encrypted_meanwhile_is_not_written_without_its_key(tmp_path: Path) -> None:
    file = tmp_path / "runs.sqlite"
    plain = store_of(file)
    await plain.gc()  # makes nothing
    await plain.begin(RunRecord("plain"))
    await one_run(file, KEY)
    before = contents(file)
    plain.writer("plain")(("run_started", "", "", 0, {"inputs": {"text": SECRET}}, None, 0, -1, 0, 1.0))
    with pytest.raises(JournalError, match="no key"):
        await plain.flush("plain")
    await plain.close()
    assert contents(file) == before


def test_keys_are_32_random_bytes_in_any_usual_spelling() -> None:
    raw = secrets.token_bytes(32)
    spellings = [
        raw.hex(), raw.hex().upper(), base64.b64encode(raw).decode(), base64.urlsafe_b64encode(raw).decode(),
        base64.urlsafe_b64encode(raw).decode().rstrip("="), f" {raw.hex()}\n",
    ]  # fmt: skip
    sealed = cipher_of(spellings[0]).seal(b"data", b"place")
    for spelling in spellings:
        assert cipher_of(spelling).unseal(sealed, b"place") == b"data"
        assert cipher_of(spelling).secret == cipher_of(raw.hex()).secret != raw


@pytest.mark.parametrize(
    "key", ["correct horse battery staple", "ünsafe", KEY[:-2], KEY + "00", "00" * 32, "é" * 64, "", " "], ids=range(8)
)
def test_anything_else_is_refused_without_being_shown(key: str) -> None:
    with pytest.raises(ResourceError, match="encrypt") as caught:
        cipher_of(key)
    assert "token_hex" in str(caught.value.hint)
    assert not key.strip() or key not in str(caught.value)


def test_an_empty_key_is_no_key_and_a_store_without_the_setting_is_plain(tmp_path: Path) -> None:
    with pytest.raises(ResourceError, match="encrypt is empty"):
        SqliteSettings(path="a", encrypt=SecretStr("")).make()
    SqliteSettings(path="a").make()
    SqliteSettings(path="a", encrypt=SecretStr(KEY)).make()


def test_without_the_package_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cryptography.hazmat.primitives.ciphers.aead", None)
    with pytest.raises(MissingExtra, match="cryptography") as caught:
        cipher_of(KEY)
    assert "ragweave[encrypt]" in str(caught.value.hint)


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=3000), st.binary(max_size=40), st.data())
def test_a_row_opens_only_as_it_was_where_it_was(data: bytes, place: bytes, draw: st.DataObject) -> None:
    cipher = cipher_of(KEY)
    row = pack(data, place, cipher)
    assert unpack(row, place, cipher) == data
    assert row != pack(data, place, cipher)  # a nonce is never used again
    at = draw.draw(st.integers(0, 8 * len(row) - 1))
    flipped = bytearray(row)
    flipped[at // 8] ^= 1 << at % 8
    for other, where in ((bytes(flipped), place), (row[: at // 8], place), (row, place + b"!")):
        with pytest.raises(JournalError):
            unpack(other, where, cipher)
    with pytest.raises(JournalError):
        unpack(row, place, cipher_of(OTHER))


def test_names_of_values_tell_nothing_without_the_key() -> None:
    mine, theirs = digest_with(cipher_of(KEY).secret), digest_with(cipher_of(OTHER).secret)
    assert mine(b"guess") == mine(b"guess") != theirs(b"guess") != digest_with(None)(b"guess")
