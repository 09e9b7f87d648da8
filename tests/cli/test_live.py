"""A text that grows and changes on a terminal: what is seen in the end is the text."""

from __future__ import annotations

import io
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragweave.cli.live import LiveText, wrap
from ragweave.cli.terminal import cells, clean

COLUMNS = 20
TEXT = st.text(st.sampled_from("ab c\n日"), max_size=80)


class Screen(io.StringIO):
    """As much of a terminal as is needed: it knows how to go up, to the left, and to clear what is below."""

    def shown(self) -> str:
        lines, row, column = [""], 0, 0
        text = self.getvalue()
        at = 0
        while at < len(text):
            if text.startswith("\x1b[J", at):
                lines = [*lines[:row], lines[row][:column]]
                at += 3
            elif text.startswith("\x1b[", at):
                end = text.index("A", at)
                row -= int(text[at + 2 : end])
                at = end + 1
            elif text[at] == "\r":
                column, at = 0, at + 1
            elif text[at] == "\n":
                row, column, at = row + 1, 0, at + 1
                lines += [""] * (row + 1 - len(lines))
            else:
                lines[row] = lines[row][:column] + text[at]
                column, at = column + 1, at + 1
        return "\n".join(line.rstrip() for line in lines)


@pytest.fixture(autouse=True)
def _terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", str(COLUMNS + 1))
    monkeypatch.setenv("LINES", "200")


@given(pieces=st.lists(TEXT, max_size=6), final=TEXT)
def test_the_screen_shows_the_last_text(pieces: list[str], final: str) -> None:
    assert os.environ["COLUMNS"] == str(COLUMNS + 1)
    screen = Screen()
    live = LiveText(screen)
    live.status("retrieve")
    for piece in pieces:
        live.add(piece)
        assert screen.shown() == "\n".join(line.rstrip() for line in wrap("".join(live.text), COLUMNS))
    live.change(final)
    assert screen.shown() == "\n".join(line.rstrip() for line in wrap(final, COLUMNS))


@given(text=TEXT, room=st.integers(2, 30))
def test_no_line_is_too_wide_and_no_word_is_lost(text: str, room: int) -> None:
    lines = list(wrap(text, room))
    assert all(cells(line.rstrip()) <= room for line in lines)
    assert "".join("".join(lines).split()) == "".join(text.split())
    assert len(lines) >= text.count("\n") + 1


def test_words_are_kept_whole() -> None:
    assert list(wrap("one two  three\n    four five", 9)) == ["one two", "three", "    four", "five"]


def test_a_status_disappears_when_there_is_something_to_read() -> None:
    screen = Screen()
    live = LiveText(screen)
    live.status("retrieve")
    assert screen.shown() == "retrieve…"
    live.add("Tea.")
    live.status("grade")
    live.finish()
    assert screen.shown() == "Tea.\n"


def test_a_status_alone_leaves_nothing_behind() -> None:
    screen = Screen()
    live = LiveText(screen)
    live.status("retrieve")
    live.finish()
    assert screen.shown() == ""


def test_a_notice_does_not_tear_a_text_apart(capsys: pytest.CaptureFixture[str]) -> None:
    screen = Screen()
    live = LiveText(screen)
    live.status("answer")
    live.notice("at once")
    assert capsys.readouterr().err == "at once\n"
    assert screen.shown() == "answer…"
    live.add("Tea")
    live.notice("later")
    assert capsys.readouterr().err == ""
    live.finish()
    assert capsys.readouterr().err == "later\n"


def test_what_has_scrolled_away_is_written_again_below(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LINES", "5")
    screen = Screen()
    live = LiveText(screen)
    live.add("\n".join("abcdefgh"))
    live.change("other")
    assert screen.shown().endswith("h\n\nother")


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("plain café\n\tdone", "plain café\n\tdone"),
        ("\x1b[31mred\x07", "[31mred"),
        ("a\r\nb\rc", "a\nb\nc"),
        ("right\u202eleft\u200bzero", "rightleftzero"),
        ("\ud800", ""),
    ],
)
def test_control_characters_are_left_out(text: str, cleaned: str) -> None:
    assert clean(text) == cleaned
