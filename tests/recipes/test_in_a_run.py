"""An agent as a node in runs: questions, kills, streams, maps, replays, other versions of its file."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from ragweave.orchestrator import registry
from ragweave.orchestrator.errors import GraphError
from ragweave.orchestrator.nodes.agents import Agent
from ragweave.orchestrator.recipes import FOLDER
from ragweave.orchestrator.versions import opened, version_of
from tests.recipes.shop import CALLED, SHOP, load, register, write

QUESTION = "Pay back my order 7."
PATH = "clerk#1/act#1[1]"


@pytest.fixture(autouse=True)
def shop() -> Iterator[None]:
    """The tools, for the time of a test."""
    with registry.scope():
        register()
        yield


def test_the_rules_of_the_graph_that_names_it_hold_and_questions_have_their_place(tmp_path: Path) -> None:
    with load(write(tmp_path)) as graph:
        parked = graph.run(question=QUESTION)
        assert list(parked.asks) == [PATH]
        assert parked.asks[PATH].question == "Call refund?\norder: 7"
        run = parked.run_id
    with load(tmp_path / "shop.yaml") as graph:  # another process
        result = graph.resume(run, answers={PATH: True})
        assert str(result["answer"]) == "Paid back."
        replayed = graph.replay(run)
        assert (replayed.differences, str(replayed.outputs["answer"])) == ((), "Paid back.")
    assert [f"refund 7 {PATH}"] == CALLED[1:]


def test_a_no_is_read_by_the_model(tmp_path: Path) -> None:
    with load(write(tmp_path)) as graph:
        parked = graph.run(question=QUESTION)
        assert str(graph.resume(parked.run_id, answers={PATH: False})["answer"]) == "Paid back."  # so says the script
        requests = graph.resources.get("models", "chat").requests
    assert "a person said no" in requests[-1].messages[-1].text
    assert CALLED == ["price 7"]


def test_the_rules_are_those_of_its_graph(tmp_path: Path) -> None:
    """Those in the shipped file are for those who copy it."""
    rules = "approval: [{allow: price}, {ask: refund}]\n"
    with pytest.raises(GraphError, match="with what is made from what tools gave"):
        load(write(tmp_path, SHOP.replace(rules, "")))
    text = SHOP.replace(rules, "approval: [{allow: [price, refund], from: tool}]\n")
    with load(write(tmp_path, text)) as graph:
        assert str(graph.run(question=QUESTION)["answer"]) == "Paid back."


async def test_its_words_and_calls_are_streamed_with_their_paths(tmp_path: Path) -> None:
    async with load(write(tmp_path)) as graph:
        events = [event async for event in graph.stream(question="What did it cost?")]
    assert "".join(event.data["text"] for event in events if event.kind == "token") == "It costs 19.90."
    assert [event.path for event in events if event.kind == "finished"] == [
        "clerk#1/think#1", "clerk#1/act#1", "clerk#1/think#2", "clerk#1"
    ]  # fmt: skip


def test_a_map_over_an_agent_asks_for_each_item(tmp_path: Path) -> None:
    text = SHOP.replace("{question: str}\noutputs: [answer]", '{questions: "list[str]"}\noutputs: [answer]')
    text = text.replace("max_steps: 3}", "max_steps: 3, map: {over: questions, as: question}}")
    with load(write(tmp_path, text)) as graph:
        parked = graph.run(questions=[QUESTION, "Hello!", "Pay back order 7 again."])
        assert sorted(parked.asks) == ["clerk#1[0]/act#1[1]", "clerk#1[2]/act#1[1]"]
        result = graph.resume(parked.run_id, answers=dict.fromkeys(parked.asks, True))
        assert list(map(str, result["answer"])) == ["Paid back.", "Good day.", "Paid back."]
    assert len([call for call in CALLED if call.startswith("refund")]) == 2


def test_an_agent_concludes_when_its_steps_are_used_up(tmp_path: Path) -> None:
    text = SHOP.replace("max_steps: 3", "max_steps: 1").replace('{after: price, text: "It costs 19.90."}', "Enough.")
    with load(write(tmp_path, text)) as graph:
        assert str(graph.run(question="What did it cost?")["answer"]) == "Enough."
        requests = graph.resources.get("models", "chat").requests
    assert [bool(one.tools) for one in requests] == [True, True, False]
    assert CALLED == ["price 3", "price 3"]
    assert requests[-1].messages[0].text == "You are a clerk."


def test_a_run_keeps_the_shipped_file_with_which_it_was_begun(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def installed(name: str, **changes: str) -> None:
        """A version of ragweave, installed in a folder of this name."""
        folder = tmp_path / name
        shutil.copytree(FOLDER, folder, dirs_exist_ok=True)
        text = (folder / "agent.yaml").read_text()
        for old, new in changes.items():
            text = text.replace(old, new)
        (folder / "agent.yaml").write_text(text)
        monkeypatch.setattr(Agent, "file", folder / "agent.yaml")
        monkeypatch.setattr(Agent, "home", folder)

    (tmp_path / "mine").mkdir()
    file = write(tmp_path / "mine")
    installed("first")
    with load(file) as graph:
        begun = graph.run(question=QUESTION).run_id
        version = version_of(graph._edition)
        assert list(opened(version.bundle)["files"]) == ["shop.yaml", "agent:agent.yaml"]
    installed("second", act="do_it")
    with load(file) as graph:
        assert version_of(graph._edition).hash != version.hash
        assert list(graph.run(question=QUESTION).asks) == ["clerk#1/do_it#1[1]"]
        assert str(graph.resume(begun, answers={PATH: True})["answer"]) == "Paid back."
    installed("third")
    with load(file) as graph:  # the first version in another place
        assert version_of(graph._edition).hash == version.hash


def test_a_reload_takes_new_settings_and_keeps_the_model(tmp_path: Path) -> None:
    file = write(tmp_path)
    with load(file) as graph:
        graph.run(question="Hello!")
        model = graph.resources.get("models", "chat")
        write(tmp_path, SHOP.replace("max_steps: 3", "max_steps: 5"))
        graph.reload()
        graph.warm_up()
        assert str(graph.run(question="Hello!")["answer"]) == "Good day."
        assert graph.resources.get("models", "chat") is model
        assert len(model.requests) == 2


def test_what_an_agent_costs_counts_toward_the_run(tmp_path: Path) -> None:
    with load(write(tmp_path)) as graph:
        assert graph.run(question="What did it cost?").usage.calls == 2


def test_questions_of_an_agent_within_a_plan_have_their_whole_path(tmp_path: Path) -> None:
    text = SHOP.replace("type: agent, model: chat, prompt: clerk", "type: plan_and_execute, model: chat")
    text = text.replace("max_steps: 3", "max_plans: 2, max_steps: 3, fields: {amount: float}").replace(
        "outputs: [answer]", "outputs: [answer, amount]"
    )
    script = """\
      - {when: '/(?s)- Pay order 7. Paid back..*"plan"/', text: '{"plan": []}'}
      - {when: '/"plan"/', text: '{"plan": ["Pay order 7."]}'}
      - {when: '/"amount"/', text: '{"amount": 19.9}'}
      - {after: refund, text: "Paid back."}
      - {when: "The step: Pay", tool_calls: [{id: b, name: refund, arguments: {order: 7}}]}
