"""Prompt files: Markdown with YAML front matter, and a section for each message.

    ---
    name: answer
    version: 1
    description: Answers a question from passages.
    abstention: The passages do not say.
    variables:
      question: str
      documents: list[Document]
      history: {type: "list[Message]", required: false, description: Earlier turns.}
    ---
    ## system
    Answer from the passages only …

    ## messages: history

    ## user
    {% for document in documents %}[{{ loop.index }}] {{ document.text }}
    {% endfor %}
    {{ question }}

A section starts at a line `## system`, `## user` or `## assistant`; `## messages: x` puts the messages of a variable in
its place. A file without sections is one user message. `list[Message]?` is short for `required: false`.
Variables of type `Part` or `list[Part]` are images, sounds and files: they go with the last message of the user, before
its text.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any, Literal

from ragweave.orchestrator.errors import Problem, ResourceError, did_you_mean
from ragweave.orchestrator.language.yamltext import read
from ragweave.orchestrator.variables import Variable, read_variable

Role = Literal["system", "user", "assistant", "messages"]

KEYS = ("name", "version", "description", "abstention", "variables")
NOT_VARIABLES = ("ctx", "loop", "self", "true", "false", "none")

_FRONT = re.compile(r"\A---[ \t]*\n(.*?)^---[ \t]*(?:\n|\Z)", re.DOTALL | re.MULTILINE)
_SECTION = re.compile(r"## (?:(system|user|assistant)|messages: *([a-z][a-z0-9_]*))[ \t]*")
_NEAR_SECTION = re.compile(r"#{1,6}[ \t]*([A-Za-z]+)[ \t]*(:.*)?")
_NAME = re.compile(r"[a-z][a-z0-9_]*")


@dataclass(frozen=True, slots=True)
class Section:
    """One message of a prompt before rendering; for `messages`, `text` is the name of the variable that holds them."""

    role: Role
    text: str
    line: int
    """The line of the file on which `text` starts, from 1."""


@dataclass(frozen=True, slots=True)
class PromptSource:
    """A prompt file, read and divided, its templates not yet looked at."""

    file: str
    name: str = ""
    version: str = ""
    description: str = ""
    abstention: str = ""
    """The sentence by which a model is to say that it cannot answer; empty if the prompt has none."""
    variables: Mapping[str, Variable] = field(default_factory=dict)
    sections: Sequence[Section] = ()
    places: Mapping[str, int] = field(default_factory=dict)
    """The line on which each variable is declared."""

    @property
    def parts(self) -> Sequence[str]:
        """The variables that hold images, sounds and files: they are not printed but go with the user's message."""
        return [name for name, variable in self.variables.items() if str(variable.type) in ("Part", "list[Part]")]

    @property
    def parts_in(self) -> Section | None:
        """The section that they go with: the last one of the user."""
        return next((section for section in reversed(self.sections) if section.role == "user"), None)

    text: str = ""
    """The whole file."""


class PromptFaults(ResourceError):
    """What is wrong with a prompt: `problems` has each fault with its place in the prompt's file."""

    def __init__(self, message: str, problems: Sequence[Problem]) -> None:
        super().__init__(message)
        self.problems = tuple(problems)


class Faults:
    """What is wrong with a prompt file, collected so that all of it is shown at once."""

    def __init__(self, file: str, text: str) -> None:
        self.file = file
        self._lines = text.split("\n")
        self._found: list[tuple[int, str]] = []

    def add(self, line: int, message: str) -> None:
        """Note a fault; line 0 is the whole file."""
        self._found.append((line, message))

    def __bool__(self) -> bool:
        return bool(self._found)

    def error(self) -> PromptFaults:
        """All faults as one error, in the order of the file."""
        found = sorted(self._found)
        problems = [Problem("RW130", message, self.file, line, self._column(line, message)) for line, message in found]
        lines = [f"{self.file}:{line}: {message}" if line else f"{self.file}: {message}" for line, message in found]
        if len(lines) == 1:
            return PromptFaults(f"prompt {lines[0]}", problems)
        whole = "\n".join([f"prompt {self.file}: {len(lines)} problems", *(f"  {line}" for line in lines)])
        return PromptFaults(whole, problems)

    def _column(self, line: int, message: str) -> int:
        """Where on its line a fault is: at the first word in quotes of the message that stands there, else where the
        line begins."""
        if not 1 <= line <= len(self._lines):
            return int(line > 0)
        text = self._lines[line - 1]
        for match in re.finditer(r"'([^']+)'|`([^`]+)`", message):
            word = match[1] or match[2]
            found = re.search(rf"(?<!\w){re.escape(word)}(?!\w)", text)
            if found is not None:
                return found.start() + 1
        return len(text) - len(text.lstrip()) + 1


