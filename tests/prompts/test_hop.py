"""What to ask next: names that lead on, by rules and by a model, and passages weighed over the hops."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragweave.orchestrator.context import Context
from ragweave.orchestrator.errors import InputError, ModelError
from ragweave.orchestrator.models.extractive import Extractive
from ragweave.orchestrator.models.scripted import Scripted
from ragweave.orchestrator.resources import Resources
from ragweave.orchestrator.values import Document
from ragweave.prompts.hop import Hop, Hopped
from ragweave.prompts.leads import leads, left_open

ASKED = "Where was the captain of the Grey Heron born?"
SHIP = Document(
    id="ship",
    title="Grey Heron (ship)",
    text="The Grey Heron left the yard in March 1871. Its captain was Ada Merrow, who never wore a hat.",
    score=0.8,
)
WOMAN = Document(id="woman", title="Ada Merrow", text="Ada Merrow was born in Lisk and sailed from 1860 on.", score=0.5)
TOWN = Document(id="town", title="Lisk", text="Lisk has three bridges.", score=0.4)


def names(question: str, *passages: Document) -> list[str]:
    return [lead.name for lead in leads(question, [(one, one.score, None) for one in passages])]


async def again(node: Hop, ctx: Context, before: Hopped, found: list[list[Document]]) -> Hopped:
    """The next visit, with what the last one wrote."""
    return await node(ASKED, before["queries"], found, ctx, before["documents"], before["chain"])


def test_the_name_beside_the_words_of_the_question_leads_on_with_what_is_open() -> None:
    (lead,) = leads(ASKED, [(SHIP, 0.8, None)])
    assert (lead.name, lead.document, lead.left, lead.query) == ("Ada Merrow", "ship", ("born",), "Ada Merrow born")


def test_a_name_near_the_questions_words_goes_before_others_and_a_better_passage_before_a_worse() -> None:
    other = SHIP.model_copy(update={"text": "Tom Orrin built it. The captain of the Grey Heron was Ada Merrow."})
    assert names(ASKED, other) == ["Ada Merrow", "Tom Orrin"]
    worse = Document(id="w", title="Herons", text="Pia Quell was captain of another Grey Heron.", score=0.2)
    assert names(ASKED, worse, SHIP)[0] == "Ada Merrow"


def test_dates_names_of_the_question_and_words_that_begin_a_sentence_lead_nowhere() -> None:
    text = "However, in March 1871 the Grey Heron sailed. Then it came back on 3 May."
    assert names(ASKED, Document(id="x", text=text, score=1.0)) == []


def test_a_passage_that_leaves_nothing_open_leads_nowhere() -> None:
    whole = SHIP.model_copy(update={"text": f"{SHIP.text} She was born in Lisk."})
    assert names(ASKED, whole) == []


def test_the_title_of_a_passage_may_be_the_name_that_was_described() -> None:
    text = "Its official sport is stone skipping."
    passage = Document(id="v", title="Veldmark > Sports", text=text, score=0.5)
    assert names("Who rules the region whose official sport is stone skipping?", passage) == ["Veldmark"]


def test_links_lead_on_even_in_small_letters() -> None:
    passage = Document(id="l", title="Lamb", text="Lamb comes with [onion sauce](onion.md) or [[mint]].", score=0.5)
    assert set(names("What sweetens the sauce that lamb comes with?", passage)) == {"onion sauce", "mint"}


def test_what_was_open_on_the_way_is_not_asked_again() -> None:
    later = WOMAN.model_copy(update={"text": "She grew up in Lisk."})
    (lead,) = leads(ASKED, [(later, 0.5, ["born"])], [("Ada Merrow", 1)])
    assert (lead.name, lead.left) == ("Lisk", ("born",))
    assert left_open(["born", "the", "Captain", "captain"], TOWN) == ("born", "Captain", "captain")


def test_a_name_is_asked_again_only_where_less_is_left_to_ask() -> None:
    passage = Document(id="p", title="", text="A captain, born somewhere, knew Lisk.", score=0.5)
    assert names(ASKED, passage) == ["Lisk"], "Grey and Heron are left"
    assert leads(ASKED, [(passage, 0.5, None)], [("lisk", 2)]) == []
    (lead,) = leads(ASKED, [(passage, 0.5, None)], [("Lisk", 3)])
    assert lead.query == "Lisk Grey Heron"


@given(st.text(max_size=80), st.text(max_size=300), st.text(max_size=30))
def test_any_text_can_be_read(question: str, text: str, title: str) -> None:
    for lead in leads(question, [(Document(id="1", title=title, text=text), 1.0, None)]):
        assert lead.name.strip()
        assert lead.left


async def test_a_hop_asks_on_and_the_next_one_collects_what_that_brought() -> None:
    node, ctx = Hop(), Context()
    first = await node(question=ASKED, queries=[ASKED], found=[[SHIP, TOWN]], ctx=ctx)
    assert first["queries"] == ["Ada Merrow born", "Lisk captain Grey Heron born"]
    assert [(one.id, one.score) for one in first["documents"]] == [("ship", 0.8), ("town", 0.4)]
    step, other = first["chain"]
    assert (step["name"], step["document"], step["open"], step["brought"]) == ("Ada Merrow", "ship", ["born"], [])
    assert step["weight"] == pytest.approx(0.8 * 0.9)
    found = [[WOMAN.model_copy(update={"score": 0.9}), TOWN], []]
    second = await again(node, ctx, first, found)
    assert [one.id for one in second["documents"]] == ["ship", "woman", "town"]
    assert second["documents"][1].score == pytest.approx(0.8 * 0.9 * 0.9)
    assert second["documents"][2].score == 0.4, "the better of 0.4 and 0.72 times 0.4"
    assert (second["queries"], second["chain"]) == ([], [{**step, "brought": ["woman"]}, other])


async def test_parts_of_a_question_weigh_less_than_the_whole_and_top_k_passages_are_kept() -> None:
    found = [[TOWN], [WOMAN, SHIP]]
    written = await Hop(top_k=2)(question="Q", queries=["Q", "part"], found=found, ctx=Context())
    assert [(one.id, one.score) for one in written["documents"]] == [("ship", 0.72), ("woman", 0.45)]


async def test_scores_above_one_are_scaled_and_a_retriever_without_scores_counts_by_rank() -> None:
    many = [SHIP.model_copy(update={"score": 12.0}), WOMAN.model_copy(update={"score": 3.0})]
    scaled = await Hop()(question="Q", queries=["Q"], found=[many], ctx=Context())
    assert [one.score for one in scaled["documents"]] == [1.0, 0.25]
    none = [one.model_copy(update={"score": 0.0}) for one in many]
    ranked = await Hop()(question="Q", queries=["Q"], found=[none], ctx=Context())
    assert [one.score for one in ranked["documents"]] == [1.0, 0.5]


async def test_there_are_never_more_queries_than_allowed_and_none_is_asked_twice() -> None:
    text = "The captains of the Grey Heron were Ada Merrow, Tom Orrin, Pia Quell and Ned Farrow."
    passage = SHIP.model_copy(update={"text": text})
    node, ctx = Hop(max_queries=2), Context()
    first = await node(question=ASKED, queries=[ASKED], found=[[passage]], ctx=ctx)
    second = await again(node, ctx, first, [[], []])
    assert len(first["queries"]) == len(second["queries"]) == 2
    assert set(first["queries"]).isdisjoint(second["queries"])
    third = await again(node, ctx, second, [[], []])
    assert third["queries"] == []


async def test_merged_passages_are_refused() -> None:
    with pytest.raises(InputError, match="1 lists for 2 queries") as caught:
        await Hop()(question="Q", queries=["a", "b"], found=[[SHIP]], ctx=Context())
    assert "without `merge`" in str(caught.value.hint)


@pytest.mark.parametrize(
    "question", ["", "Wo wurde der Kapitän des Grauen Reihers geboren?", "灰鹭号的船长在哪里出生?"]
)
async def test_questions_in_other_languages_and_empty_ones_do_no_harm(question: str) -> None:
    written = await Hop()(question=question, queries=[question], found=[[SHIP, TOWN]], ctx=Context())
    assert [one.id for one in written["documents"]] == ["ship", "town"]


def with_model(model: object) -> Context:
    resources = Resources()
    resources.put("models", "chat", model)
    return Context(resources=resources)


async def test_a_model_reads_the_passages_and_writes_the_queries() -> None:
    reply = {"queries": [{"query": "Ada Merrow  birthplace", "passage": 1}, {"query": ASKED, "passage": 0}]}
    model = Scripted(replies=[json.dumps(reply), '{"queries": []}'])
    ctx = with_model(model)
    node = Hop(model="chat")
    first = await node(question=ASKED, queries=[ASKED], found=[[SHIP]], ctx=ctx)
    assert first["queries"] == ["Ada Merrow birthplace"], "what was asked is not asked again"
    assert (first["chain"][0]["document"], first["chain"][0]["weight"]) == ("ship", pytest.approx(0.72))
    told = model.requests[0].messages[-1].text
    assert SHIP.text in told
    assert ASKED in told
    second = await again(node, ctx, first, [[WOMAN]])
    assert second["queries"] == []
    assert second["chain"][0]["brought"] == ["woman"]
    assert "- Ada Merrow birthplace" in model.requests[1].messages[-1].text
    assert ctx.used.calls == 2


async def test_a_model_whose_reply_cannot_be_used_fails_the_node_after_a_second_try() -> None:
    model = Scripted(replies=['{"queries": [{"query": "x", "passage": 9}]}', "no"])
    with pytest.raises(ModelError, match="asked twice"):
        await Hop(model="chat")(question=ASKED, queries=[ASKED], found=[[SHIP]], ctx=with_model(model))


async def test_a_model_that_only_quotes_leaves_it_to_the_rules() -> None:
    ctx = with_model(Extractive(embedder=None))
    written = await Hop(model="chat")(question=ASKED, queries=[ASKED], found=[[SHIP]], ctx=ctx)
    assert (written["queries"], ctx.used.calls) == (["Ada Merrow born"], 0)