"""
    begin, end = text.index("    replies:\n") + len("    replies:\n"), text.index("prompts:")
    with load(write(tmp_path, text[:begin] + script + text[end:])) as graph:
        parked = graph.run(question=QUESTION)
        path = "clerk#1/work#1/act#1[0]"
        assert list(parked.asks) == [path]
    with load(tmp_path / "shop.yaml") as graph:
        result = graph.resume(parked.run_id, answers={path: True})
        assert (result["amount"], CALLED) == (19.9, [f"refund 7 {path}"])
        assert graph.replay(parked.run_id).differences == ()


async def test_two_agents_side_by_side_ask_side_by_side(tmp_path: Path) -> None:
    text = SHOP.replace("outputs: [answer]", "outputs: [answer, second]").replace(
        "edges: [start -> clerk -> end]",
        "  other: {type: agent, model: chat, prompt: clerk, tools: [refund, price], writes: {answer: second}}\n"
        "edges: [start -> clerk -> end, start -> other -> end]",
    )
    async with load(write(tmp_path, text)) as graph:
        parked = await graph.arun(question=QUESTION)
        assert sorted(parked.asks) == [PATH, "other#1/act#1[1]"]
        result = await graph.aresume(parked.run_id, answers=dict.fromkeys(parked.asks, True))
        assert (str(result["answer"]), str(result["second"])) == ("Paid back.", "Paid back.")
        assert len(CALLED) == 4
