"""Shipped graphs as nodes: what they read and write, what is refused where, and how a third party ships one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ragweave.orchestrator import registry
from ragweave.orchestrator.context import Context
from ragweave.orchestrator.errors import GraphError, Problem
from ragweave.orchestrator.graph import Graph
from ragweave.orchestrator.language.load import load_text
from ragweave.orchestrator.models.scripted import Scripted
from ragweave.orchestrator.nodes import agents
from ragweave.orchestrator.nodes.recipe import Recipe
from ragweave.orchestrator.resources import Resources
from tests.recipes.shop import SHOP, register, write

PLUGIN = """\
from pathlib import Path

from pydantic import Field, PositiveInt

from ragweave.orchestrator.contracts import ModelName, PromptName
from ragweave.orchestrator.nodes.recipe import Recipe


class Editor(Recipe, type="editor"):
    '''Write, and write again.'''

    file = Path(__file__).with_name("editor.yaml")

    model: ModelName = Field("auto", description="The model that writes.")
    tone: PromptName | None = Field(None, description="What it is told.")
    rounds: PositiveInt = Field(1, description="How often it writes again.")
"""
EDITOR = """\
schema: ragweave/v1
inputs: {topic: str}
outputs: [answer]
models: {chat: {type: scripted, replies: [One.], repeat: true}}
prompts: {tone: tone.md}
nodes:
  begin: {type: transform, set: {answer: "''"}}
  write: {type: generator, model: chat, prompt: tone, writes: {answer: draft}}
  keep: {type: transform, text: {answer: "{{ answer }} {{ draft.text }}"}}
edges:
  - start -> begin -> write -> keep
  - {from: keep, routes: [{to: write, max_iterations: 5}, {to: end}]}
