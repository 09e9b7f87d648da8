"""The data sets as passages and questions: every system gets exactly these.

They lie beside the repository, in `../shared/data`; a set that is not there is left out, and `missing` says so.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from pipelines.protocol import Passage

ROOT = Path(__file__).resolve().parents[2]
SHARED = ROOT.parent / "shared" / "data"
BUILD = ROOT / "build" / "retrieval"

#: Characters that a passage of a long article has at most.
CUT = 800
_ENDS = re.compile(r"\n\s*\n|(?<=[.!?])\s+")


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked, and the passages that answer it."""

    id: str
    text: str
    gold: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Set:
    """One data set."""

    name: str
    passages: tuple[Passage, ...]
    questions: tuple[Question, ...]

    @property
    def digest(self) -> str:
        """Changes with any passage or question."""
        rows = [one._asdict() for one in self.passages] + [asdict(one) for one in self.questions]
        return hashlib.sha256(json.dumps(rows).encode()).hexdigest()[:12]


def missing(names: list[str]) -> list[str]:
    """The sets that are not beside the repository."""
    return [name for name in names if not (SHARED / name / "corpus.jsonl").is_file()]


@lru_cache
def read(name: str) -> Set:
    """One set. Raises FileNotFoundError if it is not beside the repository."""
    return Set(name, *_READERS.get(name, _plain)(SHARED / name))


_Read = tuple[tuple[Passage, ...], tuple[Question, ...]]


def _rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def _question(row: dict[str, Any]) -> Question:
    return Question(row["id"], row["question"], tuple(row["gold_ids"]))


def _plain(folder: Path) -> _Read:
    """Passages as they are; questions that no passage answers are left out."""
    passages = tuple(Passage(row["id"], row.get("title", ""), row["text"]) for row in _rows(folder / "corpus.jsonl"))
    asked = [row for row in _rows(folder / "queries.jsonl") if row["gold_ids"] and row.get("answerable", True)]
    return passages, tuple(_question(row) for row in asked)


def _tatqa(folder: Path) -> _Read:
    """A table is a line for each row, its filled cells side by side; every second question is asked."""

    def text(row: dict[str, Any]) -> str:
        if row["kind"] != "table":
            return str(row["text"])
        return "\n".join(" | ".join(cell for cell in cells if cell) for cells in row["table"])

    passages = tuple(Passage(row["id"], "", text(row)) for row in _rows(folder / "corpus.jsonl"))
    return passages, tuple(_question(row) for row in _rows(folder / "queries.jsonl")[::2] if row["gold_ids"])


def _xquad(folder: Path) -> _Read:
    """Six languages in one collection; a question is answered by the paragraph of its own language only.

    Every fourth question is asked.
    """
    passages, questions = _plain(folder)
    return passages, questions[::4]


def _tau2_banking(folder: Path) -> _Read:
    """What a customer is told to want, against the documents that the task needs."""
    passages = tuple(Passage(row["id"], row["title"], row["text"]) for row in _rows(folder / "corpus.jsonl"))
    tasks = [row for row in _rows(folder / "tasks.jsonl") if row["gold_ids"]]
    return passages, tuple(Question(row["id"], row["user_instructions"], tuple(row["gold_ids"])) for row in tasks)


def _longdoc_covidqa(folder: Path) -> _Read:
    """Articles cut at sentences, for all systems alike; the passages that a verbatim answer touches are gold."""
    passages: list[Passage] = []
    spans: dict[str, list[tuple[int, int, str]]] = {}
    for row in _rows(folder / "corpus.jsonl"):
        title = row["text"].split("\n", 1)[0][:200]
        for number, (start, end) in enumerate(cut(row["text"])):
            key = f"{row['id']}.{number:03}"
            passages.append(Passage(key, title, row["text"][start:end]))
            spans.setdefault(row["id"], []).append((start, end, key))
    questions = []
    for row in _rows(folder / "queries.jsonl"):
        answers = [(start, start + len(text)) for start, text in zip(row["answer_starts"], row["answers"], strict=True)]
        gold = tuple(
            key
            for document in row["gold_ids"]
            for start, end, key in spans[document]
            if any(start < last and first < end for first, last in answers)
        )
        if gold:
            questions.append(Question(row["id"], row["question"], gold))
    return tuple(passages), tuple(questions)


def cut(text: str) -> list[tuple[int, int]]:
    """Where the passages of a text begin and end: as many whole sentences as CUT characters hold."""
    ends = [match.end() for match in _ENDS.finditer(text)] + [len(text)]
    found: list[tuple[int, int]] = []
    start = last = 0
    for end in ends:
        if end - start > CUT and last > start:
            found.append((start, last))
            start = last
        while end - start > CUT:  # one sentence that is longer than a passage
            found.append((start, start + CUT))
            start += CUT
        last = end
    if text[start:].strip():
        found.append((start, len(text)))
    return [(first, end) for first, end in found if text[first:end].strip()]


_READERS: dict[str, Callable[[Path], _Read]] = {
    "tatqa": _tatqa,
    "xquad": _xquad,
    "tau2_banking": _tau2_banking,
    "longdoc_covidqa": _longdoc_covidqa,
}
#: Questions that need more than one passage: what the goals are about.
HOPS = ["hotpotqa", "2wikimultihopqa", "musique"]
#: Others, reported.
OTHERS = ["tatqa", "clapnq", "longdoc_covidqa", "tau2_banking", "xquad"]
