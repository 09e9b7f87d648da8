"""Who may import whom."""

from __future__ import annotations

import ast
import sys

import pytest

from tests.conventions.sources import FIVE, Import, Source, imports, sources

MAY_IMPORT = {
    "orchestrator": {"orchestrator"},
    "tools": {"orchestrator", "tools"},
    "retrievers": {"orchestrator", "retrievers"},
    "prompts": {"orchestrator", "prompts"},
    "evals": {"orchestrator", "tools", "retrievers", "prompts", "evals"},
}


def upward(source: Source, folder: str) -> list[str]:
    """The imports of a file in one of the five folders that go the wrong way."""
    allowed = MAY_IMPORT[folder]
    wrong = []
    for one in imports(source.tree):
        package, _, rest = one.module.partition(".")
        if package == "ragweave" and rest != "__version__" and rest.partition(".")[0] not in allowed:
            wrong.append(f"{source.path}:{one.line} imports {one.module!r}")
    return wrong


def eager(source: Source) -> list[str]:
    """What a file of the facade or the command line imports at its top, besides the standard library and typer."""

    def is_cheap(one: Import) -> bool:
        if one.lazy or one.typing_only or one.module in ("ragweave.__version__", "ragweave.cli"):
            return True
        if one.module.startswith("ragweave.cli."):
            return True
        return one.module.partition(".")[0] in {"typer", *sys.stdlib_module_names}

    return [f"{source.path}:{one.line} imports {one.module!r}" for one in imports(source.tree) if not is_cheap(one)]


@pytest.mark.parametrize("folder", FIVE)
def test_a_folder_imports_only_what_lies_below_it(folder: str) -> None:
    wrong = [line for source in sources(folder) for line in upward(source, folder)]
    assert not wrong, "\n".join(
        [f"{folder}/ may import {sorted(MAY_IMPORT[folder])} only; name a resource or move the code:", *wrong]
    )


def test_the_facade_and_the_command_line_import_lazily() -> None:
    wrong = [line for source in sources("ragweave") for line in eager(source)]
    assert not wrong, "\n".join(["move these imports into the functions that need them:", *wrong])


@pytest.mark.parametrize(
    "line",
    [
        "import ragweave.tools.web",
        "from ragweave.tools import web",
        "from ragweave import tools",
        "from ragweave import Graph",
        "def f():\n    from ragweave.tools import web",
        "import importlib\nimportlib.import_module('ragweave.tools')",
        "if TYPE_CHECKING:\n    from ragweave.tools import web",
    ],
)
def test_every_way_of_importing_upward_is_seen(line: str) -> None:
    assert upward(Source("orchestrator/x.py", line, ast.parse(line)), "orchestrator")


@pytest.mark.parametrize(
    ("line", "seen"),
    [
        ("import rich", True),
        ("from ragweave.orchestrator import graph", True),
        ("class A:\n    import rich", True),
        ("def f():\n    import rich", False),
        ("if TYPE_CHECKING:\n    import rich", False),
        ("if TYPE_CHECKING:\n    pass\nelse:\n    import rich", True),
        ("import os, typer\nfrom ragweave.cli.show import table\nfrom ragweave import __version__", False),
    ],
)
def test_only_imports_that_happen_at_once_count_as_eager(line: str, *, seen: bool) -> None:
    assert bool(eager(Source("ragweave/cli/x.py", line, ast.parse(line)))) is seen
