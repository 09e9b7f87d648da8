"""Nodes are built of their settings, with their policies."""

from __future__ import annotations

from pathlib import Path

import pytest

from ragweave.orchestrator import registry
from ragweave.orchestrator.checking.bound import BoundNode
from ragweave.orchestrator.errors import Problem
from ragweave.orchestrator.language.load import load_data, load_text
from ragweave.orchestrator.language.settings import bind
from ragweave.orchestrator.naming import ResourceSpec
from ragweave.orchestrator.resources import Resources
from ragweave.orchestrator.types import Type, list_of
from tests.language.reading import opened, whole
from tests.language.samples import Said, Say

DOCUMENTS = list_of(Type("Document"))


def node(entry: str, extra: str = "") -> BoundNode:
    _, bound, problems = opened(whole(f"{extra}nodes: {{a: {entry}}}\nedges: [start -> a -> end]\n"))
    assert not problems, [str(problem) for problem in problems]
    return bound["a"]


def faults(piece: str, environ: dict[str, str] | None = None) -> list[Problem]:
    return opened(whole(piece), environ)[2]


def test_a_bound_node_says_what_it_reads_and_writes() -> None:
    bound = node("{type: say, text: Hello., times: 2, reads: {question: topic}, writes: {answer: reply}}")
    assert (set(bound.required), set(bound.optional), set(bound.certain)) == ({"topic"}, {"name"}, {"reply"})
    assert bound.written == {"reply": Type("str")}
    [member] = bound.members
    assert isinstance(member.node, Say)
    assert member.node.times == 2
    assert member.reads == {"question": "topic", "name": "name"}
    assert member.writes == {"answer": "reply"}
    assert not bound.racing


def test_what_a_type_may_leave_out_is_not_certain() -> None:
    bound = node("{type: find}")
    assert bound.certain == {"documents"}
    assert bound.written == {"documents": DOCUMENTS, "hint": Type("str")}


def test_map_reads_a_list_and_writes_lists() -> None:
    bound = node("{type: find, map: {over: queries, as: query}}")
    assert bound.required == {"queries"}
    assert bound.members[0].reads == {}
    assert bound.written == {"documents": list_of(DOCUMENTS), "hint": list_of(Type("str"))}


def test_map_with_a_merge_writes_what_one_call_writes() -> None:
    bound = node("{type: find, map: {over: queries, as: query, merge: rrf}}")
    assert bound.written["documents"] == DOCUMENTS


def test_a_fallback_inherits_what_it_does_not_give() -> None:
    bound = node(
        "{type: say, text: x, mood: merry, retry: 2, timeout: 5s, cache: 1m, on_error: a2, writes: {answer: reply},"
        " fallback: [{text: y, retry: 0}, {type: chat}]}, a2: {type: say, text: x}"
    )
    first, same, other = bound.members
    assert isinstance(same.node, Say)
    assert (same.node.text, same.node.mood) == ("y", "merry")
    assert (same.policies.retry, same.policies.timeout) == (0, 5.0)
    assert same.policies.cache == first.policies.cache
    assert same.policies.on_error is None
    assert same.policies.fallback == ()
    assert (other.policies.retry, other.policies.timeout) == (2, 5.0)
    assert other.writes == {"answer": "reply"}
    assert bound.certain == {"reply"}


def test_members_of_a_mapped_node_get_the_item_too() -> None:
    bound = node("{type: find, map: {over: queries, as: query}, fallback: {top_k: 1}}")
    assert [member.reads for member in bound.members] == [{}, {}]


def test_a_race_has_members_beside_the_node() -> None:
    bound = node("{type: say, text: x, race: [{text: y}, {type: chat}]}")
    assert bound.racing
    assert [type(member.node).__name__ for member in bound.members] == ["Say", "Say", "Chat"]


def test_what_a_fallback_needs_the_node_needs() -> None:
    bound = node("{type: chat, fallback: {type: say, text: x, reads: {question: topic}}}")
    assert (set(bound.required), set(bound.optional)) == ({"question", "topic"}, {"name"})


def test_defaults_are_policies_of_the_nodes_that_can_take_them() -> None:
    _, bound, problems = opened(
        whole(
            "defaults: {retry: 2, timeout: 9s, cache: 1m}\n"
            "nodes: {a: {type: say, text: x, retry: 0}, b: {type: pay}, c: {type: save}}\n"
            "edges: [start -> a -> b -> c -> end]\n"
        )
    )
    assert not problems
    policies = {name: bound[name].policies for name in "abc"}
    assert [policies[name].retry for name in "abc"] == [0, 0, 2]
    assert [policies[name].timeout for name in "abc"] == [9.0, 9.0, 9.0]
    assert [policies[name].cache is not None for name in "abc"] == [True, False, False]


@pytest.mark.parametrize(
    ("inner", "codes"),
    [
        ("{type: say, text: x, writes: {answer: receipt}}", []),
        ("{type: save, reads: {answer: question}}", ["RW125", "RW125"]),
        (
            (
                "{type: say, text: x, writes: {answer: receipt}, "
                "fallback: {type: pay, reads: {answer: question}, writes: {}}}"
            ),
            ["RW125", "RW125"],
        ),
    ],
)
def test_a_graph_has_the_effects_of_its_nodes(tmp_path: Path, inner: str, codes: list[str]) -> None:
    text = f"outputs: [receipt]\nnodes: {{a: {inner}}}\nedges: [start -> a -> end]\n"
    (tmp_path / "inner.yaml").write_text(whole(text), encoding="utf-8")
    spec, problems = load_text(
        whole(
            "nodes: {a: {type: graph, path: inner.yaml, retry: 1, cache: 1m}, b: {type: graph, path: inner.yaml}}\n"
            "edges: [start -> a -> b -> end]\n"
        )
    )
    assert not problems
    assert [problem.code for problem in bind(spec, Resources(folder=tmp_path))[1]] == codes


