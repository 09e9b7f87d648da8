"""Retrievers, prompts and chat models of LangChain as resources of a graph."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("langchain", reason="the extra 'langchain' is not installed")

from langchain_core.callbacks import CallbackManagerForRetrieverRun
from langchain_core.documents import Document as TheirDocument
from langchain_core.prompts import ChatPromptTemplate, MessagesPlaceholder, PromptTemplate
from langchain_core.retrievers import BaseRetriever

from ragweave import Graph, GraphError
from ragweave.orchestrator.errors import InputError, ResourceError
from ragweave.orchestrator.interop.prompt import LangChainPrompt
from ragweave.orchestrator.interop.retriever import LangChainRetriever
from ragweave.orchestrator.values import Answer, BlobPart, Document, Message, TextPart
from tests.interop.things import TEXTS, shelf, speaker

PASSAGES = [Document(id="a", text="under the mat", title="Keys"), Document(id="b", text="on the rack")]


class Fixed(BaseRetriever):
    """A retriever that takes no number and always finds the same."""

    found: list[TheirDocument]

    def _get_relevant_documents(
        self, query: str, *, run_manager: CallbackManagerForRetrieverRun
    ) -> list[TheirDocument]:
        return self.found


async def test_a_retriever_finds_as_many_as_are_wanted_best_first() -> None:
    retriever = LangChainRetriever.of(shelf())
    found = await retriever.search("where is the lamp", 2)
    assert [document.text for document in found] == [TEXTS[1], found[1].text]
    assert (found[0].title, found[0].source) == ("Note 1", "1.md")
    assert [document.score for document in found] == [1.0, 0.5]
    assert len(await retriever.search("where is the lamp", 3)) == 3


async def test_of_a_retriever_that_takes_no_number_the_first_are_taken_with_their_own_scores() -> None:
    documents = [TheirDocument(str(at), metadata={"relevance_score": 1 - at / 10}) for at in range(5)]
    found = await LangChainRetriever.of(Fixed(found=documents)).search("x", 2)
    assert [(document.text, document.score) for document in found] == [("0", 1.0), ("1", 0.9)]


def test_a_graph_takes_all_three_as_they_are_and_cites() -> None:
    model = speaker("It is under the mat [1].")
    graph = Graph(
        inputs={"question": "str"},
        outputs=["answer"],
        retrievers={"notes": shelf()},
        models={"chat": model},
        prompts={"terse": ChatPromptTemplate([("system", "Be terse."), ("user", "{documents}\n\n{question}")])},
        nodes={
            "find": {"type": "retriever", "retriever": "notes", "top_k": 2},
            "say": {"type": "generator", "model": "chat", "prompt": "terse"},
        },
        edges=["start -> find -> say -> end"],
    )
    answer = graph.run(question="where is the key")["answer"]
    assert [(citation.title, citation.source) for citation in answer.citations] == [("Note 0", "0.md")]
    system, user = model.asked[0]
    assert (system.type, system.text) == ("system", "Be terse.")
    assert user.text.startswith(f"[1] Note 0\n{TEXTS[0]}\n\n[2] Note ")
    assert user.text.endswith("where is the key")


def test_prompts_are_told_apart_by_what_they_say() -> None:
    one, same, other = (LangChainPrompt.of(PromptTemplate.from_template(f"{text} {{x}}")) for text in ("a", "a", "b"))
    assert one.digest == same.digest != other.digest
    typed = LangChainPrompt.of(one.prompt, variables={"x": "str"})
    assert typed.digest != one.digest
    graph = Graph(
        inputs={"question": "str"},
        outputs=["answer"],
        models={"chat": speaker("once")},
        prompts={"p": PromptTemplate.from_template("{question}")},
        nodes={"say": {"type": "generator", "model": "chat", "prompt": "p", "cache": {"ttl": "1m"}}},
        edges=["start -> say -> end"],
    )
    assert [str(graph.run(question="?")["answer"]) for _ in range(2)] == ["once", "once"]


def test_an_object_of_another_kind_is_refused() -> None:
    with pytest.raises(GraphError, match="VectorStoreRetriever is one of the retrievers"):
        Graph(models={"chat": shelf()}, nodes={"a": {"type": "reply", "text": "x"}}, edges=["start -> a -> end"])


def test_a_prompt_knows_its_variables() -> None:
    prompt = ChatPromptTemplate(
        [("system", "{tone}"), MessagesPlaceholder("history", optional=True), ("user", "{context} {question}")]
    ).partial(tone="kind")
    known = LangChainPrompt.of(prompt, variables={"context": "list[Document]"}).variables
    assert {name: (str(one.type), one.required) for name, one in known.items()} == {
        "context": ("list[Document]", True),
        "question": ("str", True),
        "history": ("list[Message]", False),
    }


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("plain", "plain"),
        (Answer(text="so"), "so"),
        (PASSAGES, "[1] Keys\nunder the mat\n\n[2] on the rack"),
        (PASSAGES[0], "Keys\nunder the mat"),
        ([Message.of("user", "Hi"), Message.of("assistant", "Yes?")], "user: Hi\nassistant: Yes?"),
        ({"n": [1, 2]}, '{"n": [1, 2]}'),
        (3, "3"),
    ],
)
def test_a_value_in_a_prompt_is_readable(value: Any, text: str) -> None:
    (message,) = LangChainPrompt.of(PromptTemplate.from_template("{x}")).render(x=value)
    assert message.text == text


def test_messages_in_a_placeholder_keep_their_pictures() -> None:
    picture = BlobPart(type="image", blob="ab" * 32, media_type="image/png", name="key.png")
    history = [Message(role="user", parts=(picture, TextPart(text="Whose?"))), Message.of("assistant", "Ann's.")]
    prompt = LangChainPrompt.of(ChatPromptTemplate([MessagesPlaceholder("history"), ("user", "{question}")]))
    assert prompt.render(history=history, question="Sure?") == [*history, Message.of("user", "Sure?")]


def test_braces_in_values_are_text() -> None:
    (message,) = LangChainPrompt.of(PromptTemplate.from_template("{question}")).render(question="{tone} {{x}}")
    assert message.text == "{tone} {{x}}"


def test_wrong_variables_are_named() -> None:
    prompt = LangChainPrompt.of(PromptTemplate.from_template("{question} {tone}"))
    with pytest.raises(InputError, match="has no variable 'tune'; did you mean 'tone'"):
        prompt.render(question="a", tune="b")
    with pytest.raises(InputError, match=r"needs 'tone' \(json\)"):
        prompt.render(question="a")
    with pytest.raises(ResourceError, match="the prompt has no variable 'contxt'"):
        LangChainPrompt.of(prompt.prompt, variables={"contxt": "str"})
    with pytest.raises(ResourceError, match="variable 'tone' of the prompt: unknown type 'string'"):
        LangChainPrompt.of(prompt.prompt, variables={"tone": "string"})


def test_a_graph_without_a_variable_of_its_prompt_is_refused() -> None:
    with pytest.raises(GraphError, match="'tone'"):
        Graph(
            inputs={"question": "str"},
            outputs=["answer"],
            models={"chat": speaker()},
            prompts={"p": PromptTemplate.from_template("{question} {tone}")},
            nodes={"say": {"type": "generator", "model": "chat", "prompt": "p"}},
            edges=["start -> say -> end"],
        )
