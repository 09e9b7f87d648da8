"""The checks `words`, `leak` and `length`: what a text may not say, and how long it may be."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import Field, NonNegativeInt, PositiveInt, PrivateAttr, model_validator

from ragweave.orchestrator.contracts import PromptName
from ragweave.orchestrator.errors import ResourceError
from ragweave.orchestrator.guardrails.check import Check, Finding, Subject
from ragweave.orchestrator.guardrails.undecided import last_word, last_words
from ragweave.orchestrator.resources import Resources

LONGEST = 512
"""Characters that a word, or the words of which a repetition is told by, take together at most."""
_WORD = re.compile(r"\w+")
_PLACEHOLDER = re.compile(r"\{\{.*?\}\}|\{%.*?%\}|\{#.*?#\}", re.DOTALL)


class Words(Check, type="words"):
    """Words and phrases that must not be said. Whole words count, in any case and width of letters."""

    words: list[str] = Field([], description="The words and phrases.")
    file: str | None = Field(None, min_length=1, description="A file with one of them a line; # begins a comment.")
    _listed: Any = PrivateAttr(default=None)

    @model_validator(mode="after")
    def _some(self) -> Words:
        if not self.words and self.file is None:
            raise ValueError("say what must not be said, by 'words' or 'file'")
        for word in self.words:
            if not word.strip() or len(word) > LONGEST:
                raise ValueError(f"a word has 1 to {LONGEST} characters, and {word[:20]!r} has {len(word.strip())}")
        return self

    def check_files(self, folder: Path) -> None:
        """Raise ResourceError where the file cannot be read or has no words."""
        self._read(folder)

    def open(self, resources: Resources) -> None:
        """Read the file."""
        self._listed = _either([*self.words, *self._read(resources.folder)])

    @property
    def window(self) -> int | None:
        """That of the longest phrase."""
        return LONGEST + 1

    async def find(self, text: str, subject: Subject) -> Sequence[Finding]:
        """The places of the words; which one it is stands in no reason."""
        listed, shape = self._listed if self._listed is not None else _either(self.words)
        folded, places = _folded(text)
        if not any(word in folded for word in listed):
            return []
        return [
            Finding(places[match.start()], places[match.end()], "WORD", "a word that must not be said")
            for match in shape.finditer(folded)
        ]

    def _read(self, folder: Path) -> list[str]:
        if self.file is None:
            return []
        path = folder / self.file
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise ResourceError(
                f"file: {self.file!r} cannot be read: {getattr(error, 'strerror', None) or error}"
            ) from None
        words = [line.strip() for line in lines if line.strip() and not line.lstrip().startswith("#")]
        if not words or max(map(len, words)) > LONGEST:
            raise ResourceError(f"file: {self.file!r} has no words, or one of more than {LONGEST} characters")
        return words


class Leak(Check, type="leak"):
    """What a model was told and must not repeat: texts such as a canary, letter by letter, and parts of a prompt.

    A part is a run of `words` words that stand so in the prompt too, whatever stands between them.
    """

    texts: list[str] = Field([], description="Texts that must never be said, such as a canary that the prompt has.")
    prompt: PromptName | None = Field(None, description="A prompt of which no part may be repeated.")
    words: int = Field(8, ge=4, le=32, description="How many words in a row are a part of the prompt.")
    _runs: Any = PrivateAttr(default=frozenset())

    @model_validator(mode="after")
    def _some(self) -> Leak:
        if not self.texts and self.prompt is None:
            raise ValueError("say what must not be repeated, by 'texts' or 'prompt'")
        if not all(4 <= len(text) <= LONGEST for text in self.texts):
            raise ValueError(f"each of 'texts' has 4 to {LONGEST} characters")
        return self

    def open(self, resources: Resources) -> None:
        """Read the prompt. Raises ResourceError where it is wrong."""
        if self.prompt is not None:
            written = " ".join(section.text for section in resources.get("prompts", self.prompt).source.sections)
            said = [match[0].casefold() for match in _WORD.finditer(_PLACEHOLDER.sub("\n", written))]
            self._runs = frozenset(tuple(said[at : at + self.words]) for at in range(len(said) - self.words + 1))

    @property
    def window(self) -> int | None:
        """That of a part of the prompt, with words of any length."""
        return LONGEST * 4

    def decided(self, text: str) -> int:
        """All but so many words as are a part, and what may be the beginning of a text."""
        longest = max((len(one) for one in self.texts), default=0)
        cut = last_words(text, self.words, LONGEST * 4) if self._runs else last_word(text, LONGEST)
        return max(0, min(cut, len(text) - longest))

    async def find(self, text: str, subject: Subject) -> Sequence[Finding]:
        """The places of what was repeated."""
        found = [match.span() for one in self.texts for match in re.finditer(re.escape(one), text, re.IGNORECASE)]
        said = list(_WORD.finditer(text)) if self._runs else []
        folded = [match[0].casefold() for match in said]
        found += [
            (said[at].start(), said[at + self.words - 1].end())
            for at in range(len(said) - self.words + 1)
            if tuple(folded[at : at + self.words]) in self._runs
        ]
        return [Finding(*place, "LEAK", "it repeats what the model was told in confidence") for place in _joined(found)]


class Length(Check, type="length"):
    """A text that is too long or too short."""

    max_chars: PositiveInt | None = Field(None, description="Characters that a text may have.")
    min_chars: NonNegativeInt = Field(0, description="Characters that a text has to have, without spaces around it.")
    max_words: PositiveInt | None = Field(None, description="Words that a text may have.")

    @model_validator(mode="after")
    def _some(self) -> Length:
        if self.max_chars is None and self.max_words is None and not self.min_chars:
            raise ValueError("say how long a text may be, by 'max_chars', 'max_words' or 'min_chars'")
        return self

    @property
    def window(self) -> int | None:
        """None where a text may also be too short."""
        return None if self.min_chars else LONGEST

    def decided(self, text: str) -> int:
        """All but the last word, which may be one too many when it has begun."""
        return 0 if self.min_chars else last_word(text, LONGEST)

    async def find(self, text: str, subject: Subject) -> Sequence[Finding]:
        """What is too much; of what is too short, all."""
        if len(text.strip()) < self.min_chars:
            return [Finding(0, len(text), "TOO_SHORT", f"it has less than {self.min_chars:,} characters")]
        begins = [len(text) if self.max_chars is None else self.max_chars]
        if self.max_words is not None:
            begins += [match.start() for place, match in enumerate(_WORD.finditer(text)) if place == self.max_words]
        begin = min(begins)
        if begin >= len(text):
            return []
        limit = f"{self.max_chars:,} characters" if begin == self.max_chars else f"{self.max_words:,} words"
        return [Finding(begin, len(text), "TOO_LONG", f"it has more than {limit}")]


def _either(words: Sequence[str]) -> tuple[Sequence[str], re.Pattern[str]]:
    """The words as they are looked for, and what finds each where it stands as a word."""
    folded = sorted({_folded(word.strip())[0] for word in words}, key=len, reverse=True)
    return folded, re.compile("|".join(rf"(?<!\w){re.escape(word)}(?!\w)" for word in folded))


def _folded(text: str) -> tuple[str, Sequence[int]]:
    """The text in one case and width, and the place in the text of each of its characters, and of its end."""
    plain = {ord(sign): unicodedata.normalize("NFKC", sign).casefold() for sign in set(text) if not sign.isascii()}
    if all(len(folded) == 1 for folded in plain.values()):
        return text.translate(plain).lower(), range(len(text) + 1)
    pieces, places = list[str](), list[int]()
    for at, sign in enumerate(text):
        folded = plain.get(ord(sign)) or sign.lower()
        pieces.append(folded)
        places += [at] * len(folded)
    return "".join(pieces), [*places, len(text)]


def _joined(places: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    joined: list[tuple[int, int]] = []
    for begin, end in sorted(places):
        if joined and begin <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(joined[-1][1], end))
        else:
            joined.append((begin, end))
    return joined
