"""Values as a journal stores them: what has grown shares what was there, and comes back as it was."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ragweave.orchestrator.errors import JournalError
from ragweave.orchestrator.running.events import Event
from ragweave.orchestrator.stores import decoding
from ragweave.orchestrator.stores.decoding import Decoder
from ragweave.orchestrator.stores.encoding import CHUNK, FAN, Encoder, digest_with, written
from ragweave.orchestrator.values import BlobPart, Message, TextPart, ToolCall

DIGEST = digest_with(None)
MESSAGES = [Message.of("user", f"{number} is said at some length, {'over and over, ' * 20}") for number in range(700)]

_TEXTS = st.sampled_from(["", "short", "long \U0001f600 " * 40, '"]}' * 120, "\ud83d" * 300])
_PARTS = st.one_of(_TEXTS.map(lambda text: TextPart(text=text)), st.just(BlobPart(type="image", blob="a" * 64)))
_CALLS = st.just(ToolCall(id="1", name="look", arguments={"d": {"l": ["x" * 300]}}))
ANY_MESSAGE = st.builds(
    Message,
    role=st.sampled_from(["user", "assistant", "tool"]),
    parts=st.lists(_PARTS, max_size=2).map(tuple),
    tool_calls=st.lists(_CALLS, max_size=1).map(tuple),
    tool_call_id=st.sampled_from(["", "1"]),
)


class Shelf:
    """Stored values, as a database has them."""

    def __init__(self) -> None:
        self.bodies: dict[bytes, bytes] = {}
        self.encoder = Encoder(DIGEST)

    def put(self, value: object) -> tuple[str, int, int]:
        """The line of an event with this value; how many stored values it names, and how many it brings."""
        line = self.encoder.line(Event("finished", "", "recall", 1, {"value": value}).record())
        self.encoder.trust(line)
        self.bodies |= {piece.hash: piece.body for piece in line.pieces}
        return line.text, len(line.refs), len(line.pieces)

    def get(self, text: str) -> object:
        """The value of such a line."""
        return Decoder(self._fetch, DIGEST).events([text])[0].data["value"]

    def _fetch(self, names: list[bytes]) -> Mapping[bytes, bytes]:
        return {name: self.bodies[name] for name in names if name in self.bodies}


def test_a_conversation_that_has_grown_names_few_parts_and_brings_fewer() -> None:
    shelf = Shelf()
    for count in range(2, len(MESSAGES), 2):
        _, named, brought = shelf.put(MESSAGES[:count])
        levels = 1
        while CHUNK * FAN**levels < count:
            levels += 1
        assert named <= levels * FAN + 1
        assert brought <= 2 + 1 + levels, "two messages, the last chunk, and the parts that it completes"


@given(st.lists(st.sampled_from([CHUNK - 1, CHUNK, CHUNK + 1, CHUNK * FAN - 1, 1, 2, 7, 100]), min_size=1, max_size=5))
@settings(max_examples=30, deadline=None)
def test_lists_of_all_lengths_come_back(steps: list[int]) -> None:
    shelf = Shelf()
    lines = []
    count = 0
    for step in steps:
        count = min(count + step, len(MESSAGES))
        lines.append((count, shelf.put(MESSAGES[:count])[0]))
    for count, text in lines:
        assert shelf.get(text) == [message.model_dump(mode="json") for message in MESSAGES[:count]]


def test_a_long_text_is_stored_as_it_is_and_half_a_surrogate_pair_as_json() -> None:
    for text, body in (
        ('"Öl" \n' * 100, b'T"\xc3\x96l" \n"'),
        ("x" * 5000, b"Txxxx"),
        ("\ud83d" * 300, b'J"\\ud83d\\ud83d'),
    ):
        shelf = Shelf()
        line, _, _ = shelf.put(text)
        (stored,) = shelf.bodies.values()
        assert stored.startswith(body)
        assert shelf.get(line) == text
        assert shelf.encoder.piece(text).body == stored


@given(st.lists(st.one_of(ANY_MESSAGE, st.sampled_from(MESSAGES)), max_size=CHUNK + 3))
@settings(max_examples=60, deadline=None)
def test_messages_of_all_kinds_come_back_side_by_side(messages: list[Message]) -> None:
    shelf = Shelf()
    for value in (messages, [*messages, ["x" * 300], "y" * 300]):
        expected = [one.model_dump(mode="json") if isinstance(one, Message) else one for one in value]
        assert shelf.get(shelf.put(value)[0]) == expected


def test_a_list_of_messages_of_one_text_is_read_as_such() -> None:
    """Else a field that messages get would make long conversations slow to load, and nobody would see why."""
    shelf = Shelf()
    shelf.put(MESSAGES[: 2 * CHUNK])
    (chunk, _) = [body[1:].decode() for body in shelf.bodies.values() if body.startswith(b'S{"l"')]
    assert len(decoding._MESSAGE.findall(chunk)) == CHUNK


def test_what_only_begins_like_a_list_of_messages_is_read_as_it_is_written() -> None:
    shelf = Shelf()
    shelf.put(MESSAGES[: CHUNK + 1])
    body = max((body for body in shelf.bodies.values() if body.startswith(b'S{"l"')), key=len)
    for changed in (body.replace(b",{", b", {"), body.replace(b"]}}]}", b"]}} ]}")):
        name = DIGEST(changed)
        shelf.bodies[name] = changed
        decoder = Decoder(shelf._fetch, DIGEST)
        assert decoder.value(f'"{written(name)}"') == [one.model_dump(mode="json") for one in MESSAGES[:CHUNK]]
    for cut in (body[:-2], body[:-1], body + b"]", body.replace(b'"]}},{', b'"]}}{', 1)):
        name = DIGEST(cut)
        shelf.bodies[name] = cut
        with pytest.raises(JournalError, match="is damaged"):
            Decoder(shelf._fetch, DIGEST).value(f'"{written(name)}"')
