"""Guardrail nodes in graphs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ragweave import Graph
from ragweave.orchestrator import registry
from ragweave.orchestrator.errors import GraphError
from ragweave.orchestrator.guardrails.check import Check, Finding, Subject
from ragweave.orchestrator.values import Answer, Citation, Document

SCREENED = """
schema: ragweave/v1
name: desk
inputs: {question: str}
outputs: [answer, verdict]
models:
  chat: {type: scripted, replies: ["I wrote to [EMAIL_ADDRESS_1]."]}
checks:
  polite: {type: words, words: [damn]}
prompts:
  clerk: {text: "{{ question }}", variables: {question: str}}
nodes:
  screen: {type: guardrail, checks: [polite, pii]}
  think: {type: generator, model: chat, prompt: clerk}
  reveal: {type: reveal}
  refuse: {type: reply, text: "Please be polite.", confidence: 0}
edges:
  - start -> screen
  - from: screen
    routes:
      - {when: verdict.passed, to: think}
      - {to: refuse}
  - think -> reveal -> end
  - refuse -> end
"""


def checked(of: str, checks: str, *, more: str = "", kind: str = "str") -> str:
    return f"""
schema: ragweave/v1
name: desk
inputs: {{{of}: {kind}}}
outputs: [{of}, verdict]
{more}
nodes:
  screen: {{type: guardrail, checks: {checks}, of: {of}}}
edges: [start -> screen -> end]
"""


def test_the_model_sees_tags_and_the_user_sees_values() -> None:
    graph = Graph.parse(SCREENED)
    result = graph.run(question="Write to jo@example.org, not to jo@example.org!")
    asked = graph.resources.get("models", "chat").requests[0].messages[-1].text
    assert asked == "Write to [EMAIL_ADDRESS_1], not to [EMAIL_ADDRESS_1]!"
    assert str(result["answer"]) == "I wrote to jo@example.org."
    assert (result["verdict"].passed, result["verdict"].action) == (True, "redact")


def test_routes_see_what_is_blocked() -> None:
    result = Graph.parse(SCREENED).run(question="Damn it.")
    assert str(result["answer"]) == "Please be polite."
    assert result["verdict"].reasons == ("polite: a word that must not be said",)


def test_an_unknown_check_is_a_problem_of_the_file() -> None:
    with pytest.raises(GraphError) as raised:
        Graph.parse(checked("question", "[pi]"))
    assert "graph:8:" in str(raised.value)
    assert "did you mean 'pii'" in str(raised.value)


def test_a_wrong_setting_of_a_check_is_a_problem_of_the_file() -> None:
    with pytest.raises(GraphError) as raised:
        Graph.parse(checked("question", "[private]", more="checks: {private: {type: pii, kinds: [EMAIL_ADRESS]}}"))
    assert "did you mean 'EMAIL_ADDRESS'" in str(raised.value)


def test_a_check_that_fails_counts_as_one_that_blocks() -> None:
    with registry.scope():

        class Broken(Check, type="broken"):
            async def find(self, text: str, subject: Subject) -> list[Finding]:
                raise ValueError("no words today")

        result = Graph.parse(checked("question", "[broken]")).run(question="Hello")
    assert not result["verdict"].passed
    assert result["verdict"].reasons == ("broken: it could not be checked: ValueError: no words today",)


def test_documents_that_are_blocked_are_left_out() -> None:
    given = [
        Document(id="a", text="Boil the milk."),
        Document(id="b", text="Damn the milk."),
        Document(id="c", text="x@y.org"),
    ]
    more = "checks: {polite: {type: words, words: [damn]}}"
    graph = Graph.parse(checked("documents", "[polite, pii]", more=more, kind="'list[Document]'"))
    result = graph.run(documents=given)
    assert [one.text for one in result["documents"]] == ["Boil the milk.", "[EMAIL_ADDRESS_1]"]
    assert (result["verdict"].passed, result["verdict"].action) == (True, "block")
    assert not graph.run(documents=given[1:2])["verdict"].passed
    assert graph.run(documents=[])["verdict"].passed


def test_what_an_answer_quotes_is_checked_as_its_text_is() -> None:
    answer = Answer(
        text="Ask x@y.org [1].", citations=(Citation(number=1, document="a", quote="Her address is x@y.org."),)
    )
    result = Graph.parse(checked("answer", "[pii]", kind="Answer")).run(answer=answer)
    assert result["answer"].text == "Ask [EMAIL_ADDRESS_1] [1]."
    assert result["answer"].citations[0].quote == "Her address is [EMAIL_ADDRESS_1]."


@pytest.mark.parametrize(("answer", "passed"), [(True, True), (False, False)])
def test_a_person_decides_what_is_to_be_asked_about(answer: bool, passed: bool) -> None:
    graph = Graph.parse(checked("question", "[private]", more="checks: {private: {type: pii, action: ask}}"))
    parked = graph.run(question="Write to x@y.org.")
    (path, ask), *_ = parked.asks.items()
    assert ask.question == "May this question pass?\n- private: email address of a person\nWrite to x@y.org."
    result = graph.resume(parked.run_id, answers={path: answer})
    assert result["verdict"].passed is passed


def test_links_that_stand_in_the_sources_may_pass(tmp_path: Path) -> None:
    text = """
schema: ragweave/v1
name: desk
inputs: {answer: Answer, documents: "list[Document]"}
outputs: [answer, verdict]
nodes:
  grade: {type: guardrail, checks: [links], of: answer}
edges: [start -> grade -> end]
"""
    answer = Answer(text="See https://a.example/b and https://a.example/b?q=4111 ![](https://a.example/b)")
    given: Any = [Document(id="a", text="It is at https://a.example/b.")]
    result = Graph.parse(text).run(answer=answer, documents=given)
    assert result["answer"].text == "See https://a.example/b and [LINK] ![]([REMOTE_IMAGE])"
