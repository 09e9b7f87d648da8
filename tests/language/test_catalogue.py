"""What `ragweave nodes` shows."""

from __future__ import annotations

from typing import Literal

import pytest
from pydantic import BaseModel, SecretStr

from ragweave.orchestrator.builtin import TABLE
from ragweave.orchestrator.errors import PluginError
from ragweave.orchestrator.language.catalogue import Setting, catalogue, describe, settings_of
from ragweave.orchestrator.language.policies import Duration
from ragweave.orchestrator.node import node
from tests.language.samples import Said


def test_a_type_says_what_it_takes_and_does() -> None:
    entry = describe("nodes", "say")
    assert (entry.summary, entry.text) == ("Say a text.", "Nothing more.")
    assert entry.settings == (
        Setting("text", "str", "", True, "What is said."),
        Setting("times", "int > 0", "1", False, "How often it is said."),
        Setting("mood", "calm | merry", "calm"),
        Setting("loud", "bool", "false"),
    )
    assert entry.reads == {"question": "str", "name": "str?"}
    assert entry.writes == {"answer": "str"}
    assert entry.example == "greet: {type: say, text: Hello.}"
    assert (entry.effects, entry.idempotent, entry.by_settings) == ("none", False, False)


def test_effects_and_names_of_resources_are_shown() -> None:
    assert (describe("nodes", "save").effects, describe("nodes", "save").idempotent) == ("write", True)
    find = describe("nodes", "find")
    assert find.settings[0] == Setting("retriever", "name of one of retrievers", "shelf")
    assert find.settings[2].kind == "secret text"
    assert find.writes == {"documents": "list[Document]", "hint": "str?"}
    assert find.example == "find: {type: find}"
    assert describe("models", "remote").settings[0] == Setting("url", "str", "", True)
    assert describe("nodes", "moody").by_settings


def test_a_function_is_a_type_like_any_other() -> None:
    @node(name="shout")
    def shout(question: str) -> Said:
        """Shout it."""
        return {"answer": question}

    entry = describe("nodes", "shout")
    assert (entry.summary, entry.settings, entry.example) == ("Shout it.", (), "shout: {type: shout}")


def test_what_cannot_be_imported_is_listed_with_the_reason() -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(TABLE["nodes"], "gone", "ragweave.gone:Gone")
        assert describe("nodes", "gone").fault.startswith("ModuleNotFoundError")
        assert [entry.name for entry in catalogue("nodes") if entry.fault] == ["gone"]


def test_an_unknown_type_says_which_was_meant() -> None:
    with pytest.raises(PluginError, match="there is no node type 'sya'; did you mean 'say'"):
        describe("nodes", "sya")


class Many(BaseModel):
    """Settings of every kind."""

    a: list[str] = []
    b: dict[str, int] = {}
    c: int | None = None
    d: Duration = 30.0
    e: Literal[1, 2] = 1
    f: dict[str, SecretStr] = {}
    g: str = ""
    h: tuple[int, ...] = (1, 2)
    i: float | str = "x y"


def test_kinds_and_defaults_are_said_in_words() -> None:
    found = {setting.name: (setting.kind, setting.default) for setting in settings_of(Many)}
    assert found == {
        "a": ("list[str]", "[]"),
        "b": ("map[int]", "{}"),
        "c": ("int", "null"),
        "d": ("duration", "30.0"),
        "e": ("1 | 2", "1"),
        "f": ("map of secret text", "{}"),
        "g": ("str", "''"),
        "h": ("list[int]", "[1, 2]"),
        "i": ("float | str", "x y"),
    }


@pytest.mark.parametrize("kind", ["nodes", "models", "embedders", "retrievers", "rerankers", "prompts", "merges"])
def test_everything_that_comes_with_ragweave_can_be_described(kind: str) -> None:
    own = [entry for entry in catalogue(kind) if entry.name in TABLE[kind]]  # other tests define types too
    assert len(own) == len(TABLE[kind])
    for entry in own:
        assert not entry.fault, f"{entry.name}: {entry.fault}"
        if kind != "prompts":
            assert entry.summary, entry.name
        assert all(setting.description for setting in entry.settings if kind == "nodes")
