"""A graph is read again while it runs: running runs finish as they began, a broken file changes nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import TypedDict

import pytest

from ragweave.orchestrator import registry
from ragweave.orchestrator.context import Context
from ragweave.orchestrator.contracts import ChatChunk, ChatModel, ChatRequest, ModelName
from ragweave.orchestrator.errors import GraphError, InputError, RagweaveError, ResourceError
from ragweave.orchestrator.graph import Graph
from ragweave.orchestrator.node import Node
from ragweave.orchestrator.resources import Resources
from tests.engine.steps import Gate, build, inc

SEEN: list[str] = []
GATES: dict[str, Gate] = {}


class Text(TypedDict):
    text: str


@pytest.fixture(autouse=True)
def kinds() -> Iterator[None]:
    SEEN.clear()
    GATES.clear()
    with registry.scope():

        class Named(ChatModel, type="t_named"):
            name: str
            file: str = ""

            def open(self, resources: Resources) -> None:
                if self.name == "bad":
                    raise ResourceError("no such model")
                SEEN.append(f"open {self.name}")

            async def stream(self, request: ChatRequest) -> AsyncIterator[ChatChunk]:
                yield ChatChunk(self.name)

            async def close(self) -> None:
                SEEN.append(f"close {self.name}")

        class Through(ChatModel, type="t_through"):
            model: ModelName

            def open(self, resources: Resources) -> None:
                SEEN.append("open through")
                resources.get("models", self.model)

            async def stream(self, request: ChatRequest) -> AsyncIterator[ChatChunk]:
                yield ChatChunk("")

            async def close(self) -> None:
                SEEN.append("close through")

        class Says(Node, type="t_says"):
            word: str
            model: ModelName = "chat"

            async def __call__(self, ctx: Context) -> Text:
                model = await ctx.model(self.model)
                if self.word in GATES:
                    await GATES[self.word].wait()
                said = [chunk.text async for chunk in model.stream(ChatRequest([]))]
                return {"text": f"{self.word} {''.join(said)}"}

        yield


def write(path: Path, word: str, model: str = "{type: t_named, name: one}", more: str = "") -> Path:
    path.write_text(
        f"schema: ragweave/v1\nname: talk\noutputs: [text]\nmodels:\n  chat: {model}\n{more}"
        f"nodes: {{say: {{type: t_says, word: {word}}}}}\nedges: [start -> say -> end]\n"
    )
    return path


async def test_running_runs_finish_on_the_old_file_and_new_ones_start_on_the_new(tmp_path: Path) -> None:
    file = write(tmp_path / "talk.yaml", "old")
    GATES["old"] = Gate()
    async with Graph.load(file) as graph:
        running = asyncio.ensure_future(graph.arun())
        await GATES["old"].started.wait()
        write(file, "new", "{type: t_named, name: two}")
        assert await graph.areload() == ()
        assert (await graph.arun())["text"] == "new two"
        assert SEEN == ["open one", "open two"]
        GATES["old"].open()
        assert (await running)["text"] == "old one"
        assert SEEN == ["open one", "open two", "close one"]
    assert SEEN[-1] == "close two"
    assert SEEN.count("close one") == 1


async def test_a_broken_file_changes_nothing_and_says_what_is_wrong(tmp_path: Path) -> None:
    file = write(tmp_path / "talk.yaml", "old")
    async with Graph.load(file) as graph:
        assert (await graph.arun())["text"] == "old one"
        before = graph.plan
        file.write_text(file.read_text().replace("t_says", "t_sais"))
        with pytest.raises(GraphError, match=r"talk\.yaml:6:21  RW111  .*did you mean 't_says'") as caught:
            await graph.areload()
        assert [problem.code for problem in caught.value.problems] == ["RW111"]
        file.unlink()
        with pytest.raises(GraphError, match="the file does not exist"):
            await graph.areload()
        assert graph.plan is before
        assert (await graph.arun())["text"] == "old one"
        assert SEEN == ["open one"]


async def test_what_did_not_change_is_kept_open_and_the_rest_is_closed(tmp_path: Path) -> None:
    (tmp_path / "voice.txt").write_text("soft")
    more = "  other: {type: t_named, name: other}\n  spoken: {type: t_named, name: spoken, file: voice.txt}\n"
    more += "  through: {type: t_through, model: chat}\n  still: {type: t_through, model: other}\n"
    file = write(tmp_path / "talk.yaml", "old", more=more)
    async with Graph.load(file) as graph:
        await graph.awarm_up()
        assert sorted(SEEN) == ["open one", "open other", "open spoken", "open through", "open through"]
        SEEN.clear()
        other, still = (graph.resources.get("models", name) for name in ("other", "still"))
        write(file, "new", "{type: t_named, name: two}", more)
        (tmp_path / "voice.txt").write_text("loud and clear")
        await graph.areload()
        assert sorted(SEEN) == ["close one", "close spoken", "close through", "open spoken", "open through", "open two"]
        assert graph.resources.get("models", "other") is other
        assert graph.resources.get("models", "still") is still
        SEEN.clear()
    assert sorted(SEEN) == [
        "close other", "close spoken", "close through", "close through", "close two",
    ]  # fmt: skip


async def test_a_variable_of_the_environment_that_changed_makes_a_new_resource(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("WHO=ann\n")
    file = write(tmp_path / "talk.yaml", "old", '{type: t_named, name: "${env:WHO}"}')
    async with Graph.load(file) as graph:
        assert (await graph.arun())["text"] == "old ann"
        await graph.areload()
        assert SEEN == ["open ann"]
        (tmp_path / ".env").write_text("WHO=bob\n")
        await graph.areload()
        assert (await graph.arun())["text"] == "old bob"
    assert SEEN == ["open ann", "close ann", "open bob", "close bob"]


async def test_a_warm_graph_is_warm_again_or_stays_as_it_was(tmp_path: Path) -> None:
    file = write(tmp_path / "talk.yaml", "old")
    async with Graph.load(file) as graph:
        await graph.awarm_up()
        write(file, "new", "{type: t_named, name: bad}", "  more: {type: t_named, name: more}\n")
        with pytest.raises(ResourceError, match=r"models\.chat: no such model"):
            await graph.areload()
        assert (await graph.arun())["text"] == "old one"
        write(file, "new", "{type: t_named, name: two}")
        await graph.areload()
        assert SEEN == ["open one", "open two", "close one"]
        assert (await graph.arun())["text"] == "new two"


async def test_inner_graphs_are_read_again_and_keep_their_resources(tmp_path: Path) -> None:
    inner = write(tmp_path / "inner.yaml", "old")
    outer = tmp_path / "outer.yaml"
    outer.write_text(
        "schema: ragweave/v1\noutputs: [text]\n"
        "nodes: {g: {type: graph, path: inner.yaml}}\nedges: [start -> g -> end]\n"
    )
    GATES["old"] = Gate()
    async with Graph.load(outer) as graph:
        running = asyncio.ensure_future(graph.arun())
        await GATES["old"].started.wait()
        write(inner, "new")
        await graph.areload()
        assert (await graph.arun())["text"] == "new one"
        GATES["old"].open()
        assert (await running)["text"] == "old one"
        assert SEEN == ["open one"]
        assert (await graph.arun())["text"] == "new one"
    assert SEEN == ["open one", "close one"]


async def test_a_graph_that_another_one_holds_is_reloaded_under_its_runs(tmp_path: Path) -> None:
    file = write(tmp_path / "talk.yaml", "old")
    GATES["old"] = Gate()
    async with Graph.load(file) as inner:
        outer = Graph(outputs=["text"], nodes={"g": inner}, edges=["start -> g -> end"])
        running = asyncio.ensure_future(outer.arun())
        await GATES["old"].started.wait()
        write(file, "new", "{type: t_named, name: two}")
        await inner.areload()
        assert (await outer.arun())["text"] == "new two"
        GATES["old"].open()
        assert (await running)["text"] == "old one"
        assert SEEN == ["open one", "open two", "close one"]


async def test_new_inputs_and_overrides_count_from_the_reload_on(tmp_path: Path) -> None:
    file = write(tmp_path / "talk.yaml", "old")
    async with Graph.load(file) as graph:
        with pytest.raises(InputError):
            await graph.arun(overrides={"word": "any"})
        write(file, "new", more="overrides: {word: say.word}\ninputs: {who: {type: str, default: ann}}\n")
        await graph.areload()
        assert (await graph.arun(who="bob", overrides={"word": "any"}))["text"] == "any one"


async def test_attached_images_outlive_a_reload(tmp_path: Path) -> None:
    file = write(tmp_path / "talk.yaml", "old")
    async with Graph.load(file) as graph:
        part = graph.attach(b"\x89PNG\r\n\x1a\n" + bytes(20))
        write(file, "new")
        await graph.areload()
        assert graph.blobs.get(part.blob, "")[:4] == b"\x89PNG"


async def test_reloads_at_once_leave_one_edition(tmp_path: Path) -> None:
    file = write(tmp_path / "talk.yaml", "old")
    async with Graph.load(file) as graph:
        await graph.awarm_up()
        write(file, "new", "{type: t_named, name: two}")
        await asyncio.gather(*(graph.areload() for _ in range(4)))
        assert (await graph.arun())["text"] == "new two"
        assert graph._older == []
    opened = [one for one in SEEN if one.startswith("open")]
    assert sorted(one.replace("close", "open") for one in SEEN if one.startswith("close")) == sorted(opened)


def test_a_graph_that_is_no_file_cannot_be_reloaded() -> None:
    with pytest.raises(RagweaveError, match=r"was not read from a file; Graph\.load gives one"):
        build({"a": inc}, "start -> a -> end").reload()


def test_a_reload_works_without_an_event_loop(tmp_path: Path) -> None:
    file = write(tmp_path / "talk.yaml", "old")
    with Graph.load(file) as graph:
        assert graph.run()["text"] == "old one"
        write(file, "new")
        graph.reload()
        assert graph.run()["text"] == "new one"
        assert SEEN == ["open one"]


async def until(told: list[str], count: int) -> None:
    async with asyncio.timeout(60):
        while len(told) < count:  # noqa: ASYNC110  # told by a function of the caller, which sets no event
            await asyncio.sleep(0.01)


async def test_a_watched_graph_keeps_up_with_its_files_and_survives_broken_ones(tmp_path: Path) -> None:
    prompt = tmp_path / "hello.md"
    prompt.write_text("---\nvariables: {question: str}\n---\n## user\nHello {{ question }}\n")
    more = "prompts:\n  hello: hello.md\n"
    file = write(tmp_path / "talk.yaml", "old", more=more)
    told: list[str] = []
    async with Graph.load(file) as graph, graph.watch(every=0.02, tell=told.append):
        await asyncio.sleep(0.1)
        assert (await graph.arun())["text"] == "old one"
        write(file, "new", more=more)
        await until(told, 1)
        assert (await graph.arun())["text"] == "new one"
        text = file.read_text()
        file.write_text(text.replace("outputs: [text]", "outputs: [txet]").replace("hello.md", "nowhere.md"))
        await until(told, 2)
        assert "goes on as it was" in told[1]
        assert "txet" in told[1]
        assert (await graph.arun())["text"] == "new one"
        await asyncio.sleep(0.2)
        assert len(told) == 2
        file.write_text(text.replace("hello.md", "nowhere.md"))
        await until(told, 3)
        assert "nowhere.md" in told[2]
        prompt.rename(tmp_path / "nowhere.md")
        await until(told, 4)
        assert told[3] == told[0] == "the graph 'talk' was reloaded"
    assert SEEN == ["open one", "close one"]


async def test_a_watch_ends_with_its_block(tmp_path: Path) -> None:
    file = write(tmp_path / "talk.yaml", "old")
    tasks = asyncio.all_tasks()
    async with Graph.load(file) as graph:
        async with graph.watch(every=0.01):
            assert len(asyncio.all_tasks() - tasks) == 1
        assert asyncio.all_tasks() == tasks
