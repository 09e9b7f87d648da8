"""Questions as search queries: by rules, by a model, and in a loop."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragweave.orchestrator.context import Context
from ragweave.orchestrator.errors import ModelError
from ragweave.orchestrator.models.extractive import Extractive
from ragweave.orchestrator.models.scripted import Scripted
from ragweave.orchestrator.resources import Resources
from ragweave.orchestrator.values import Document, Message, Verdict
from ragweave.prompts.decomposer import Decomposer, read_queries
from ragweave.prompts.decomposition import next_hop, split


@pytest.mark.parametrize(
    "question",
    [
        "How long does kvass ferment?",
        "Which two spices are left out of garam masala but added when it is meant for biriyani?",
        "What is the difference between aioli and mayonnaise?",
        "bread and butter",
    ],
)
def test_a_question_that_asks_one_thing_stays_itself(question: str) -> None:
    assert split(question) == [question]


@pytest.mark.parametrize(
    ("question", "parts"),
    [
        (
            "How strong is homemade kvass, and how long does it ferment?",
            ["How strong is homemade kvass", "how long does homemade kvass ferment?"],
        ),
        (
            "For lasagna: how long should the meat sauce simmer, and how much milk goes into the white sauce?",
            ["how long should the meat sauce simmer", "how much milk goes into the white sauce?"],
        ),
        (
            "Scale the pizza dough to three: how much flour and how much water?",
            [
                "Scale the pizza dough to three how much flour",
                "Scale the pizza dough to three how much water?",
            ],
        ),
        (
            "Limoncini or arancini: which one is the dessert?",
            ["Limoncini is the dessert", "arancini is the dessert"],
        ),
        (
            "Who directed the film that was shot in Leland in 1986?",
            ["film that was shot in Leland in 1986"],
        ),
        (
            "In what county is the town in which Lisk Abbey, Veldmark is located?",
            ["town in which Lisk Abbey, Veldmark is located"],
        ),
        (
            "Are the directors of both films Grey Heron and The Paper Lantern (1951 film) from the same country?",
            ["Grey Heron directors films country", "The Paper Lantern (1951 film) directors films country"],
        ),
        (
            "Were Ada Merrow and Tom Orrin, Lisk born in the same town?",
            ["Ada Merrow born town", "Tom Orrin, Lisk born town"],
        ),
        ("Which ship is older, the Heron or the Marigold?", ["Heron ship is older", "Marigold ship is older"]),
        ("Which soup uses the sauce that is stirred for an hour?", ["sauce that is stirred for an hour"]),
        # A relative clause that names nothing, in a question that does, would find anybody.
        ("Do the painters who died first in The Paper Lantern share a name?", []),
    ],
)
def test_parts_comparisons_and_relative_clauses_become_queries_behind_the_question(
    question: str, parts: list[str]
) -> None:
    assert split(question) == [question, *parts]


def test_a_follow_up_is_asked_together_with_the_turn_before_it() -> None:
    history = [Message.of("user", "What is zopf?"), Message.of("assistant", "A Swiss bread.")]
    assert split("And how long does it bake?", history)[0] == "What is zopf? And how long does it bake?"
    assert split("How long does sourdough bread bake?", history)[0] == "How long does sourdough bread bake?"


LAMB = Document(
    id="lamb",
    title="Lamb biriyani",
    text="Best served with a sauce such as [onion raitha](/onion-raitha).\n\n- 1 tbsp [garam masala](/garam-masala)",
)
FILM = Document(id="film", title="The Lost Kite", text="The Lost Kite is a film that Ada Merrow directed in 1938.")


def test_the_next_hop_asks_for_what_the_named_passage_links_to() -> None:
    steps, queries = next_hop("Which sauce is served with lamb biriyani, and what sweetens it?", [LAMB])
    assert queries[0] == "onion raitha"
    assert steps[0].document == "lamb"
    assert "onion raitha" in steps[0].found
    assert steps[0].leads_to == "onion raitha"


def test_the_next_hop_asks_for_names_with_what_is_still_open() -> None:
    _, queries = next_hop("Where was the director of the film The Lost Kite born?", [FILM])
    assert queries == ["Ada Merrow: born"]


def test_links_of_passages_that_the_question_does_not_name_lead_nowhere() -> None:
    assert next_hop("How long does kvass ferment?", [LAMB])[1] == []


def test_without_passages_there_is_no_next_hop() -> None:
    steps, queries = next_hop("How long does kvass ferment?", [])
    assert queries == []
    assert [(step.question, step.found) for step in steps] == [("How long does kvass ferment?", "")]


async def test_the_first_visit_writes_the_parts_and_an_empty_chain() -> None:
    written = await Decomposer()(question="How strong is kvass, and how long does it ferment?", ctx=Context())
    assert len(written["queries"]) == 3
    assert written["chain"] == []


@pytest.mark.parametrize("most", [1, 2, 3])
async def test_there_are_never_more_queries_than_allowed(most: int) -> None:
    question = "How strong is kvass, how long does it ferment, and what does it cost, and who drinks it?"
    written = await Decomposer(max_queries=most)(question=question, ctx=Context(), documents=[LAMB])
    assert written["queries"][0] == question
    assert len(written["queries"]) <= most


async def test_a_second_visit_replaces_some_queries_by_the_next_hop() -> None:
    question = "Which sauce is served with lamb biriyani, and what sweetens it?"
    first = await Decomposer()(question=question, ctx=Context())
    second = await Decomposer()(question=question, ctx=Context(), documents=[LAMB], queries=first["queries"])
    assert second["queries"][:2] == first["queries"][:2]
    assert "onion raitha" in second["queries"]
    assert [step["question"] for step in second["chain"]] == [query.rstrip("?") for query in first["queries"][1:2]] + [
        "what sweetens the sauce served with lamb biriyani?"
    ]


async def test_what_a_check_found_missing_is_asked_for() -> None:
    verdict = Verdict(passed=False, missing=("the baking temperature of zopf",))
    written = await Decomposer()(question="How is zopf baked?", ctx=Context(), verdict=verdict)
    assert written["queries"] == ["How is zopf baked?", "the baking temperature of zopf"]


def with_model(model: object) -> tuple[Context, list[str]]:
    said: list[str] = []
    resources = Resources(notice=said.append)
    resources.put("models", "chat", model)
    return Context(resources=resources), said


@pytest.mark.parametrize(
    "reply",
    [
        "kvass strength\nkvass fermentation time",
        "1. kvass strength\n2) kvass fermentation time",
        "- kvass strength\n* kvass fermentation time",
        "Here are the queries:\nkvass strength\nkvass fermentation time",
        'Sure:\n```json\n["kvass strength", "kvass fermentation time"]\n```',
        json.dumps({"queries": ["kvass strength", "kvass fermentation time"]}),
        json.dumps([{"query": "kvass strength"}, {"query": "kvass fermentation time"}]),
    ],
)
async def test_a_model_writes_queries_in_lines_or_json(reply: str) -> None:
    ctx, said = with_model(Scripted(replies=[reply]))
    written = await Decomposer(model="chat")(question="How strong is kvass, and how long does it ferment?", ctx=ctx)
    assert written["queries"][1:] == ["kvass strength", "kvass fermentation time"]
    assert said == []


@pytest.mark.parametrize("reply", ["I am sorry, I cannot help.", "", "{}", "[1, 2]", "```\n```", "x " * 100])
async def test_a_reply_without_queries_falls_back_on_the_rules_and_says_so(reply: str) -> None:
    ctx, said = with_model(Scripted(replies=[reply or " "]))
    question = "How strong is kvass, and how long does it ferment?"
    written = await Decomposer(model="chat")(question=question, ctx=ctx)
    assert written["queries"] == split(question)
    assert said == [f"model 'chat' wrote no queries for {question!r}: it was split by rules"]


async def test_a_call_of_the_model_that_fails_counts_as_one() -> None:
    ctx, _ = with_model(Scripted(replies=[{"error": "overloaded"}]))
    with pytest.raises(ModelError, match="overloaded"):
        await Decomposer(model="chat")(question="What is kvass?", ctx=ctx)
    assert ctx.used.calls == 1


async def test_a_model_that_only_quotes_is_not_asked() -> None:
    ctx, said = with_model(Extractive(embedder=None))
    written = await Decomposer(model="chat")(question="How long does kvass ferment?", ctx=ctx)
    assert written["queries"] == ["How long does kvass ferment?"]
    assert (said, ctx.used.calls) == ([], 0)


async def test_a_second_visit_asks_the_model_again_only_for_what_is_missing() -> None:
    model = Scripted(replies=["kvass strength", "kvass yeast"])
    ctx, _ = with_model(model)
    node = Decomposer(model="chat")
    first = await node(question="How strong is kvass?", ctx=ctx)
    await node(question="How strong is kvass?", ctx=ctx, documents=[LAMB], queries=first["queries"])
    assert len(model.requests) == 1
    verdict = Verdict(passed=False, missing=("yeast",))
    third = await node(question="How strong is kvass?", ctx=ctx, verdict=verdict, queries=first["queries"])
    assert len(model.requests) == 2
    assert "yeast" in model.requests[1].messages[-1].text
    assert "kvass yeast" in third["queries"]


async def test_the_model_is_told_the_conversation() -> None:
    model = Scripted(replies=["zopf baking time"])
    ctx, _ = with_model(model)
    history = [Message.of("user", "What is zopf?")]
    written = await Decomposer(model="chat")(question="And how long does it bake?", ctx=ctx, history=history)
    assert "What is zopf?" in model.requests[0].messages[-1].text
    assert written["queries"] == ["What is zopf? And how long does it bake?", "zopf baking time"]
    assert ctx.used.calls == 1


@given(st.text(max_size=200))
def test_every_question_has_at_least_one_query_and_none_twice(question: str) -> None:
    queries = split(question)
    assert queries
    assert len(set(queries)) == len(queries)


@given(st.text(max_size=200), st.text(max_size=200))
def test_the_next_hop_takes_any_text(question: str, text: str) -> None:
    next_hop(question, [Document(id="1", title=text[:10], text=text)], [text])


@given(st.one_of(st.text(max_size=200), st.recursive(st.text(max_size=10), st.lists).map(json.dumps)))
def test_any_reply_can_be_read(reply: str) -> None:
    queries = read_queries(reply, ["How strong is kvass?"])
    assert all(query.strip() for query in queries)
