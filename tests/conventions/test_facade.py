"""`import ragweave`: few names, sorted, typed, and true."""

from __future__ import annotations

import ast
import importlib
import tomllib

import pytest

import ragweave
from tests.conventions.sources import ROOT

HOMES: dict[str, str] = vars(ragweave)["_HOMES"]


def declared_for_type_checkers() -> dict[str, str]:
    """`name -> "module:attr"` as the `TYPE_CHECKING` block of the facade imports them."""
    tree = ast.parse((ROOT / "ragweave/__init__.py").read_text(encoding="utf-8"))
    block = next(node for node in tree.body if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING")
    found = {}
    for line in block.body:
        assert isinstance(line, ast.ImportFrom), ast.unparse(line)
        for alias in line.names:
            assert alias.asname in (None, alias.name), ast.unparse(line)
            found[alias.name] = f"{line.module}:{alias.name}"
    return found


def test_at_most_20_names_are_exported() -> None:
    assert len(ragweave.__all__) <= 20, "the facade has 20 places; which name can go?"


def test_the_names_are_sorted() -> None:
    assert ragweave.__all__ == sorted(ragweave.__all__)


def test_the_table_the_type_checkers_block_and_all_agree() -> None:
    assert declared_for_type_checkers() == HOMES
    assert sorted([*HOMES, "__version__"]) == ragweave.__all__


@pytest.mark.parametrize("name", [name for name in ragweave.__all__ if name != "__version__"])
def test_a_name_gives_what_its_module_gives(name: str) -> None:
    module, _, attribute = HOMES[name].partition(":")
    assert getattr(ragweave, name) is getattr(importlib.import_module(module), attribute)


def test_dir_shows_the_exported_names_and_no_others() -> None:
    assert dir(ragweave) == ragweave.__all__


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'ragweave' has no attribute 'Grpah'"):
        getattr(ragweave, "Grpah")  # noqa: B009 - a type checker would refuse the plain form


def test_the_version_is_the_one_that_is_packaged() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert ragweave.__version__ == project["version"]
