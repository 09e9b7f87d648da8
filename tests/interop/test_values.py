"""Documents, messages and answers pass to LangChain and back, and nothing of them is lost on the way."""

from __future__ import annotations

import base64
import datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("langchain_core", reason="the extra 'langchain' is not installed")

from langchain_core.documents import Document as TheirDocument
from langchain_core.messages import AIMessage, AIMessageChunk, HumanMessage, RemoveMessage, SystemMessage, ToolMessage

from ragweave.orchestrator.blobs import Blobs
from ragweave.orchestrator.errors import ContractError, InputError
from ragweave.orchestrator.interop.values import fitted, ours, outward, theirs
from ragweave.orchestrator.resources import Resources
from ragweave.orchestrator.types import parse_type
from ragweave.orchestrator.values import Answer, BlobPart, Citation, Document, Message, TextPart, ToolCall, ToolResult

BROKEN: Any = {"name": "door", "args": "{", "id": "1", "error": "", "type": "invalid_tool_call"}
SHORT: Any = [("user", "a"), {"role": "ai", "content": "b"}]
PNG = b"\x89PNG\r\n\x1a\n" + b"\0" * 8
words = st.text(st.characters(codec="utf-8"), max_size=12)
documents = st.builds(
    Document,
    id=words.filter(bool),
    text=words,
    title=words,
    source=words,
    line=st.none() | st.integers(1, 9),
    offsets=st.none() | st.tuples(st.integers(0, 9), st.integers(0, 9)),
    metadata=st.dictionaries(st.sampled_from(["page", "by"]), words | st.integers() | st.lists(words)),
    score=st.floats(0, 1),
)
calls = st.lists(
    st.builds(
        ToolCall, id=words.filter(bool), name=words.filter(bool), arguments=st.dictionaries(words, st.integers())
    ),
    max_size=2,
)


@given(documents)
def test_a_document_comes_back_as_it_was(document: Document) -> None:
    assert ours(theirs(document)) == document


@given(st.sampled_from(["system", "user", "assistant", "tool"]), words, calls, words)
def test_a_message_comes_back_as_it_was(role: Any, text: str, calls: list[ToolCall], called: str) -> None:
    message = Message(
        role=role,
        parts=(TextPart(text=text),) if text else (),
        tool_calls=tuple(calls) if role == "assistant" else (),
        tool_call_id=called if role == "tool" else "",
    )
    assert ours(theirs(message)) == message


async def test_parts_travel_with_their_bytes_and_come_back_under_the_same_hash() -> None:
    resources = Resources()
    part = resources.blobs.attach(PNG, name="key.png")
    message = Message(role="user", parts=(part, TextPart(text="Whose is it?")))
    sent = await outward([message], resources)
    assert sent[0].content_blocks[0]["base64"] == base64.b64encode(PNG).decode()
    there = Blobs()
    (back,) = ours(sent, there)
    assert back.parts[0].blob == part.blob
    assert there.get(part.blob) == PNG
    assert back.parts[1] == message.parts[1]


def test_without_a_graph_a_part_is_passed_on_by_its_hash() -> None:
    part = BlobPart(type="image", blob="ab" * 32, media_type="image/png", name="key.png")
    message = Message(role="user", parts=(part,))
    assert ours(theirs(message)) == message


def test_an_image_url_with_the_bytes_in_it_is_an_image() -> None:
    data = base64.b64encode(PNG).decode()
    message = HumanMessage([{"type": "image_url", "image_url": {"url": f"data:image/png;base64,{data}"}}])
    (part,) = ours(message, Blobs()).parts
    assert (part.type, part.media_type) == ("image", "image/png")


def test_an_answer_is_a_message_with_its_citations() -> None:
    answer = Answer(
        text="Under the mat [1].", citations=(Citation(number=1, document="a", quote="mat"),), confidence=0.5
    )
    message = theirs({"answer": answer})["answer"]
    assert isinstance(message, AIMessage)
    assert message.text == "Under the mat [1]."
    assert message.response_metadata["citations"][0]["quote"] == "mat"
    assert message.response_metadata["confidence"] == 0.5


def test_a_tool_result_is_a_tool_message() -> None:
    failed = theirs(ToolResult(id="1", name="door", error="locked"))
    assert isinstance(failed, ToolMessage)
    assert (failed.content, failed.status, failed.tool_call_id) == ("locked", "error", "1")


def test_what_a_model_thought_is_left_out() -> None:
    message = AIMessage([{"type": "reasoning", "reasoning": "hm"}, {"type": "text", "text": "Yes."}])
    assert ours(message).text == "Yes."
    assert len(ours(message).parts) == 1


def test_a_document_without_an_id_gets_the_same_one_each_time() -> None:
    one, same, other = (TheirDocument(text, metadata={"source": "a"}) for text in ("x", "x", "y"))
    assert ours(one).id == ours(same).id != ours(other).id


def test_metadata_that_is_no_json_is_kept_as_text() -> None:
    document = ours(TheirDocument("x", metadata={"day": datetime.date(2026, 1, 2), "tags": {"a"}, "source": None}))
    assert document.metadata == {"day": "2026-01-02", "tags": ["a"]}
    assert document.source == ""


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (HumanMessage([{"type": "image", "url": "https://x.org/a"}]), "'https://x.org/a' comes without its bytes"),
        (HumanMessage([{"type": "image", "base64": "%%", "mime_type": "image/png"}]), "is not base64"),
        (AIMessage("", invalid_tool_calls=[BROKEN]), "'door' was called with '{'"),
        (RemoveMessage(id="1"), "of the kind 'remove'"),
    ],
)
def test_a_message_that_cannot_be_kept_is_refused(value: Any, said: str) -> None:
    with pytest.raises(InputError) as caught:
        ours(value, Blobs())
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("value", "word", "wanted"),
    [
        (AIMessage("yes"), "str", "yes"),
        (AIMessageChunk(content="yes"), "Message", Message.of("assistant", "yes")),
        ("yes", "Answer", Answer(text="yes")),
        ([SystemMessage("a"), AIMessage("b")], "Answer", Answer(text="b")),
        ("yes", "list[Message]", [Message.of("user", "yes")]),
        (
            [("user", "a"), {"role": "ai", "content": "b"}],
            "list[Message]",
            [Message.of("user", "a"), Message.of("assistant", "b")],
        ),
        ({"n": 1}, "map[int]", {"n": 1}),
        (3, "float", 3),
    ],
)
def test_a_value_is_fitted_to_its_type(value: Any, word: str, wanted: Any) -> None:
    assert fitted(value, parse_type(word)) == wanted


@pytest.mark.parametrize(
    ("value", "word", "said"),
    [
        (3, "str", "wanted is a str, and 3 came"),
        ([1, "a"], "list[int]", "wanted is a list[int]"),
        (True, "int", "wanted is an int, and True came"),
        (object(), "json", "it is no JSON"),
    ],
)
def test_a_value_that_does_not_fit_is_refused(value: Any, word: str, said: str) -> None:
    with pytest.raises(ContractError) as caught:
        fitted(value, parse_type(word))
    assert said in str(caught.value)
