"""Values as a journal stores them: what has grown shares what was there, and comes back as it was."""

from __future__ import annotations

from collections.abc import Mapping

from hypothesis import given, settings
from hypothesis import strategies as st

from ragweave.orchestrator.running.events import Event
from ragweave.orchestrator.stores.decoding import Decoder
from ragweave.orchestrator.stores.encoding import CHUNK, FAN, Encoder, digest_with
from ragweave.orchestrator.values import Message

DIGEST = digest_with(None)
MESSAGES = [Message.of("user", f"{number} is said at some length, {'over and over, ' * 20}") for number in range(700)]


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