def test_the_environment_is_read_before_settings_are_judged() -> None:
    piece = 'nodes: {a: {type: say, text: "${env:T}", times: "${env:N:-2}"}}\nedges: [start -> a -> end]\n'
    spec, bound, problems = opened(whole(piece), {"T": "Hi.", "N": "3"})
    assert not problems
    assert isinstance(built := bound["a"].members[0].node, Say)
    assert (built.text, built.times) == ("Hi.", 3)
    assert spec.nodes["a"].settings["times"] == "${env:N:-2}"
    [problem] = faults(piece, {"T": "Hi.", "N": "none"})
    assert problem.code == "RW106"


def test_a_variable_that_is_not_set_warns_where_a_resource_needs_it() -> None:
    [problem] = faults('models: {m: {type: remote, url: "${env:URL}"}}\n')
    assert (problem.code, problem.severity) == ("RW301", "warning")
    assert not faults('models: {m: {type: remote, url: "${env:URL}"}}\n', {"URL": "x"})
    assert not faults('models: {m: {type: remote, url: "${env:URL:-x}"}}\n')


def test_values_of_secrets_are_not_shown() -> None:
    problems = faults("models: {m: {type: remote, url: x, api_key: [hunter2]}}\n")
    assert {problem.code for problem in problems} == {"RW106", "RW303"}
    assert not any("hunter2" in problem.message for problem in problems)


def test_names_that_only_look_secret_do_not_warn() -> None:
    from ragweave.orchestrator.language.references import is_secret

    assert all(
        map(is_secret, ["api_key", "API_KEY", "password", "token", "access_token", "client-secret", "Authorization"])
    )
    assert not any(
        map(is_secret, ["max_tokens", "max_token", "key", "tokens", "top_key", "stop_token", "monkey", "keyword"])
    )


def test_a_resource_that_the_program_put_there_counts_as_declared() -> None:
    spec, problems = load_data({"nodes": {"a": {"type": "chat", "model": "mine"}}, "edges": ["start -> a -> end"]})
    resources = Resources()
    assert [problem.code for problem in bind(spec, resources)[1]] == ["RW304"]
    resources.put("models", "mine", object())
    assert bind(spec, resources)[1] == problems == []


def test_a_registered_type_without_settings_needs_no_declaration() -> None:
    assert not faults("nodes: {a: {type: chat, model: echo}}\nedges: [start -> a -> end]\n")
    [problem] = faults("nodes: {a: {type: chat, model: remote}}\nedges: [start -> a -> end]\n")
    assert problem.message == "nodes.a.model: model 'remote' needs settings (url); declare it under models"


def test_a_default_that_is_not_there_is_said_at_the_node() -> None:
    with registry.scope():
        registry._added["retrievers"].pop("shelf")
        [problem] = faults("nodes: {a: {type: find}}\nedges: [start -> a -> end]\n")
    assert problem.message.startswith("nodes.a: 'retriever' is 'shelf' unless it is given, and there is no")


def test_what_a_plugin_raises_is_a_problem() -> None:
    with registry.scope():
        registry.add("nodes", "broken", "no class")
        [problem] = faults("nodes: {a: {type: broken}}\nedges: [start -> a -> end]\n")
    assert problem.code == "RW111"
    assert "neither a Node class nor a function" in problem.message


def test_a_function_is_built_with_no_settings() -> None:
    def shout(question: str) -> Said:
        """Shout."""
        return {"answer": question.upper()}

    data = {"nodes": {"a": shout, "b": {"type": shout, "loud": True}}, "edges": ["start -> a -> b -> end"]}
    spec, _ = load_data(data)
    bound, problems = bind(spec, Resources())
    assert list(bound) == ["a"]
    assert [str(problem) for problem in problems] == [
        "graph  RW103  nodes.b: unknown setting 'loud'; it has no settings but those of every node"
    ]


def test_a_node_of_python_keeps_its_settings_in_its_fallback() -> None:
    data = {
        "nodes": {
            "a": {"type": Say(text="x", mood="merry"), "fallback": {"text": "y"}},
            "b": {"type": Say(text="x"), "text": "y"},
        },
        "edges": ["start -> a -> b -> end"],
    }
    bound, problems = bind(load_data(data)[0], Resources())
    other = bound["a"].members[1].node
    assert isinstance(other, Say)
    assert (other.text, other.mood) == ("y", "merry")
    assert [problem.code for problem in problems] == ["RW103"]


def test_a_function_that_cannot_be_a_node_is_a_problem() -> None:
    def untyped(question) -> None:  # type: ignore[no-untyped-def]
        """Nothing."""

    _, problems = bind(load_data({"nodes": {"a": untyped}, "edges": ["start -> a -> end"]})[0], Resources())
    assert [problem.code for problem in problems] == ["RW111"]
    assert "parameter 'question' needs a type" in problems[0].message


@pytest.mark.parametrize("kind", ["models", "retrievers"])
def test_resources_of_no_type_are_left_alone(kind: str) -> None:
    spec, _ = load_data({"nodes": {}, "edges": []})
    spec.resources[kind, "x"] = ResourceSpec(kind, "x", "")
    assert bind(spec, Resources())[1] == []
