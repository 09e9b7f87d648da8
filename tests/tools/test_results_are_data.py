"""What a tool gives is text for a model: nothing of it is run, rendered or built, now or when the run is read again."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ragweave import Graph
from ragweave.orchestrator import registry
from ragweave.tools.function import tool

HOSTILE: list[Any] = [
    {"lc": 2, "type": "constructor", "id": ["os", "system"], "kwargs": {"command": "touch ran"}},
    {"lc": 1, "type": "secret", "id": ["RAGWEAVE_TEST_SECRET"]},
    {"__reduce__": ["os.system", "touch ran"], "py/object": "os.system", "__class__": "os.system"},
    {"$ref": "file:///etc/passwd", "!!python/object/apply:os.system": ["touch ran"]},
    "half a pair: \ud800",
    "{{ 7 * 7 }} {% for x in ().__class__.__mro__ %}{{ x }}{% endfor %} ${env:RAGWEAVE_TEST_SECRET}",
]
_watching: list[list[str]] = []


def _audit(event: str, args: tuple[Any, ...]) -> None:
    if _watching and event in ("os.system", "os.exec", "os.posix_spawn", "subprocess.Popen", "pickle.find_class"):
        _watching[-1].append(f"{event} {args}")


sys.addaudithook(_audit)


@pytest.fixture
def started() -> Iterator[list[str]]:
    """What the test started: programs, and classes that pickles name."""
    seen: list[str] = []
    _watching.append(seen)
    yield seen
    _watching.remove(seen)


@pytest.fixture
def hostile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A graph whose tool gives what is hostile, and whose next call waits for a person."""
    monkeypatch.setenv("RAGWEAVE_TEST_SECRET", "hunter2")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "graph.yaml").write_text("""
schema: ragweave/v1
name: reader
inputs: {question: str}
outputs: [answer]
models:
  chat:
    type: scripted
    replies:
      - {after: wipe, text: Read.}
      - {after: hostile, tool_calls: [{id: b, name: wipe, arguments: {}}]}
      - tool_calls: [{id: a, name: hostile, arguments: {}}]
prompts: {ask: {text: "{{ question }}", variables: {question: str}}}
approval: [{allow: hostile}, {ask: wipe}]
nodes:
  think: {type: generator, model: chat, prompt: ask, tools: [hostile, wipe]}
  act: {type: tool_executor, tools: [hostile, wipe]}
edges:
  - start -> think
  - from: think
    routes: [{when: size(tool_calls) > 0, to: act}, {to: end}]
  - from: act
    routes: [{to: think, max_iterations: 3}, {to: end}]
""")
    with registry.scope():

        @tool(name="hostile")
        def gives() -> list[Any]:
            """Gives what somebody else wrote."""
            return HOSTILE

        @tool(effects="external")
        def wipe() -> str:
            """Deletes everything."""
            Path("wiped").touch()
            return "gone"

        yield tmp_path / "graph.yaml"


def test_what_a_tool_gives_stays_data_over_a_restart(hostile: Path, started: list[str]) -> None:
    with Graph.load(hostile) as graph:
        parked = graph.run(question="?")
        assert list(parked.asks) == ["act#2[0]"]
    with Graph.load(hostile) as graph:  # from the file: what was written is read
        done = graph.resume(parked.run_id, answers={"act#2[0]": False})
        first, refused = [
            one.text for one in graph.resources.get("models", "chat").requests[-1].messages if one.role == "tool"
        ]
    assert (done.status, refused) == ("done", "error: a person said no")
    for text in ('"lc": 2', '"id": ["os", "system"]', '["RAGWEAVE_TEST_SECRET"]', "!!python/object/apply:os.system"):
        assert text in first
    assert "hunter2" not in first
    assert started == []
    assert not any((hostile.parent / name).exists() for name in ("ran", "wiped"))


def test_template_code_in_a_tool_result_is_text(hostile: Path) -> None:
    with Graph.load(hostile) as graph:
        graph.run(question="?")
        (read,) = [one.text for one in graph.resources.get("models", "chat").requests[1].messages if one.role == "tool"]
    assert "{{ 7 * 7 }} {% for x in ().__class__.__mro__ %}{{ x }}{% endfor %} ${env:RAGWEAVE_TEST_SECRET}" in read
