"""Event streams, cut in every way."""

from __future__ import annotations

import itertools
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragweave.orchestrator.errors import ModelError
from ragweave.orchestrator.models.chat_completions import CompletionReader
from ragweave.orchestrator.models.sse import Event, EventParser

LINES = st.one_of(
    st.text(alphabet=st.sampled_from("dat:é \t{}x"), max_size=8),
    st.text(max_size=6).map(lambda text: f"data:{text}"),
    st.sampled_from(["", "", "data", "data: ", ": ping", "event: done", "id: 1", "retry: 5", "data: [DONE]"]),
)
STREAMS = st.lists(st.tuples(LINES, st.sampled_from(["\n", "\r", "\r\n"])), max_size=20).map(
    lambda lines: "".join(line + end for line, end in lines).encode()
)


def parsed(pieces: list[bytes]) -> list[Event]:
    parser = EventParser()
    return [event for piece in pieces for event in parser.feed(piece)] + parser.end()


def cut(data: bytes, places: list[int]) -> list[bytes]:
    marks = sorted({place % (len(data) + 1) for place in places} | {0, len(data)})
    return [data[start:end] for start, end in itertools.pairwise(marks)]


@given(STREAMS, st.lists(st.integers(0, 400), max_size=12))
def test_the_events_do_not_depend_on_how_the_bytes_are_cut(data: bytes, places: list[int]) -> None:
    whole = parsed([data])
    assert parsed(cut(data, places)) == whole
    assert parsed([data[index : index + 1] for index in range(len(data))]) == whole


@given(st.lists(st.text(alphabet=st.characters(exclude_characters="\r\n", exclude_categories=["Cs"])), max_size=5))
def test_what_was_sent_is_what_is_read(texts: list[str]) -> None:
    sent = "".join(f"data: {text}\n\n" for text in texts).encode()
    assert [event.data for event in parsed([sent])] == texts


def test_the_format_is_that_of_the_standard() -> None:
    stream = b"\xef\xbb\xbfevent: a\r\ndata: one\rdata:two\n\n: note\n\ndata\n\nid: 7\n\ndata: cut"
    assert parsed([stream]) == [Event("one\ntwo", "a"), Event("")]


def test_an_event_without_end_is_given_up() -> None:
    parser = EventParser(limit=100)
    for _ in range(7):
        parser.feed(b"data: 12345678")
    with pytest.raises(ValueError, match="longer than 100 bytes"):
        parser.feed(b"data: 12345678")


# The keys of the wire format, so that the fuzzer meets the code that reads them.
NAMES = ["choices", "delta", "message", "content", "tool_calls", "function", "index", "id", "name", "arguments"]
NAMES += ["usage", "prompt_tokens", "error", "code", "finish_reason", "refusal"]
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-9, 9)
    | st.just(float("inf"))
    | st.text(max_size=4)
    | st.sampled_from(["stop", "length"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(NAMES),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(st.lists(st.one_of(JSON.map(json.dumps), st.text(max_size=10)), max_size=5), st.booleans())
def test_whatever_a_server_sends_is_a_reply_or_a_model_error(objects: list[str], streamed: bool) -> None:
    reader = CompletionReader(server="http://x", model="m", max_tokens=None, streamed=streamed, redacted=str)
    try:
        for text in objects:
            reader.feed(f"data: {text}\n\n".encode("utf-8", "replace") if streamed else text.encode("utf-8", "replace"))
        reader.end()
        assert reader.finish().usage is not None
    except ModelError:
        pass