settings: {model: write.model, tone: write.prompt, rounds: keep -> write}
"""
TONE = "---\nvariables: {topic: str}\n---\n## user\nSomething short about {{ topic }}.\n"


@pytest.fixture(autouse=True)
def shop() -> Iterator[None]:
    """The tools, for the time of a test."""
    with registry.scope():
        register()
        yield


def problems(folder: Path, old: str, new: str) -> list[str]:
    """What is wrong with the shop after a change."""
    assert old in SHOP
    try:
        Graph.load(write(folder, SHOP.replace(old, new)))
    except GraphError as error:
        return [_shown(problem) for problem in error.problems]
    return []


def _shown(problem: Problem) -> str:
    return f"{problem.line}:{problem.column} {problem.code} {problem.message}"


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (
            "max_steps: 3",
            "max_step: 3",
            "19:76 RW103 nodes.clerk: unknown setting 'max_step'; did you mean 'max_steps'?",
        ),
        ("max_steps: 3", "max_steps: 0", "19:87 RW106 nodes.clerk.max_steps: expected more than 0, found 0"),
        ("[price, refund], max", "[price, refnd], max", "19:67 RW304 nodes.clerk.tools[1]: there is no tool 'refnd'"),
        ("[price, refund], max", "[], max", "nodes.clerk.tools: expected a list of 1 or more, found an empty list"),
        ("model: chat, prompt", "model: chta, prompt", "19:31 RW304 nodes.clerk.model: there is no model 'chta'"),
        ("prompt: clerk, tools", "prompt: clrek, tools", "19:45 RW304 nodes.clerk.prompt: there is no prompt 'clrek'"),
        (", tools: [price, refund]", "", "19:3 RW107 nodes.clerk: the setting 'tools' is required"),
        ("max_steps: 3", "fields: {total: flaot}", "19:92 RW106 nodes.clerk.fields.total: unknown type 'flaot'"),
        ("max_steps: 3", "fields: {steps: str}", "steps, tool_calls and tool_results are keys that agents use"),
        ("{question: str}\noutputs", "{text: str}\noutputs", "RW201 'clerk' reads 'question'"),
        ("outputs: [answer]", "outputs: [answer, total]", "total"),
    ],
)
def test_a_wrong_setting_is_told_at_its_place(tmp_path: Path, old: str, new: str, said: str) -> None:
    assert any(said in line for line in problems(tmp_path, old, new)), problems(tmp_path, old, new)


def test_what_only_the_graph_inside_shows_is_told_at_the_node_with_the_line_of_the_shipped_file(tmp_path: Path) -> None:
    """A prompt that takes a key of the agent for its own."""
    (told, _) = problems(
        tmp_path,
        '{text: "## system\\nYou are a clerk.\\n\\n## user\\n{{ question }}", variables: {question: str}}',
        '{text: "{{ question }} {{ steps }}", variables: {question: str, steps: str}}',
    )
    assert told.startswith(
        "19:10 RW133 nodes.clerk: in the graph of 'agent', agent.yaml:24:3: 'think' reads 'steps' as str"
    )


def test_its_reads_are_those_of_its_prompt_and_its_writes_have_its_values(tmp_path: Path) -> None:
    text = SHOP.replace("variables: {question: str}", 'variables: {question: str, documents: "list[Document]?"}')
    text = text.replace("{{ question }}", "{% for one in documents %}{{ one.text }}{% endfor %} {{ question }}")
    text = text.replace("max_steps: 3", 'fields: {total: float, remark: "str?"}')
    graph = Graph.load(write(tmp_path, text.replace("outputs: [answer]", "outputs: [answer, total]")))
    node = graph.checked.nodes["clerk"]
    assert (sorted(node.required), sorted(node.optional)) == (["question"], ["documents"])
    assert (sorted(node.certain), sorted(node.written)) == (["answer", "total"], ["answer", "remark", "total"])


def test_typed_values_after_calls_of_tools(tmp_path: Path) -> None:
    text = SHOP.replace('"It costs 19.90."', """'{"total": 19.9, "remark": null}'""")
    text = text.replace("max_steps: 3", 'fields: {total: float, remark: "str?"}').replace("[answer]", "[answer, total]")
    result = Graph.load(write(tmp_path, text)).run(question="What did it cost?")
    assert (result["total"], str(result["answer"])) == (19.9, '{"total": 19.9, "remark": null}')


def test_two_agents_alike_share_a_graph_and_others_do_not(tmp_path: Path) -> None:
    again = "{type: agent, model: chat, prompt: clerk, tools: [price], writes: {answer: %s}}"
    nodes = f"  other: {again % 'more'}\n  same: {again % 'yet_more'}\n"
    text = SHOP.replace("edges: [start -> clerk -> end]", f"{nodes}edges: [start -> clerk -> other -> same -> end]")
    graph = Graph.load(write(tmp_path, text))
    assert len(graph.resources.inner_graphs()) == 2
    assert str(graph.run(question="Hello!")["answer"]) == "Good day."


async def test_one_agent_made_in_python_serves_two_graphs_each_with_its_own_model() -> None:
    agent = agents.Agent(model="chat", tools=["price"])

    def graph(said: str) -> Graph:
        return Graph(
            inputs={"question": "str"},
            outputs=["answer"],
            models={"chat": {"type": "scripted", "replies": [said], "repeat": True}},
            nodes={"clerk": agent},
            edges=["start -> clerk -> end"],
        )

    one, two = graph("One."), graph("Two.")
    for _ in range(2):
        assert [str((await each.arun(question="Who?"))["answer"]) for each in (one, two)] == ["One.", "Two."]


async def test_an_agent_can_be_called_without_a_graph() -> None:
    resources = Resources()
    resources.put("models", "m", Scripted(replies=["Hello."]))
    ctx = Context(resources=resources)
    assert str((await agents.Agent(model="m", tools=["price"])(ctx=ctx, question="Who?"))["answer"]) == "Hello."


@pytest.mark.parametrize("kind", [agents.Agent, agents.PlanAndExecute, agents.Reflection, agents.MultiHop])
def test_the_shipped_files_have_a_place_for_each_setting(kind: type[Recipe]) -> None:
    spec, found = load_text(kind.file.read_bytes(), file=kind.file.name, folder=kind.file.parent)
    assert (found, set(spec.settings)) == ([], set(kind.model_fields))


def shipped(folder: Path) -> None:
    """A plugin that brings a graph as a node type."""
    (folder / "theirs").mkdir()
    for name, text in (("editors.py", PLUGIN), ("editor.yaml", EDITOR), ("tone.md", TONE)):
        (folder / "theirs" / name).write_text(text)


def outer(settings: str, more: str = "") -> str:
    return f"""\
