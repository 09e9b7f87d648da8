"""Prints of code: equal for equal code, in whichever process; other for other code, wherever it stands."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from ragweave.orchestrator.running.codeprint import code_print, digest

CODE = '''
import enum
import re
from functools import partial
from typing import Annotated, TypedDict

from pydantic import AfterValidator, Field

from ragweave import Node, node

WORDS = {"some", "words", "in", "a", "set"}
LIMIT = 10


class Kind(enum.Enum):
    ONE = 1
    TWO = 2


class Text(TypedDict):
    text: str


def helped(text: str) -> str:
    return deeper(text) + "!"


def deeper(text: str) -> str:
    return text[:LIMIT] if text in {"x", "y", "z"} else text


class Base(Node):
    def tidy(self, text: str) -> str:
        return text.strip()


class Mine(Base, type="mine"):
    """A node."""

    size: Annotated[int, AfterValidator(lambda value: value)] = 3
    kind: Kind = Kind.ONE
    words: list[str] = Field(default_factory=list)

    @staticmethod
    def half(text: str) -> str:
        return text[: len(text) // 2]

    @property
    def twice(self) -> int:
        return 2 * self.size

    def __call__(self, text: str) -> Text:
        return {"text": helped(self.tidy(text))}
'''


PRINT = "import plugin; from ragweave.orchestrator.running.codeprint import code_print; print(code_print(plugin.Mine))"


def printed(folder: Path, code: str, seed: str = "0") -> str:
    """The print of `Mine` in a process of its own."""
    (folder / "plugin.py").write_text(code)
    done = subprocess.run(
        [sys.executable, "-c", PRINT],
        cwd=folder,
        env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_print_is_the_same_in_every_process_and_under_other_comments(tmp_path: Path) -> None:
    first = printed(tmp_path, CODE, "1")
    assert printed(tmp_path, "# A comment.\n\n" + CODE.replace("LIMIT = 10", "LIMIT = 10  # so many"), "2") == first
    assert printed(tmp_path, CODE + "\n\ndef unrelated() -> None:\n    pass\n", "3") == first


def made(code: str) -> str:
    from ragweave.orchestrator import registry

    with registry.scope():
        space: dict[str, object] = {"__name__": "made_up"}
        exec(compile(code, "made_up", "exec", dont_inherit=True), space)
        return code_print(space["Mine"])


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('+ "!"', '+ "?"'),
        ("text[:LIMIT]", "text[1:LIMIT]"),
        ("LIMIT = 10", "LIMIT = 11"),
        ("text.strip()", "text.lstrip()"),
        ("// 2", "// 3"),
        ("2 * self.size", "3 * self.size"),
        ("= 3\n", "= 4\n"),
        ("AfterValidator(lambda value: value)", "Field(gt=0)"),
        ("helped(self.tidy(text))", "helped(text)"),
    ],
)
def test_what_the_code_says_or_names_counts(old: str, new: str) -> None:
    assert old in CODE
    assert made(CODE.replace(old, new)) != made(CODE)


def test_functions_partials_and_objects_have_prints() -> None:
    import functools

    def scaled(by: int) -> object:
        return lambda value: value * by

    assert code_print(scaled(2)) != code_print(scaled(3))
    assert code_print(functools.partial(scaled, 2)) == code_print(scaled)
    assert code_print(Path()) == code_print(Path("x"))
    assert digest({"b": 1, "a": {2, 1}}) == digest({"a": {1, 2}, "b": 1})
    assert digest([object]) == digest([object])
