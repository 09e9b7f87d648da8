"""Programs in texts, which are read and never run."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragweave.orchestrator.guardrails.check import Subject
from ragweave.orchestrator.guardrails.code import Code

HARMLESS = [
    "import math\nprint(math.pi)",
    "x = [a for a in range(3)]",
    "class A:\n    def b(self): return self.c",
    "",
    "# open the door",
]
HARMFUL = {
    "import os": "os",
    "import os.path as p": "os",
    "from subprocess import run": "subprocess",
    "x = 1\neval('x')": "eval",
    "f = open": "open",
    "().__class__.__bases__[0]": "__bases__",
    "getattr(x, '__globals__')": "__globals__",
    "__builtins__['x']": "__builtins__",
    "def f():\n    import socket": "socket",
}


async def reasons(check: Code, text: str) -> list[str]:
    return [one.reason for one in await check.find(text, Subject())]


@pytest.mark.parametrize("program", HARMLESS)
async def test_what_may_pass(program: str) -> None:
    assert await reasons(Code(of="text"), program) == []
    assert await reasons(Code(), f"Here:\n\n```python\n{program}\n```\nDone.") == []


@pytest.mark.parametrize("program", HARMFUL)
async def test_what_reaches_out(program: str) -> None:
    (reason, *_) = await reasons(Code(of="text"), program)
    assert reason.startswith(f"it uses {HARMFUL[program]}, line ")


async def test_the_line_at_fault_is_found_in_the_text() -> None:
    text = "Try this:\n```py\nimport math\nimport os\n```\n"
    (found,) = await Code().find(text, Subject())
    assert text[found.begin : found.end] == "import os\n"
    assert found.reason == "it uses os, line 2 of its block"


async def test_what_is_allowed_by_name_may_pass() -> None:
    assert await reasons(Code(of="text", allowed=["pathlib", "open"]), "import pathlib\nopen('a')") == []


async def test_what_cannot_be_parsed_is_at_fault_unless_it_may_be() -> None:
    assert await reasons(Code(), "```python\nx = (\n```") == ["a program that cannot be parsed"]
    assert await reasons(Code(syntax=False), "```python\nx = (\n```") == []
    assert await reasons(Code(), "```sql\nselect ((\n```") == []


@given(st.text(alphabet="()[]{}:\n '\"\\x=ab.import ", max_size=60))
async def test_any_text_is_read(text: str) -> None:
    await Code(of="text").find(text, Subject())
    await Code().find(f"```\n{text}\n```", Subject())


async def test_a_program_nested_too_deep_is_no_program() -> None:
    assert await reasons(Code(of="text"), "(" * 5_000 + ")" * 5_000) == ["a program that cannot be parsed"]