schema: ragweave/v1
inputs: {{topic: str}}
outputs: [answer]
models: {{mine: {{type: scripted, replies: [Mine.], repeat: true}}}}
{more}
nodes:
  editor: {{type: editor, {settings}}}
edges: [start -> editor -> end]
"""


def test_a_third_party_ships_a_graph_as_a_node_type(tmp_path: Path) -> None:
    shipped(tmp_path)
    plugins = [tmp_path / "theirs" / "editors.py"]
    graph = Graph.load(write(tmp_path, outer("model: mine, rounds: 2")), plugins=plugins)
    assert str(graph.run(topic="tea")["answer"]).split() == ["Mine."] * 3
    (request, *_) = graph.resources.get("models", "mine").requests
    assert request.messages[0].text == "Something short about tea."  # their own prompt


def test_a_prompt_of_ones_own_beside_theirs(tmp_path: Path) -> None:
    shipped(tmp_path)
    prompts = 'prompts: {loud: {text: "SHOUT about {{ topic }}", variables: {topic: str}}}'
    plugins = [tmp_path / "theirs" / "editors.py"]
    graph = Graph.load(write(tmp_path, outer("model: mine, tone: loud", prompts)), plugins=plugins)
    graph.run(topic="tea")
    assert graph.resources.get("models", "mine").requests[0].messages[0].text == "SHOUT about tea"


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("model: write.model", "model: wrote.model", "there is no node 'wrote'; did you mean 'write'?"),
        ("tone: write.prompt", "tone: write.promt", "node 'write' has no setting 'promt'; did you mean 'prompt'?"),
        ("keep -> write", "keep -> begin", "no way with max_iterations leads there from 'keep'"),
        ("keep -> write", "5", "expected a place in the graph, found 5"),
        (", rounds: keep -> write", "", "the setting 'rounds': `settings` of editor.yaml does not say where it goes"),
    ],
)
def test_a_setting_that_leads_nowhere_is_told(tmp_path: Path, old: str, new: str, said: str) -> None:
    shipped(tmp_path)
    (tmp_path / "theirs" / "editor.yaml").write_text(EDITOR.replace(old, new))
    with pytest.raises(GraphError) as raised:
        Graph.load(write(tmp_path, outer("model: mine, rounds: 2")), plugins=[tmp_path / "theirs" / "editors.py"])
    assert said in str(raised.value)
    if "rounds" not in old:
        with pytest.raises(GraphError, match=r"RW131|RW105"):
            Graph.load(tmp_path / "theirs" / "editor.yaml")


def test_a_name_that_both_use_for_different_things_is_refused(tmp_path: Path) -> None:
    shipped(tmp_path)
    theirs = (
        EDITOR.replace("settings: {model: write.model", "settings: {model: other.model")
        .replace("  keep:", "  other: {type: generator, model: chat, prompt: tone, writes: {answer: unread}}\n  keep:")
        .replace("-> write -> keep", "-> write -> other -> keep")
    )
    (tmp_path / "theirs" / "editor.yaml").write_text(theirs)
    text = outer("model: chat").replace("models: {mine:", "models: {chat:")
    with pytest.raises(GraphError, match=r"models\.chat: the graph of 'editor' has one of this name too"):
        Graph.load(write(tmp_path, text), plugins=[tmp_path / "theirs" / "editors.py"])
