"""Classes are named for what they are, and what is public says what it gives."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

import pytest

from tests.conventions.sources import FIVE, Source, module_name, sources

BANNED = {"Manager", "Managers", "Handler", "Handlers", "Base", "Util", "Utils", "Helper", "Helpers"}


def banned_words(name: str) -> set[str]:
    """The words of a CamelCase name that say nothing."""
    return BANNED & set(re.findall(r"[A-Z]+(?=[A-Z][a-z])|[A-Z][a-z0-9]*|[A-Z]+", name))


def without_docstring(source: Source) -> Iterator[str]:
    """The module, if it says nothing, and its public functions and classes that say nothing."""
    if ast.get_docstring(source.tree) is None:
        yield f"{source.path}:1 {module_name(source.path)}"
    for node in source.tree.body:
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            continue
        is_overload = any(ast.unparse(d).endswith("overload") for d in node.decorator_list)
        # The name of a test, such as those of the conformance kits, is the sentence.
        private = node.name.startswith(("_", "test_"))
        if not private and not is_overload and ast.get_docstring(node) is None:
            yield f"{source.path}:{node.lineno} {node.name}"


def test_class_names_are_plain_nouns() -> None:
    wrong = [
        f"{source.path}:{node.lineno} {node.name}"
        for source in sources("ragweave", "tests", *FIVE)
        for node in ast.walk(source.tree)
        if isinstance(node, ast.ClassDef) and banned_words(node.name)
    ]
    assert not wrong, "\n".join(["name these for what they are:", *wrong])


def test_what_is_public_has_a_docstring() -> None:
    missing = [line for source in sources(*FIVE) for line in without_docstring(source)]
    assert not missing, "\n".join(["say what the caller gets:", *missing])


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("RunManager", {"Manager"}),
        ("HTTPHandler", {"Handler"}),
        ("BaseNode", {"Base"}),
        ("Database", set[str]()),
        ("Utilisation", set[str]()),
        ("JSONBase", {"Base"}),
    ],
)
def test_only_whole_words_are_banned(name: str, words: set[str]) -> None:
    assert banned_words(name) == words
