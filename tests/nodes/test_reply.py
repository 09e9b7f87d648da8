"""The node that says a fixed text."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragweave.orchestrator.context import Context
from ragweave.orchestrator.node import Read
from ragweave.orchestrator.nodes.reply import Reply
from ragweave.orchestrator.resources import Resources
from ragweave.orchestrator.texts.placeholders import placeholders
from ragweave.orchestrator.types import JSON
from ragweave.orchestrator.values import Answer
from tests.support.listening import Listening


async def said(text: str, **state: Any) -> str:
    ctx = Listening()
    answer = (await Reply(text=text)(ctx=ctx, **state))["answer"]
    assert "".join(ctx.streamed) == answer.text
    return answer.text


async def test_a_fixed_text_is_streamed_and_is_the_answer() -> None:
    answer = (await Reply(text="I could not find that.", confidence=0)(ctx=Context()))["answer"]
    assert answer == Answer(text="I could not find that.", confidence=0.0)
    assert (await Reply(text="Hi")(ctx=Context()))["answer"].confidence == 1.0


async def test_keys_of_the_state_stand_in_braces() -> None:
    node = Reply(text="{question}? {{not}} {count} {question}")
    assert node.signature(Resources()).reads == {"question": Read(JSON), "count": Read(JSON)}
    assert set(node.signature(Resources()).writes) == {"answer"}
    assert await said(node.text, question="Why", count=2) == "Why? {not} 2 Why"


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (Answer(text="So."), "So."),
        (["a", Answer(text="b"), 3], "a, b, 3"),
        ({"a": "é"}, '{"a": "é"}'),
        (True, "true"),
        (None, ""),
        (0.5, "0.5"),
        ("{question} {0}", "{question} {0}"),
    ],
)
async def test_values_are_shown_as_a_person_reads_them(value: Any, shown: str) -> None:
    assert await said("{x}", x=value) == shown


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "}",
        "a {b",
        "{a.b}",
        "{a[0]}",
        "{a!r}",
        "{a:>99999999999}",
        "{}",
        "{0}",
        "{a b}",
        '{"json": 1}',
        "{__class__.x}",
    ],
)
def test_braces_that_are_no_plain_key_are_refused_with_the_way_out(text: str) -> None:
    with pytest.raises(ValueError, match=r"braces that are meant as such"):
        Reply(text=text)


@given(st.text())
async def test_any_text_can_be_said_with_its_braces_doubled(text: str) -> None:
    doubled = text.replace("{", "{{").replace("}", "}}")
    assert placeholders(doubled) == []
    if text:
        assert await said(doubled) == text
