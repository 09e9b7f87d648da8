"""The example pages of Chainlit and Gradio, each started in an environment of its own and talked to as its page does.

Their packages are installed into pytest's cache at the first run, which takes a minute and needs PyPI.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.examples.environments import environment
from tests.examples.servers import FOUR, WARRANTY, free_port, indexed, served, started

pytestmark = pytest.mark.long

PACKAGES = {"chainlit": "chainlit==2.12.*", "gradio": "gradio==6.31.*"}
QUIET = {"GRADIO_ANALYTICS_ENABLED": "False", "HF_HUB_OFFLINE": "1"}
TALK = """
schema: ragweave/v1
name: help
inputs: {question: str}
outputs: [answer]
models:
  chat: {type: scripted, replies: [{chunks: ["Well, ", "here it is."], pace: 60}], repeat: true}
memories:
  history: {type: window, file: ""}
prompts:
  plain: {text: "{{ question }}", variables: {question: str}}
nodes:
  recall:   {type: recall, memory: history}
  wait:     {type: generator, model: chat, prompt: plain, timeout: 5m}
  count:    {type: reply, text: "{question} came after <{history}>"}
  remember: {type: remember, memory: history}
edges:
  - start -> recall
  - from: recall
    routes:
      - {when: question == "wait", to: wait}
      - {to: count}
  - wait, count -> remember -> end
"""
WATCHED = """
import threading, time
from pathlib import Path
import {name}_app as example

app = getattr(example, "app", None)

def look():
    while True:
        Path("next").write_text(str(len(example.graph._active)))
        Path("next").replace("running")
        time.sleep(0.05)

threading.Thread(target=look, daemon=True).start()
"""


@pytest.fixture(scope="module", params=sorted(PACKAGES))
def framework(request: pytest.FixtureRequest) -> tuple[str, str]:
    """The name of a framework and the Python of an environment that has it."""
    return request.param, environment(request.config, request.param, [PACKAGES[request.param]])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the example, indexed."""
    return indexed(tmp_path_factory.mktemp("pages"))


@contextmanager
def serving(folder: Path, name: str, python: str, module: str) -> Iterator[str]:
    """The address of the server of a module."""
    if name == "gradio":
        with served(folder, module, python=python, **QUIET) as address:
            yield address
        return
    port = free_port()
    command = ["-m", "chainlit", "run", f"{module}.py", "--headless", "--host", "127.0.0.1", "--port", str(port)]
    with started(folder, command, "(available at)", python=python):
        yield f"http://127.0.0.1:{port}"


class Page:
    """An open page: a process that talks as a page does."""

    def __init__(self, name: str, python: str, address: str) -> None:
        script = Path(__file__).with_name(f"talk_{name}.py")
        self.process = subprocess.Popen(
            [python, str(script), address], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.limit = threading.Timer(120, self.process.kill)
        self.limit.start()
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.keys, self.screen = self.process.stdin, self.process.stdout
        assert self.next()["kind"] in ("open", "done")  # it may be typed into

    def next(self) -> dict[str, Any]:
        """What comes next."""
        line = self.screen.readline()
        assert line, "the page was closed"
        event: dict[str, Any] = json.loads(line)
        return event

    def type(self, text: str) -> None:
        """A line and Enter."""
        self.keys.write(text + "\n")
        self.keys.flush()

    def ask(self, question: str) -> list[dict[str, Any]]:
        """All that comes until the page may be typed into again."""
        self.type(question)
        seen = [self.next()]
        while seen[-1]["kind"] != "done":
            seen.append(self.next())
        return seen

    def kill(self) -> None:
        """Gone, without a goodbye."""
        self.limit.cancel()
        self.process.kill()
        self.process.communicate()


@contextmanager
def opened(name: str, python: str, address: str) -> Iterator[Page]:
    page = Page(name, python, address)
    try:
        yield page
    finally:
        page.kill()


def texts(seen: list[dict[str, Any]]) -> list[str]:
    return [event["text"] for event in seen if event["kind"] == "text"]


def test_an_answer_is_streamed_and_shown_with_its_sources(folder: Path, framework: tuple[str, str]) -> None:
    name, python = framework
    with serving(folder, name, python, f"{name}_app") as address:
        assert "<html" in httpx.get(address, timeout=120).text
        with opened(name, python, address) as page:
            seen = page.ask(WARRANTY)
            shown = texts(seen)
            assert FOUR in shown[-1]
            assert [text for text in shown if text and FOUR not in text], "it came at once, not word by word"
            sources = [event["name"] for event in seen if event["kind"] == "source"]
            assert sources == ["[1] Warranty"] if name == "chainlit" else "> [1] Warranty: Every lamp" in shown[-1]
            assert texts(page.ask("Who is the king of Spain?"))[-1].startswith("I do not know.")


def test_a_page_is_a_conversation_and_one_that_is_closed_ends_its_run(
    folder: Path, tmp_path: Path, framework: tuple[str, str]
) -> None:
    name, python = framework
    shutil.copy(folder / f"{name}_app.py", tmp_path)
    (tmp_path / "help.yaml").write_text(TALK, encoding="utf-8")
    (tmp_path / "watched.py").write_text(WATCHED.format(name=name), encoding="utf-8")

    def until(runs: int) -> None:
        end = time.monotonic() + 60
        while (tmp_path / "running").read_text() != str(runs):
            assert time.monotonic() < end, f"not {runs} runs, but {(tmp_path / 'running').read_text()}"
            time.sleep(0.05)

    with (
        serving(tmp_path, name, python, "watched") as address,
        opened(name, python, address) as first,
        opened(name, python, address) as second,
    ):
        assert texts(first.ask("lamp"))[-1] == "lamp came after <>"
        assert "lamp" in texts(first.ask("shade"))[-1].partition("<")[2]
        assert texts(second.ask("bulb"))[-1] == "bulb came after <>"
        first.type("wait")
        while first.next().get("text") != "Well, ":
            pass
        until(1)
        first.kill()  # the model would go on in a minute
        until(0)
        again = texts(second.ask("socket"))[-1].partition("<")[2]
        assert ("bulb" in again, "shade" in again) == (True, False)
