"""The prompts that come with ragweave."""

from __future__ import annotations

import subprocess
import sys

import pytest

from ragweave.orchestrator import registry
from ragweave.orchestrator.errors import ResourceError
from ragweave.orchestrator.resources import Resources
from ragweave.orchestrator.values import Document, Message, Verdict
from ragweave.prompts import library
from ragweave.prompts.template import Prompt, check


def get(name: str) -> Prompt:
    prompt = Resources().get("prompts", name)
    assert isinstance(prompt, Prompt)
    return prompt


@pytest.mark.parametrize("name", library.names())
def test_each_is_sound_named_versioned_described_and_registered(name: str) -> None:
    prompt = get(name)
    check(prompt.source)
    assert prompt.name == name
    assert prompt.version.isdigit()
    assert prompt.source.description
    assert all(variable.description for variable in prompt.variables.values())
    assert registry.find("prompts", name) is not None


def test_passages_are_numbered_with_title_and_place() -> None:
    documents = [
        Document(id="a", text="Cloves and mace.", title="Garam masala", source="spices.md", line=12),
        Document(id="b", text="Nothing here."),
    ]
    messages = get("answer_with_citations").render(
        question="Which?", documents=documents, history=[Message.of("user", "Hello")]
    )
    assert [message.role for message in messages] == ["system", "user", "user"]
    assert messages[2].text == (
        "[1] Garam masala (spices.md, line 12)\n\nCloves and mace.\n\n[2]\n\nNothing here.\n\nQuestion: Which?"
    )
    assert get("answer_with_citations").abstention in messages[0].text


def test_no_passages_are_said_to_be_none() -> None:
    messages = get("answer_with_citations").render(question="Which?", documents=[])
    assert messages[-1].text == "(There are no passages.)\n\nQuestion: Which?"


def test_decompose_shows_the_conversation_and_what_was_missing_only_where_there_is_some() -> None:
    prompt = get("decompose")
    plain = prompt.render(question="Which?", max_queries=4)
    assert "at most 4 lines" in " ".join(plain[0].text.split())
    assert plain[1].text == "Question: Which?"
    full = prompt.render(
        question="And it?",
        max_queries=4,
        history=[Message.of("user", "What is mace?"), Message.of("assistant", "A spice.")],
        verdict=Verdict(passed=False, missing=("price", "origin")),
    )
    assert full[1].text == (
        "The conversation so far:\n\nuser: What is mace?\nassistant: A spice.\n\n"
        "An earlier search left these points open. Write queries for them: price; origin\n\nQuestion: And it?"
    )


def test_a_name_that_is_not_there_and_a_setting_that_is_not_there_are_named() -> None:
    with pytest.raises(AttributeError, match="no 'decompos'; did you mean 'decompose'"):
        library.decompos  # noqa: B018
    with pytest.raises(ResourceError, match=r"'decompose' has no setting 'text'; copy decompose\.md"):
        library.decompose(text="x")


def test_building_one_does_not_load_jinja() -> None:
    code = (
        "import sys; from ragweave.orchestrator.resources import Resources;"
        "Resources().get('prompts', 'answer_with_citations'); sys.exit('jinja2' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
