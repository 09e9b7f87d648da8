"""Names in passages that may lead on to the next one: bridge entities, by rules."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from ragweave.orchestrator.models.extraction.segments import segments
from ragweave.orchestrator.models.extraction.words import related, stem, stems, weight
from ragweave.orchestrator.values import Document

_LINK = re.compile(r"(?<!!)\[\[?([^\[\]|\n]{2,80})(?:\|[^\[\]\n]{1,200})?\](?:\]|\([^()\s]{1,500}\))")
_CAPITAL = r"[A-ZÀ-ÖØ-ÞĀ-ŽΑ-ΩА-ЯЁ]"
_WITHIN = r"(?:of|the|&|for|in|on|de|da|di|del|du|la|le|van|von|der|den|al|ibn|bin)"
_NAME = re.compile(rf"(?<![\w-]){_CAPITAL}[\w'’.-]*(?:\s+(?:{_WITHIN}\s+){{0,2}}(?:{_CAPITAL}[\w'’.-]*|\d+\b))*")
_CALENDAR = (
    r"(?:January|February|March|April|May|June|July|August|September|October|November|December"
    r"|Monday|Tuesday|Wednesday|Thursday|Friday|Saturday|Sunday)"
)
_DATE = re.compile(rf"(?:(?:of|in|on|and|from|to)\s+|{_CALENDAR}|\d+|[\s.,–-])+")
_DATE_FIRST = re.compile(rf"^{_CALENDAR}\s+\d+\s+")
_DATED = re.compile(rf"\s+(?:(?:of|in|on|and|for|at)\s+)?(?:{_CALENDAR}(?:\s+\d+)?|\d{{3,4}})$")
_PARENTHESIS = re.compile(r"\s*\([^()]*\)")
_SPELLED = re.compile(r"[^\W_]+(?:['’-][^\W_]+)*")
_LONGEST = 6
"""Words of a name. More are a table, or a title in capitals."""

# What speaks for a name, as parts of the score of the passage that holds it. All were tried from nothing to twice as
# much: no set of questions moved by more than two in a hundred.
_ANY = 0.5
_NEAR = 1.0
"""For all words of the question in the name's own sentence."""
_OF_DOCUMENT = 0.3
"""For the title of the passage, or a link."""
_LEADING = 0.2
"""For the first sentence."""
_NAMED = 0.3
"""For a passage whose title the question names."""


@dataclass(frozen=True, slots=True)
class Lead:
    """A name that may lead on: where it stands, and what is left to ask of it."""

    name: str
    document: str
    """The id of the passage that holds it."""
    left: tuple[str, ...]
    """The question's words that no passage on the way to it holds, as the question spells them."""
    share: float
    """What it is worth beside the best name of that passage, from 0 to 1."""
    score: float

    @property
    def query(self) -> str:
        """The name with what is left: `Ada Merrow born`."""
        return " ".join((self.name, *self.left))


@dataclass(frozen=True, slots=True)
class _Mention:
    name: str
    around: frozenset[str]
    """Stems of its sentence."""
    document: bool = False
    leading: bool = False


def leads(
    question: str,
    passages: Iterable[tuple[Document, float, Sequence[str] | None]],
    asked_before: Iterable[tuple[str, int]] = (),
) -> list[Lead]:
    """The names in these passages that the question lacks and that may lead on, the best first, each once.

    A passage comes with its score and with the words that were open when it was found, None for the whole question's.
    One that leaves no word open leads nowhere. Names that were asked before, with so many words, come again only where
    fewer are left.
    """
    asked = stems(question)
    topics = [word for word in asked if weight(word) == 1.0]
    found: dict[str, Lead] = {}
    before: dict[str, int] = {}
    for name, count in asked_before:
        before[_folded(name)] = min(count, before.get(_folded(name), count))
    for document, score, words in passages:
        left = left_open(_SPELLED.findall(question) if words is None else words, document)
        if not left:
            continue
        named = _NAMED * _share(stems(_bare(document.title)), asked)
        mentions = _by_name(_mentions(document.title, document.text), asked)
        worth = {key: named + _worth(those, topics) for key, those in mentions.items()}
        best = max(worth.values(), default=1.0)
        for key, value in worth.items():
            new = len(left) < before.get(key, len(left) + 1)
            if new and (key not in found or found[key].score < score * value):
                found[key] = Lead(mentions[key][0].name, document.id, left, value / best, score * value)
    return sorted(found.values(), key=lambda lead: -lead.score)


def left_open(words: Iterable[str], document: Document) -> tuple[str, ...]:
    """Those of the words that say something and stand nowhere in the passage or its title, each once."""
    held = stems(f"{document.title} {document.text}")
    telling = dict.fromkeys(word for word in words if weight(stem(word)) == 1.0)
    return tuple(word for word in telling if not _is_in(stem(word), held))


def _by_name(mentions: Iterable[_Mention], asked: frozenset[str]) -> dict[str, list[_Mention]]:
    """The mentions that name something which the question does not, by their names."""
    found: dict[str, list[_Mention]] = {}
    for mention in mentions:
        telling = [word for word in stems(mention.name) if weight(word) == 1.0 and not word.isdigit()]
        if any(not _is_in(word, asked) for word in telling):
            found.setdefault(_folded(mention.name), []).append(mention)
    return found


def _worth(mentions: Sequence[_Mention], topics: Sequence[str]) -> float:
    near = max(sum(_is_in(word, mention.around) for word in topics) for mention in mentions) / max(len(topics), 1)
    linked = any(mention.document for mention in mentions)
    leading = any(mention.leading for mention in mentions)
    return _ANY + _NEAR * near + _OF_DOCUMENT * linked + _LEADING * leading


@lru_cache(2_000)
def _mentions(title: str, text: str) -> tuple[_Mention, ...]:
    """The title of a passage, its links, and the capitalised names in its sentences."""
    bare = _bare(title)
    found = [_Mention(bare, stems(bare), document=True)] if bare else []
    for place, segment in enumerate(segments(text)):
        around = stems(segment.text)
        links = _LINK.finditer(text, segment.start, segment.end)
        found += [_Mention(match[1].strip(), around, True, place == 0) for match in links]
        found += [_Mention(name, around, False, place == 0) for name in _names(segment.text)]
    return tuple(found)


def _names(sentence: str) -> Iterator[str]:
    """The capitalised names of a sentence; no dates, and no word that is only capitalised because it comes first."""
    for match in _NAME.finditer(sentence):
        words = re.sub(r"['’]s$", "", match[0].strip(" .'’-,")).split()
        if not sentence[: match.start()].strip() and (
            weight(stem(words[0])) == 0.0 or (len(words) == 1 and weight(stem(words[0])) < 1.0)
        ):
            words = words[1:]
        undated = _DATE_FIRST.sub("", _DATED.sub("", " ".join(words)))
        name = re.sub(rf"^(?:{_WITHIN}\s+)+", "", undated)
        if name and len(words) <= _LONGEST and not _DATE.fullmatch(name):
            yield name


def _is_in(word: str, words: frozenset[str]) -> bool:
    return word in words or any(related(word, other) for other in words)


def _share(words: Iterable[str], asked: frozenset[str]) -> float:
    held = [_is_in(word, asked) for word in words]
    return sum(held) / len(held) if held else 0.0


def _bare(title: str) -> str:
    """A title without the headings behind it and without parentheses."""
    return _PARENTHESIS.sub("", title.partition(" > ")[0]).strip()


def _folded(name: str) -> str:
    return " ".join(re.findall(r"\w+", name.lower()))
