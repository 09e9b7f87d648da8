"""The model that answers with the words of its sources."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ragweave.orchestrator.contracts import ChatChunk, ChatRequest
from ragweave.orchestrator.errors import ModelError
from ragweave.orchestrator.models.extractive import UNKNOWN, Extractive
from ragweave.orchestrator.resources import Resources
from ragweave.orchestrator.values import Document, Message

LEMONADE = Document(
    id="lemonade",
    title="Lemonade",
    metadata={"tags": ["drink", "summer"]},
    text="""A drink for hot days.

- Prep time: 10 min
- Servings: 6

## Ingredients

- 4 lemons
- 100g sugar
- 1 litre water

## Directions

1. Squeeze the lemons. Keep the peel.
2. Stir the sugar into the juice until it dissolves.
3. Let it chill in the fridge for 2 hours.
4. Serve it with ice, because it tastes flat when it is warm.
""",
)
BISCUITS = Document(
    id="biscuits",
    title="Ginger biscuits",
    text="""## Ingredients

- 250g flour
- 2 tsp ginger

## Directions

1. Knead everything. Let the dough rest for an hour.
2. Bake at 180 °C for 12 minutes.

They keep for three weeks in a tin. Eat them with [lemonade](/lemonade).
""",
)
BOTH = (LEMONADE, BISCUITS)


async def ask(question: str, *documents: Document, **given_settings: object) -> tuple[str, float]:
    """The answer by words alone, and its confidence."""
    model = Extractive.model_validate({"embedder": None, **given_settings})
    chunks = [chunk async for chunk in model.stream(ChatRequest((), question=question, documents=documents))]
    assert chunks[-1].finish == "stop"
    assert chunks[-1].usage is not None
    assert chunks[-1].confidence is not None
    return "".join(chunk.text for chunk in chunks), chunks[-1].confidence


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ("How long does the lemonade chill?", "for 2 hours. [1]"),
        ("How many lemons are in the lemonade?", "4 lemons. [1]"),
        ("How much sugar goes into the lemonade?", "100g sugar. [1]"),
        ("At what temperature are ginger biscuits baked?", "180 °C for 12 minutes. [2]"),
        ("Why is lemonade served with ice?", "because it tastes flat when it is warm. [1]"),
        ("How many weeks do the ginger biscuits keep?", "three weeks in a tin. [2]"),
        ("How long must the dough of ginger biscuits rest?", "rest for an hour. [2]"),
    ],
)
async def test_the_line_that_answers_is_quoted_with_the_mark_of_its_passage(question: str, expected: str) -> None:
    text, confidence = await ask(question, *BOTH)
    assert expected in text
    assert 0.5 <= confidence <= 1.0


@pytest.mark.parametrize(
    "question",
    [
        "How many calories are in the lemonade?",
        "How much saffron goes into the lemonade?",
        "How do I make sauerbraten?",
        "At what temperature is the lemonade served?",
        "Who won the world cup in 1998?",
        "How much does the lemonade cost?",
        "",
        "?",
    ],
)
async def test_what_the_passages_do_not_say_is_declined_with_confidence_zero(question: str) -> None:
    assert await ask(question, *BOTH) == (UNKNOWN, 0.0)


async def test_without_passages_it_does_not_know() -> None:
    assert await ask("How long does the lemonade chill?") == (UNKNOWN, 0.0)


async def test_each_part_of_a_question_is_answered_from_its_own_passage() -> None:
    text, _ = await ask("How long does the lemonade chill, and at what temperature are ginger biscuits baked?", *BOTH)
    first, second = text.split("\n")
    assert first == 'According to "Lemonade": Let it chill in the fridge for 2 hours. [1]'
    assert second == 'According to "Ginger biscuits": Bake at 180 °C for 12 minutes. [2]'


async def test_a_pronoun_means_the_subject_of_the_first_part() -> None:
    text, _ = await ask("How long does the lemonade chill, and how much sugar is in it?", *BOTH)
    assert "2 hours" in text
    assert "100g sugar" in text


async def test_values_that_contradict_each_other_are_shown_side_by_side() -> None:
    soup = Document(
        id="soup",
        title="Onion soup",
        text="- Cook time: 30 min\n\n## Directions\n\n1. Chop the onions.\n2. Let the soup cook for 55 min.\n",
    )
    text, _ = await ask("How long does the onion soup cook?", soup)
    assert "30 min" in text
    assert "55 min" in text


async def test_of_two_things_to_choose_from_both_are_shown() -> None:
    text, _ = await ask("Which one is baked: the lemonade or the ginger biscuits?", *BOTH)
    assert "[1]" in text
    assert "[2]" in text


async def test_a_procedure_is_given_in_its_order() -> None:
    text, _ = await ask("How do I make lemonade?", *BOTH)
    steps = ["Squeeze the lemons", "Stir the sugar", "Let it chill", "Serve it with ice"]
    places = [text.index(step) for step in steps]
    assert places == sorted(places)
    assert "[2]" not in text


async def test_a_passage_that_another_one_leads_to_is_read_with_it() -> None:
    film = Document(id="film", title="The Lost Kite", text="The Lost Kite is a film of 1938, directed by Ada Merrow.")
    person = Document(
        id="person", title="Ada Merrow", text="Ada Merrow lived in Paris. She was born in Lisbon and kept bees."
    )
    other = Document(id="other", title="Bo Larsen", text="Bo Larsen was a director. He was born in Oslo.")
    text, _ = await ask("Where was the director of the film The Lost Kite born?", other, film, person)
    assert "directed by Ada Merrow. [2]" in text
    assert "born in Lisbon" in text
    assert "Oslo" not in text


async def test_what_is_said_twice_is_quoted_once() -> None:
    text, _ = await ask("How long does the lemonade chill?", LEMONADE, LEMONADE.model_copy(update={"id": "copy"}))
    assert text.count("2 hours") == 1


async def test_an_answer_has_at_most_as_many_lines_as_it_may() -> None:
    lines = "\n".join(f"- The tower of stone number {n} is {n} metres tall." for n in range(2, 40))
    towers = Document(id="towers", title="Towers of stone", text=lines)
    text, _ = await ask("How tall are the towers of stone?", towers, max_sentences=2)
    assert text.count("metres") == 2


async def test_accents_spelling_and_irregular_forms_do_not_matter() -> None:
    brulee = Document(id="b", title="Crème brûlée", text="1. Freeze the crème for 40 minutes.\n2. Serve it.")
    text, _ = await ask("How long is creme brulee frozen?", brulee)
    assert "40 minutes" in text


async def test_a_follow_up_is_read_with_the_turn_before_it() -> None:
    messages = [
        Message.of("user", "How much sugar is in the lemonade?"),
        Message.of("assistant", "100g sugar. [1]"),
        Message.of("user", "…"),
    ]
    request = ChatRequest(messages, question="And how long does it chill?", documents=BOTH)
    text = "".join([chunk.text async for chunk in Extractive(embedder=None).stream(request)])
    assert "2 hours" in text


async def test_from_messages_alone_the_last_one_of_the_user_is_taken_apart() -> None:
    prompt = f"Answer from this text.\n\n{LEMONADE.text}\n\nQuestion: How long does it chill in the fridge?"
    request = ChatRequest([Message.of("system", "Be brief."), Message.of("user", prompt)])
    text = "".join([chunk.text async for chunk in Extractive(embedder=None).stream(request)])
    assert "for 2 hours. [1]" in text


async def test_it_does_not_pretend_to_fill_in_a_schema() -> None:
    request = ChatRequest((), question="How long?", documents=BOTH, response_schema={"type": "object"})
    with pytest.raises(ModelError, match="cannot fill in a JSON schema"):
        async for _ in Extractive(embedder=None).stream(request):
            pass


async def test_the_answer_is_streamed_in_words_that_add_up() -> None:
    request = ChatRequest((), question="How long does the lemonade chill?", documents=BOTH)
    chunks: list[ChatChunk] = [chunk async for chunk in Extractive(embedder=None).stream(request)]
    assert len(chunks) > 5
    assert all(chunk.confidence is None for chunk in chunks[:-1])
    assert "".join(chunk.text for chunk in chunks).endswith("[1]")


def test_it_marks_its_sources_by_itself() -> None:
    assert Extractive().cites()


async def test_an_embedder_is_used_where_there_is_one() -> None:
    np = pytest.importorskip("numpy")
    asked: list[str] = []

    class Embedder:
        def embed(self, texts: list[str]) -> object:
            asked.extend(texts)
            vectors = np.array([[1.0, float("serve" in text.lower())] for text in texts], dtype=np.float32)
            return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)

    resources = Resources()
    resources.put("embedders", "mine", Embedder())
    model = Extractive(embedder="mine")
    model.open(resources)
    request = ChatRequest((), question="What is lemonade served with?", documents=BOTH)
    text = "".join([chunk.text async for chunk in model.stream(request)])
    assert "ice" in text
    assert len(asked) == len(set(asked)), "no text is embedded twice"


@given(st.text(max_size=200), st.lists(st.text(max_size=300), max_size=3))
@settings(max_examples=150, deadline=None)
def test_any_question_on_any_text_gets_an_answer_or_a_refusal(question: str, texts: list[str]) -> None:
    documents = [Document(id=str(number), text=text, title=text[:20]) for number, text in enumerate(texts)]
    text, confidence = asyncio.run(ask(question, *documents))
    assert (text == UNKNOWN) == (confidence == 0.0)
    assert 0.0 <= confidence <= 1.0


QUESTION_WORDS = """
how long much many what which who when where why the a lemon cake bake 20 minutes two 180 °C and or it ? , : ; .
"""
WORDS = st.sampled_from(QUESTION_WORDS.split())


@given(st.lists(WORDS, max_size=25).map(" ".join))
@settings(max_examples=150, deadline=None)
def test_every_mark_points_to_a_passage_that_was_given(question: str) -> None:
    text, _ = asyncio.run(ask(question, *BOTH))
    assert "[0]" not in text
    assert "[3]" not in text
