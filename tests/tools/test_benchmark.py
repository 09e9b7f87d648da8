"""The benchmark of tools: scripted queries, what is left out, and that what gets through would be seen."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragweave.tools.egress import Egress

_FOLDER = str(Path(__file__).resolve().parents[2] / "benchmarks")


@pytest.fixture(scope="module")
def load() -> Iterator[Callable[[str], ModuleType]]:
    """Modules of the benchmark, for the time of these tests."""
    sys.path.append(_FOLDER)
    yield importlib.import_module
    sys.path.remove(_FOLDER)
    for name in [name for name in sys.modules if name.partition(".")[0] in ("calling", "tables")]:
        del sys.modules[name]


def test_queries_are_the_thirds_of_what_a_customer_is_told(load: Callable[[str], ModuleType]) -> None:
    queries = load("calling.documents").queries
    assert queries('**You** want a card. It is free!\n\n1. Ask: "Why?"\n- Be kind. Go.') == [
        "You want a card. It is free!",
        '1. Ask: "Why?"',
        "Be kind. Go.",
    ]
    assert queries("One.") == ["One."]

    @given(st.text(alphabet="ab .!?\n-*#"))
    def whole(text: str) -> None:
        parts = queries(text)
        assert len(parts) <= 3
        assert [one for one in " ".join(parts) if one in "ab"] == [one for one in text if one in "ab"]

    whole()


def test_data_that_is_not_there_is_left_out_with_a_reason(
    load: Callable[[str], ModuleType], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    lines = load("tables")
    monkeypatch.setattr(lines, "SHARED", tmp_path)
    (tmp_path / "here").mkdir()
    assert lines.data("here") == tmp_path / "here"
    with pytest.raises(lines.LeftOut, match="shared/data/bfcl is not beside the repository"):
        lines.data("bfcl")


async def test_a_guard_with_a_hole_is_seen(load: Callable[[str], ModuleType], monkeypatch: pytest.MonkeyPatch) -> None:
    urls = load("calling.urls")
    (tight,) = await urls.urls()
    assert tight.met
    assert tight.found.startswith("0 of 79")

    def open_to_all(**settings: object) -> Egress:
        given = {**settings, "allow_private": tuple(f"127.0.0.1:{port}" for port in settings["ports"])}  # type: ignore[attr-defined]
        return Egress.model_validate(given)

    monkeypatch.setattr(urls, "Egress", open_to_all)
    (loose,) = await urls.urls()
    assert not loose.met
    assert any("direct" in detail for detail in loose.details)


async def test_sql_that_gets_through_is_seen(
    load: Callable[[str], ModuleType], monkeypatch: pytest.MonkeyPatch
) -> None:
    databases = load("calling.databases")
    assert [line.met for line in await databases.hostile()] == [True, True, True]
    monkeypatch.setattr(databases, "REFUSED", ["DROP TABLE artist", "SELECT 1"])
    monkeypatch.setattr(databases, "RUNAWAY", ["SELECT 2"])
    refused, stopped, unchanged = await databases.hostile()
    assert (refused.met, refused.found, refused.details[0]) == (False, "1 of 2", "SQL, let through: SELECT 1")
    assert (stopped.met, unchanged.met) == (False, True)


async def test_of_three_calls_side_by_side_the_good_one_is_kept(load: Callable[[str], ModuleType]) -> None:
    (line,) = await load("calling.executing").together()
    assert line.found.startswith("kept")
