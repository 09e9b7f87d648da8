"""The names in a text: what stands in capital letters, and what the title of a document calls it."""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from ragweave.retrievers.indexes.words import STOP_WORDS

if TYPE_CHECKING:
    import numpy.typing as npt

    Keys = npt.NDArray[Any]

LONGEST = 6
"""Words that a name inside of a text has at most; a title may have twice as many."""
_LONGEST_RUN = 12

_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")
_IN_BRACKETS = re.compile(r"\s*\([^()]*\)\s*$")
_ENDS_SENTENCE = re.compile(r"[.!?:;\n“\"]")
_JOINS_WORDS = frozenset((" ", "-", "–", " & ", "/", ". "))
_INSIDE = frozenset(
    [
        "a",
        "al",
        "and",
        "at",
        "da",
        "de",
        "del",
        "della",
        "den",
        "der",
        "di",
        "du",
        "el",
        "for",
        "in",
        "la",
        "le",
        "of",
        "on",
        "the",
        "to",
        "van",
        "von",
        "y",
    ]
)
_STOPPED = frozenset(STOP_WORDS)
_ARTICLES = frozenset(("the", "a", "an"))


def names_in(text: str) -> set[str]:
    """The names in a text, in small letters: runs of capitalised words ("Bank of England"), and the parts of each.

    A capitalised word that stands alone at the beginning of a sentence is a name only if it is one elsewhere in the
    text. A language without capital letters has no names.
    """
    runs = list(_runs(text))
    within = {word for begins, run in runs for word in run[begins:]}
    found: set[str] = set()
    for begins, run in runs:
        if len(run) > 1 or not begins or run[0] in within:
            found.update(_parts(run))
    return found


def title_names(title: str) -> list[str]:
    """What a title calls its document: all of it but brackets at its end, and what stands before its first comma."""
    whole = _IN_BRACKETS.sub("", title).strip()
    found = []
    for called in (whole, whole.split(",")[0]):
        words = without_article(plain_words(called))
        if words and _is_name(words):
            found.append(" ".join(words[:_LONGEST_RUN]))
    return list(dict.fromkeys(found))


def all_names(title: str, text: str) -> set[str]:
    """The names in a passage and in its title, which is a name whatever its letters are."""
    found = names_in(text)
    for name in title_names(title):
        found.update(_parts(name.split()))
        found.add(name)
    return found


def plain_words(text: str) -> list[str]:
    """The words of a text in small letters, without the 's of a genitive."""
    return [_bare(match.group().lower()) for match in _WORD.finditer(text)]


def spoken(question: str, limit: int) -> tuple[list[str], list[bool]]:
    """The first words of a question as `plain_words` has them, and which begin with a capital letter or a digit."""
    words = _WORD.findall(question)[:limit]
    return [_bare(word.lower()) for word in words], [word[0].isupper() or word[0].isdigit() for word in words]


def keys(names: Iterable[str]) -> Keys:
    """Names as numbers of 32 bits, in order.

    Of a million names one in four thousand shares its number with another: now and then a link is none.
    """
    import numpy as np

    return np.array([zlib.crc32(name.encode("utf-8", "replace")) for name in names], np.uint32).view(np.int32)


def keys_of_spans(words: Sequence[str], longest: int) -> tuple[Keys, list[tuple[int, int]]]:
    """The keys of each run of up to `longest` words that may be a name, and where they begin and end."""
    import numpy as np

    made: list[int] = []
    spans: list[tuple[int, int]] = []
    written = [word.encode("utf-8", "replace") for word in words]
    spaced = [b" " + word for word in written]
    ends = [word not in _INSIDE for word in words]
    crc = zlib.crc32
    for start, first in enumerate(words):
        if first in _ARTICLES:
            continue
        number = crc(written[start])
        if ends[start]:
            made.append(number)
            spans.append((start, start + 1))
        for end in range(start + 1, min(len(words), start + longest)):
            number = crc(spaced[end], number)
            if ends[end]:
                made.append(number)
                spans.append((start, end + 1))
    return np.array(made, np.uint32).view(np.int32), spans


def without_article(words: list[str]) -> list[str]:
    """Words without the article before them, if there are others."""
    return words[1:] if len(words) > 1 and words[0] in _ARTICLES else words


def is_stopped(words: Iterable[str]) -> bool:
    """True if these are only words that stand in every text."""
    return all(word in _STOPPED for word in words)


def _runs(text: str) -> Iterator[tuple[bool, list[str]]]:
    """Words in capitals that belong together, and whether a sentence begins with them."""
    run: list[str] = []
    waiting: list[str] = []
    begins, end = True, 0
    for match in _WORD.finditer(text):
        word, gap, first = match.group(), text[end : match.start()], end == 0
        end = match.end()
        joined = bool(run) and gap in _JOINS_WORDS and not _is_stop(gap, run, waiting) and len(run) < _LONGEST_RUN
        if not (word[0].isupper() or word[0].isdigit()):
            if run and joined and word in _INSIDE and len(waiting) < 2:
                waiting.append(word)
            elif run:
                yield begins, run
                run, waiting = [], []
            continue
        if not joined:
            if run:
                yield begins, run
            run, waiting = [], []
            begins = first or bool(_ENDS_SENTENCE.search(gap))
            if word.lower() in _STOPPED:
                continue
        small = word.lower()
        bare = _bare(small)
        run += [*waiting, bare]
        waiting = []
        if bare != small:
            yield begins, run
            run = []
    if run:
        yield begins, run


def _is_stop(gap: str, run: Sequence[str], waiting: Sequence[str]) -> bool:
    """True for the period that ends a sentence; one behind an initial or a short title (B. Reeves) does not."""
    return gap == ". " and (bool(waiting) or len(run[-1]) > 2)


def _parts(words: Sequence[str]) -> Iterator[str]:
    for start, first in enumerate(words):
        if first not in _INSIDE:
            for end in range(start + 1, min(len(words), start + LONGEST) + 1):
                part = words[start:end]
                if part[-1] not in _INSIDE and _is_name(part):
                    yield " ".join(part)


def _is_name(words: Sequence[str]) -> bool:
    if len(words) == 1 and (len(words[0]) < 3 or words[0] in _STOPPED):
        return False
    return any(len(word) > 1 and not word.isdigit() for word in words)


def _bare(word: str) -> str:
    return word[:-2] if word.endswith(("'s", "’s")) else word
