"""Prompts: named, versioned texts with declared variables, checked when they are loaded and rendered to messages."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field, PrivateAttr, model_validator

from ragweave.orchestrator import sources
from ragweave.orchestrator.contracts import Resource
from ragweave.orchestrator.errors import InputError, ResourceError, a, did_you_mean
from ragweave.orchestrator.values import BlobPart, Message, TextPart
from ragweave.orchestrator.variables import Declared
from ragweave.prompts.source import Faults, PromptSource, Section, read_source

if TYPE_CHECKING:
    from jinja2 import Template

    from ragweave.orchestrator.resources import Resources

MAX_BYTES = 256 << 10
_TAG = re.compile(r"\{[{%].*?[%}]\}", re.DOTALL)
_TEST = re.compile(r"\{%[-+]?\s*(?:el)?if\b")


class Prompt(Resource, type="template"):
    """A prompt: a Markdown file with front matter and a section for each message, or the same as `text`.

    `prompts.source` shows the format. Values are inserted as data: `{{ x }}` or `## system` in a document is text.
    """

    kind: ClassVar[str] = "prompts"

    file: str = Field("", description="The prompt file, relative to the graph file and inside its folder.")
    text: str = Field("", description="The prompt itself, instead of a file.")
    variables: Mapping[str, Declared] = Field(
        {}, description="The variables and their types, for a prompt without front matter."
    )

    _source: PromptSource | None = PrivateAttr(None)
    _checked: bool = PrivateAttr(False)
    _templates: dict[int, Template] = PrivateAttr(default_factory=dict)

    @model_validator(mode="before")
    @classmethod
    def _check_origin(cls, settings: Any) -> Any:
        if isinstance(settings, Mapping) and bool(settings.get("file")) == bool(settings.get("text")):
            raise ValueError("a prompt has either a 'file' or a 'text'")
        return settings

    def model_post_init(self, context: Any) -> None:
        """Read a prompt given as text; its templates are checked by `open`."""
        super().model_post_init(context)
        if self.text:
            self._take(read_source(self.text, file="text", variables=self.variables))

    @classmethod
    def of_library(cls, path: Path) -> Prompt:
        """A prompt that comes with ragweave: read, but not checked again, which would load Jinja2."""
        prompt = cls(text=path.read_text(encoding="utf-8"))
        prompt._checked = True
        return prompt

    def open(self, resources: Resources) -> None:
        """Read the file and check the templates. Raises ResourceError with every fault, each with its line."""
        if self._source is None:
            self.text = _read(resources.folder, self.file)
            self._take(read_source(self.text, file=self.file, name=Path(self.file).stem, variables=self.variables))
        if not self._checked:
            check(self.source)
            self._checked = True

    def render(self, **values: Any) -> list[Message]:
        """The messages. A variable that is not required and not given is empty.

        Raises InputError for a missing or unknown variable, or for a value that lacks a field that the text prints.
        """
        source = self.source
        given = self._complete(values)
        messages: list[Message] = []
        for position, section in enumerate(source.sections):
            if section.role == "messages":
                stored = given[section.text]
                # Only the prompt speaks as system: a stored conversation must not.
                stored = [] if stored is None else [stored] if isinstance(stored, Message) else stored
                messages += [message for message in stored if message.role != "system"]
                continue
            text = self._rendered(position, section, given)
            # Models understand an image better before the question about it.
            parts = _parts(source, given) if section is source.parts_in else ()
            if text or parts:
                messages.append(Message(role=section.role, parts=(*parts, *([TextPart(text=text)] if text else []))))
        if not messages:
            raise InputError(f"prompt {self.label!r} renders to nothing")
        return messages

    @property
    def source(self) -> PromptSource:
        """The prompt as it was read; a file that was not opened is looked for in the working directory."""
        if self._source is None:
            from ragweave.orchestrator.resources import Resources  # only where a prompt is used without a graph

            self.open(Resources())
        assert self._source is not None
        return self._source

    @property
    def name(self) -> str:
        """Of the front matter, else of the file."""
        return self.source.name

    @property
    def version(self) -> str:
        """Of the front matter; empty if it has none."""
        return self.source.version

    @property
    def label(self) -> str:
        """Name and version, such as `answer_with_citations@1`."""
        return "@".join(part for part in (self.name or "text", self.version) if part)

    @property
    def abstention(self) -> str:
        """The sentence by which a model says that it cannot answer; empty if the prompt asks for none."""
        return self.source.abstention

    @property
    def digest(self) -> str:
        """SHA-256 of the text and the variables: two prompts with one digest render alike."""
        declared = sorted(f"{name}: {variable}" for name, variable in self.source.variables.items())
        return hashlib.sha256("\0".join([self.text, *declared]).encode("utf-8", "surrogatepass")).hexdigest()

    def spoken_as_system(self) -> set[str]:
        """The variables whose values stand in a message of the role system."""
        tags = [tag for one in self.source.sections if one.role == "system" for tag in _TAG.findall(one.text)]
        printed = " ".join(tag for tag in tags if not _TEST.match(tag))
        return {name for name in self.source.variables if re.search(rf"(?<![\w.]){re.escape(name)}\b", printed)}

    def _take(self, source: PromptSource) -> None:
        self._source = source
        self.variables = source.variables

    def _complete(self, values: Mapping[str, Any]) -> dict[str, Any]:
        declared = self.source.variables
        for name in values:
            if name not in declared:
                raise InputError(f"prompt {self.label!r} has no variable {name!r}{did_you_mean(name, declared)}")
        given: dict[str, Any] = {}
        for name, variable in declared.items():
            if values.get(name) is not None:
                given[name] = values[name]
            elif variable.required:
                raise InputError(f"prompt {self.label!r} needs {name!r} ({variable.type}), which is not given")
            else:
                given[name] = {"list": [], "map": {}, "str": ""}.get(variable.type.word)
        return given

    def _rendered(self, position: int, section: Section, given: Mapping[str, Any]) -> str:
        from ragweave.prompts import sandbox

        template = self._templates.get(position)
        if template is None:
            template = self._templates[position] = sandbox.compiled(section.text)
        return sandbox.rendered(template, given, f"prompt {self.label!r}, section {section.role!r},")


def check(source: PromptSource) -> None:
    """Check the templates of a prompt. Raises ResourceError with all faults, such as unknown and unused variables."""
    from ragweave.prompts import sandbox

    faults = Faults(source.file, source.text)
    types = {name: variable.type for name, variable in source.variables.items()}
    used: set[str] = set()
    for section in source.sections:
        if section.role == "messages":
            used.add(section.text)
            continue
        used |= sandbox.check_template(section.text, types, faults.add, first_line=section.line)
    for name in source.variables:
        if name in source.parts:
            if source.parts_in is None:
                kind = source.variables[name].type
                faults.add(source.places.get(name, 0), f"variable {name!r} is {a(kind)}; it needs a section ## user")
        elif name not in used:
            line = source.places.get(name, 0)
            faults.add(line, f"variable {name!r} is declared but used nowhere; use it or delete it")
    if source.abstention and not any(source.abstention in " ".join(part.text.split()) for part in source.sections):
        faults.add(0, f"the abstention {source.abstention!r} is not in the text, so no model would know to say it")
    if faults:
        raise faults.error()


def _parts(source: PromptSource, given: Mapping[str, Any]) -> list[BlobPart]:
    """The images, sounds and files among the values, in the order of the variables."""
    found: list[BlobPart] = []
    for name in source.parts:
        value = given[name]
        found += [] if value is None else [value] if isinstance(value, BlobPart) else value
    return found


def _read(folder: Path, name: str) -> str:
    """The text of a file inside a folder. Raises ResourceError that names the files that are there."""
    root = folder.resolve()
    path = (root / name).resolve()
    if not path.is_relative_to(root):
        raise ResourceError(
            f"prompt file {name!r} is outside of the folder of the graph",
            hint="move it there, and write its path from there",
        )
    if not sources.is_file(path):
        beside = (
            [str(found.relative_to(root)) for found in sorted(path.parent.glob("*.md"))] if path.parent.is_dir() else []
        )
        raise ResourceError(f"prompt file {name!r} does not exist{did_you_mean(name, beside)}")
    if path.is_file() and path.stat().st_size > MAX_BYTES:
        raise ResourceError(f"prompt file {name!r} has more than {MAX_BYTES:,} bytes")
    try:
        return sources.read_text(path)
    except UnicodeDecodeError as error:
        raise ResourceError(f"prompt file {name!r} is not UTF-8: {error}", hint="save it as UTF-8") from None
