"""The cookbook's chat, killed while its model is in the middle of an answer."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
from pathlib import Path

from ragweave.orchestrator.stores.durable import DurableStore
from ragweave.orchestrator.stores.sqlite import SqliteDatabase
from tests.cli.running import COMMAND, environment, ragweave, wait_until
from tests.support.openai_server import OpenAIServer, Reply

COOKBOOK = Path(__file__).parents[2] / "examples" / "cookbook"
QUESTION = "How many days do the lemon peels infuse in the alcohol for limoncello?"


def finished(folder: Path) -> list[str]:
    """The calls that the one run, once it is there, has finished, in order."""

    async def main() -> list[str]:
        store = DurableStore(SqliteDatabase(folder / ".ragweave" / "runs.sqlite"))
        try:
            events = [event for run in await store.runs() for event in await store.events(run.run_id)]
            return [event.path for event in events if event.kind == "finished"]
        finally:
            await store.close()

    return asyncio.run(main())


def test_the_cookbooks_chat_goes_on_when_it_was_killed_in_mid_answer(tmp_path: Path) -> None:
    (tmp_path / "recipes").mkdir()
    shutil.copy(COOKBOOK / "cookbook.yaml", tmp_path)
    for recipe in ("limoncello", "kvass", "pizza-dough"):
        shutil.copy(COOKBOOK / "recipes" / f"{recipe}.md", tmp_path / "recipes")
    assert ragweave("index", "cookbook.yaml", cwd=tmp_path).returncode == 0
    command = [*COMMAND, "chat", "cookbook.yaml", "--thread", "t"]
    slow = Reply(text="They infuse for a very long time indeed.", hang_after=3)
    quick = Reply(text="They infuse for 20 days [1].")
    with OpenAIServer([slow, quick]) as server:
        model = environment({"CHAT_MODEL": "test-model", "CHAT_BASE_URL": server.url, "CHAT_API_KEY": server.key})
        process = subprocess.Popen(
            command, cwd=tmp_path, env=model, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert process.stdin is not None
        with process:
            process.stdin.write(f"{QUESTION}\n")
            process.stdin.flush()
            wait_until(lambda: len(server.requests) == 1)
            wait_until(lambda: any(path.startswith("rerank#1") for path in finished(tmp_path)))
            os.kill(process.pid, signal.SIGKILL)
        before = finished(tmp_path)
        assert before[-1].startswith("rerank#1")
        done = subprocess.run(
            command, cwd=tmp_path, env=model, input="", capture_output=True, text=True, timeout=240, check=False
        )
        assert len(server.requests) == 2
    assert f"going on with what was broken off: {QUESTION}" in done.stderr
    assert done.stdout.startswith("They infuse for 20 days [1].")
    assert finished(tmp_path) == [*before, "answer#1", "remember#1"]
