"""Nothing in this package turns stored or received bytes into code or objects of any class."""

from __future__ import annotations

import ast
from collections.abc import Iterator

import pytest

from tests.conventions.sources import FIVE, Source, sources

MODULES = {"pickle", "cPickle", "_pickle", "marshal", "shelve", "dill", "cloudpickle", "joblib", "jsonpickle"}
CALLS = {"eval", "exec", "yaml.unsafe_load", "yaml.full_load", "os.system", "os.popen"}
SETTINGS = {
    "trust_remote_code": (False, None),
    "allow_dangerous_deserialization": (False, None),
    "weights_only": (True,),
    "shell": (False,),
}
"""Arguments that are dangerous, and the values with which they are not."""
IN_THE_SANDBOX = "tools/sandbox/inside.py"
"""Runs programs, which is what it is for; its text is given to the interpreter inside, and never imported."""


def forbidden(source: Source) -> Iterator[str]:
    """What a file does that it must not, with its line."""
    for node in ast.walk(source.tree):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module]
        for name in names:
            if name.partition(".")[0] in MODULES:
                yield f"{source.path}:{getattr(node, 'lineno', 0)} import {name}"
        if isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            if called in CALLS and source.path != IN_THE_SANDBOX:
                yield f"{source.path}:{node.lineno} {called}()"
            if called == "yaml.load" and not {ast.unparse(argument) for argument in node.args[1:]} & safe_loaders(
                source
            ):
                yield f"{source.path}:{node.lineno} {called}()"
            for keyword in node.keywords:
                good = SETTINGS.get(keyword.arg or "")
                value = keyword.value
                off = keyword.arg == "verify" and isinstance(value, ast.Constant) and value.value is False
                if off or (good is not None and not (isinstance(value, ast.Constant) and value.value in good)):
                    yield f"{source.path}:{node.lineno} {keyword.arg}={ast.unparse(value)}"


def safe_loaders(source: Source) -> set[str]:
    """The loaders of YAML in a file that build plain data only."""
    classes = (node for node in ast.walk(source.tree) if isinstance(node, ast.ClassDef))
    return {one.name for one in classes if any("SafeLoader" in ast.unparse(base) for base in one.bases)}


def test_nothing_received_becomes_code_or_an_object_of_any_class() -> None:
    found = [line for source in sources("ragweave", *FIVE) for line in forbidden(source)]
    assert not found, "\n".join(["these run or build what somebody else wrote:", *found])


@pytest.mark.parametrize(
    "text",
    [
        "import pickle",
        "from cloudpickle import loads",
        "eval(text)",
        "yaml.load(text)",
        "class Mine(yaml.Loader): pass\nyaml.load(text, Mine)",
        "httpx.get(url, verify=False)",
        "torch.load(path, weights_only=False)",
        "AutoModel.from_pretrained(name, trust_remote_code=trusted)",
        "subprocess.run(line, shell=True)",
    ],
)
def test_what_is_forbidden_is_found(text: str) -> None:
    assert list(forbidden(Source("a.py", text, ast.parse(text))))


def test_what_only_looks_like_it_is_left_alone() -> None:
    text = """
class Mine(yaml.SafeLoader): pass
yaml.load(text, Mine)
re.compile(x)
model.eval()
get(verify=tls, trust_remote_code=False)
torch.load(path, weights_only=True)
"""
    assert not list(forbidden(Source("a.py", text, ast.parse(text))))