def read_source(
    text: str, *, file: str, name: str = "", variables: Mapping[str, Variable] | None = None
) -> PromptSource:
    """Divide a prompt file. `variables` are those declared outside of it. Raises ResourceError with every fault."""
    text = text.removeprefix("\ufeff").replace("\r\n", "\n")
    faults = Faults(file, text)
    front = _FRONT.match(text)
    if text.startswith("---\n") and front is None:
        faults.add(1, "the front matter is not closed; end it with a line ---")
        raise faults.error()
    about, places = _front_matter(front[1] if front else "", faults)
    declared = about.get("variables", {})
    if variables and declared:
        faults.add(0, "variables are declared twice: in the front matter and in the setting 'variables'; keep one")
    start = front.end() if front else 0
    sections = _sections(text[start:], text[:start].count("\n") + 1, faults)
    source = PromptSource(
        file=file,
        name=about.get("name") or name,
        version=about.get("version", ""),
        description=about.get("description", ""),
        abstention=about.get("abstention", ""),
        variables={**(variables or {}), **declared},
        sections=sections,
        places=places,
        text=text,
    )
    _check_messages(source, faults)
    if faults:
        raise faults.error()
    return source


def _front_matter(text: str, faults: Faults) -> tuple[dict[str, Any], dict[str, int]]:
    """The keys of the front matter, and the line of each variable in the file."""
    if not text.strip():
        return {}, {}
    reading = read(text, faults.file)
    for problem in reading.problems:
        faults.add(problem.line + 1, problem.message)
    if faults or not isinstance(reading.data, Mapping):
        if not faults:
            faults.add(2, "the front matter is a map of name, version, description and variables")
        return {}, {}
    about: dict[str, Any] = {}
    places: dict[str, int] = {}
    for key, value in reading.data.items():
        line = reading.marks[key,].line + 1
        if key not in KEYS:
            faults.add(line, f"unknown key {key!r}{did_you_mean(key, KEYS)}")
        elif key != "variables":
            about[key] = " ".join(str("" if value is None else value).split())
        elif not isinstance(value, Mapping):
            faults.add(line, f"variables is a map of names to types, such as {{question: str}}, not {value!r}")
        else:
            about[key] = {}
            for name, given in value.items():
                places[name] = reading.marks[key, name].line + 1
                variable = _variable(name, given, places[name], faults)
                if variable is not None:
                    about[key][name] = variable
    return about, places


def _variable(name: str, given: Any, line: int, faults: Faults) -> Variable | None:
    if not _NAME.fullmatch(name) or name in NOT_VARIABLES:
        faults.add(
            line, f"{name!r} cannot be the name of a variable; use a-z, 0-9 and _, and none of the template's own words"
        )
        return None
    try:
        return read_variable(given)
    except ValueError as error:
        faults.add(line, f"variable {name!r}: {error}")
        return None


def _sections(body: str, first_line: int, faults: Faults) -> list[Section]:
    found: list[tuple[Role, str, int, list[str]]] = []
    before: list[str] = []
    for line, text in enumerate(body.split("\n"), first_line):
        mark = _SECTION.fullmatch(text)
        if mark is None:
            _check_near_section(text, line, faults)
            (found[-1][3] if found else before).append(text)
        elif mark[2]:
            found.append(("messages", mark[2], line, []))
        else:
            found.append((mark[1], "", line + 1, []))  # type: ignore[arg-type]
    if not found:
        return [Section("user", body, first_line)] if body.strip() else []
    if "".join(before).strip():
        faults.add(first_line, "this text stands in no section; put it below the first one")
    sections = []
    for role, name, line, lines in found:
        if role == "messages" and "".join(lines).strip():
            faults.add(
                line + 1, f"the section of {name!r} holds its messages and no text; start another section for it"
            )
        sections.append(Section(role, name or "\n".join(lines), line))
    return sections


def _check_near_section(text: str, line: int, faults: Faults) -> None:
    """A heading that was probably meant to start a section would quietly become part of the one before."""
    mark = _NEAR_SECTION.fullmatch(text)
    if mark is None:
        return
    word, names = mark[1].lower(), ("system", "user", "assistant", "messages")
    near = get_close_matches(word, names, n=1, cutoff=0.8) if text.startswith("## ") else [word]
    if near and near[0] in names and (near[0] != "messages" or mark[2]):
        meant = "## messages: NAME" if near[0] == "messages" else f"## {near[0]}"
        faults.add(line, f"{text.strip()!r} starts no section; write {meant!r}, or word the heading differently")


def _check_messages(source: PromptSource, faults: Faults) -> None:
    for section in source.sections:
        if section.role != "messages":
            continue
        variable = source.variables.get(section.text)
        if variable is None:
            faults.add(section.line, f"unknown variable {section.text!r}{did_you_mean(section.text, source.variables)}")
        elif str(variable.type) not in ("list[Message]", "list[json]", "Message"):
            faults.add(section.line, f"variable {section.text!r} holds {variable.type}, not list[Message]")
    if not source.sections and not faults:
        faults.add(0, "the prompt has no text")
