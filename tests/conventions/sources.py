"""What the convention tests read: the Python files of the repository, parsed once."""

from __future__ import annotations

import ast
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FIVE = ("orchestrator", "tools", "retrievers", "prompts", "evals")


@dataclass(frozen=True, slots=True)
class Source:
    """A Python file: its path from the root of the repository, its text and its syntax tree."""

    path: str
    text: str
    tree: ast.Module


@cache
def tracked_files() -> tuple[str, ...]:
    """Every file that git has or would take, as paths from the root. Links are named, not followed."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    return tuple(sorted(path for path in set(listed) if (ROOT / path).is_symlink() or (ROOT / path).exists()))


@cache
def sources(*folders: str) -> tuple[Source, ...]:
    """The Python files under the folders, in order of their paths; without those that are copied out for users."""
    found = []
    for path in tracked_files():
        if path.endswith(".py") and path.partition("/")[0] in folders and "/scaffold/" not in path:
            text = (ROOT / path).read_text(encoding="utf-8")
            found.append(Source(path, text, ast.parse(text, filename=path)))
    return tuple(found)


def module_name(path: str) -> str:
    """The name under which a file is imported: `tools/web.py` is `ragweave.tools.web`."""
    parts = list(Path(path).with_suffix("").parts)
    if parts[0] in FIVE:
        parts.insert(0, "ragweave")
    if parts[-1] == "__init__":
        parts.pop()
    return ".".join(parts)


@dataclass(frozen=True, slots=True)
class Import:
    """One module that a file imports."""

    module: str
    line: int
    lazy: bool
    """Inside a function: it happens when that is called."""
    typing_only: bool
    """Under `if TYPE_CHECKING`: it never happens."""


def imports(tree: ast.Module) -> Iterator[Import]:
    """What a file imports. `from ragweave import tools` counts as `ragweave.tools`."""
    yield from _imports(tree, lazy=False, typing_only=False)


def _imports(node: ast.AST, *, lazy: bool, typing_only: bool) -> Iterator[Import]:
    for module in _imported_by(node):
        yield Import(module, getattr(node, "lineno", 0), lazy, typing_only)
    inside = lazy or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
    for field, value in ast.iter_fields(node):
        hidden = typing_only or (field == "body" and isinstance(node, ast.If) and _is_type_checking(node.test))
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST):
                yield from _imports(child, lazy=inside, typing_only=hidden)


def _is_type_checking(test: ast.expr) -> bool:
    return ast.unparse(test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING")


def _imported_by(node: ast.AST) -> list[str]:
    match node:
        case ast.Import(names=names):
            return [alias.name for alias in names]
        case ast.ImportFrom(module="ragweave", names=names):
            return [f"ragweave.{alias.name}" for alias in names]
        case ast.ImportFrom(module=str(module)):
            return [module]
        case ast.Call(
            func=ast.Name(id="import_module" | "__import__") | ast.Attribute(attr="import_module"),
            args=[ast.Constant(value=str(name)), *_],
        ):
            return [name]
    return []
