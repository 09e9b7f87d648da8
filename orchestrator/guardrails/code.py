"""The check `code`: Python in a text that is no Python, or that could do harm where it is run."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence
from typing import ClassVar, Literal

from pydantic import Field

from ragweave.orchestrator.guardrails.check import Check, Finding, Subject

_FENCED = re.compile(
    r"^(?P<fence>`{3,}|~{3,})[ \t]*(?P<language>[\w+-]*)[^\n]*\n(?P<code>.*?)(?:^(?P=fence)|\Z)",
    re.DOTALL | re.MULTILINE,
)
_PYTHON = ("python", "py", "python3", "")
_MODULES = frozenset(
    (
        "builtins", "code", "codeop", "ctypes", "cffi", "ftplib", "http", "httpx", "importlib", "marshal",
        "multiprocessing", "os", "pathlib", "pickle", "pickletools", "pty", "requests", "runpy", "shelve", "shutil",
        "signal", "smtplib", "socket", "subprocess", "sys", "tempfile", "telnetlib", "urllib", "webbrowser",
    )
)  # fmt: skip
_CALLS = frozenset(
    ("eval", "exec", "compile", "__import__", "open", "input", "breakpoint", "globals", "vars", "setattr", "delattr")
)
_ATTRIBUTES = frozenset(
    (
        "__globals__", "__builtins__", "__subclasses__", "__bases__", "__mro__", "__class__", "__code__", "__closure__",
        "__dict__", "__getattribute__", "__import__", "__loader__", "__reduce__", "__reduce_ex__", "gi_frame", "f_back",
        "f_globals", "f_locals", "tb_frame", "cr_frame",
    )
)  # fmt: skip


class Code(Check, type="code"):
    """Python in blocks of code: what cannot be parsed, and what reaches for files, processes, the network, or the
    insides of Python.

    It reads and never runs. What it lets pass is not therefore harmless: run it in the tool `python`, whose sandbox is
    the boundary.
    """

    of: Literal["blocks", "text"] = Field(
        "blocks", description="Blocks of code in a text, or a text that is a program."
    )
    allowed: list[str] = Field(
        [], description="Modules and calls that may be used although they are listed: pathlib, open."
    )
    syntax: bool = Field(True, description="Whether a program that cannot be parsed is at fault.")

    _reads: ClassVar[int] = 200_000

    async def find(self, text: str, subject: Subject) -> Sequence[Finding]:
        """The lines at fault."""
        found = [one for begin, code in self._programs(text) for one in self._faults(begin, code)]
        kept: list[Finding] = []
        for one in sorted(found, key=lambda one: (one.begin, one.end)):
            if not kept or one.begin >= kept[-1].end:
                kept.append(one)
        return kept

    def _programs(self, text: str) -> Iterator[tuple[int, str]]:
        if self.of == "text":
            yield 0, text
            return
        for match in _FENCED.finditer(text):
            if match["language"].lower() in _PYTHON[:3] or (
                not match["language"] and _parsed(match["code"]) is not None
            ):
                yield match.start("code"), match["code"]

    def _faults(self, begin: int, code: str) -> Iterator[Finding]:
        if len(code) > self._reads:
            yield Finding(
                begin, begin + len(code), "TOO_LONG", f"a program of more than {self._reads:,} characters is not read"
            )
            return
        tree = _parsed(code)
        starts = [0, *(match.end() for match in re.finditer("\n", code))]
        if tree is None:
            if self.syntax and code.strip():
                yield Finding(begin, begin + len(code), "SYNTAX", "a program that cannot be parsed")
            return
        for node in ast.walk(tree):
            why = self._why(node)
            line = getattr(node, "lineno", 0)
            if why and line:
                end = starts[line] if line < len(starts) else len(code)
                yield Finding(
                    begin + starts[line - 1], begin + end, "UNSAFE", f"it uses {why}, line {line} of its block"
                )

    def _why(self, node: ast.AST) -> str:
        """The listed name that a part of a program uses; empty if it uses none."""
        named: list[str] = []
        if isinstance(node, ast.Import):
            named = [alias.name.split(".")[0] for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            named = [(node.module or "").split(".")[0]]
        elif isinstance(node, ast.Name) and node.id in _CALLS | {"__builtins__"}:
            return "" if node.id in self.allowed else node.id
        elif isinstance(node, ast.Attribute) and node.attr in _ATTRIBUTES:
            return "" if node.attr in self.allowed else node.attr
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value in _ATTRIBUTES:
            return node.value
        return next((name for name in named if name in _MODULES and name not in self.allowed), "")


def _parsed(code: str) -> ast.Module | None:
    import warnings

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SyntaxWarning)
            return ast.parse(code)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
