"""Files of at most 400 lines, functions of at most 60; the exceptions are listed, and the list only shrinks."""

from __future__ import annotations

import ast
from collections.abc import Iterator

import pytest

from tests.conventions.sources import FIVE, ROOT, Source, sources

FILE_LINES = 400
FUNCTION_LINES = 60
ALLOWED = ROOT / "tests/conventions/too_long.txt"


def functions(node: ast.AST, prefix: str = "") -> Iterator[tuple[str, int]]:
    """The functions in a tree, each with its lines; its docstring does not count."""
    for child in ast.iter_child_nodes(node):
        name = prefix
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            name = f"{prefix}{child.name}."
            if not isinstance(child, ast.ClassDef):
                yield name[:-1], lines_of(child)
        yield from functions(child, name)


def lines_of(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    lines = (function.end_lineno or function.lineno) - function.lineno + 1
    if ast.get_docstring(function) is not None:
        docstring = function.body[0]
        lines -= (docstring.end_lineno or docstring.lineno) - docstring.lineno + 1
    return lines


def too_long(source: Source) -> dict[str, int]:
    found = {}
    lines = len(source.text.splitlines())
    if lines > FILE_LINES:
        found[source.path] = lines
    found.update({f"{source.path}::{name}": n for name, n in functions(source.tree) if n > FUNCTION_LINES})
    return found


def allowed() -> dict[str, int]:
    found = {}
    for line in ALLOWED.read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            what, _, lines = line.rpartition(" ")
            assert what not in found, f"{ALLOWED.name} lists {what} twice"
            found[what] = int(lines)
    return found


def test_files_and_functions_are_short() -> None:
    actual: dict[str, int] = {}
    for source in sources("ragweave", "tests", *FIVE):
        actual.update(too_long(source))
    listed = allowed()
    problems = [
        f"{what} has {lines} lines; split it (files have at most {FILE_LINES}, functions {FUNCTION_LINES})"
        for what, lines in actual.items()
        if lines > listed.get(what, 0)
    ]
    problems += [
        f"{what} is down to {actual[what]} lines: lower its number in {ALLOWED.name}"
        if what in actual
        else f"{what} is short now: take it off {ALLOWED.name}"
        for what, lines in listed.items()
        if lines > actual.get(what, 0)
    ]
    assert not problems, "\n" + "\n".join(problems)


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("def f():\n    pass", 2),
        ('def f():\n    """One.\n\n    Two.\n    """\n    pass', 2),
        ("@first\n@second\ndef f():\n    pass", 2),
    ],
)
def test_the_lines_of_a_function_are_those_of_its_code(text: str, lines: int) -> None:
    assert list(functions(ast.parse(text))) == [("f", lines)]


def test_functions_in_classes_and_functions_are_measured_too() -> None:
    tree = ast.parse("class A:\n    if True:\n        def f(self):\n            def g(): pass")
    assert list(functions(tree)) == [("A.f", 2), ("A.f.g", 1)]
