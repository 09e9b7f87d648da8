"""The node that puts a text under one of several labels."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ragweave.orchestrator.classifying import trained
from ragweave.orchestrator.context import Context
from ragweave.orchestrator.contracts import Embedder
from ragweave.orchestrator.errors import GraphError, InputError, MissingExtra, ModelError, ResourceError
from ragweave.orchestrator.graph import Graph
from ragweave.orchestrator.models.scripted import Scripted
from ragweave.orchestrator.nodes.classifier import Classifier
from ragweave.orchestrator.resources import Resources
from ragweave.retrievers.embedders import encoder, minilm

LABELS = {
    "refund": ["I want my money back", "cancel my order and refund me", "can you return what I paid?"],
    "hours": ["when do you open?", "are you open on Sundays?", "until when is the shop open?"],
    "address": ["where is your shop?", "which street are you in?", "how do I find your store?"],
}
GRAPH = """
schema: ragweave/v1
inputs: {question: str}
outputs: [answer]
nodes:
  intent:    {type: classifier, embedder: null, reads: {text: question}, labels: LABELS}
  refund:    {type: reply, text: Here is your money.}
  ask_human: {type: reply, text: "Do you mean {candidates}?"}
  answer:    {type: reply, text: "It is about {label}."}
edges:
  - start -> intent
  - from: intent
    routes:
      - {when: label == "refund", to: refund}
      - {when: "!known", to: ask_human}
      - {to: answer}
  - refund, ask_human, answer -> end
"""

needs_minilm = pytest.mark.skipif(minilm.available() is not None, reason="needs the extra 'local'")


def here(folder: Path) -> Context:
    return Context(resources=Resources(folder=folder))


def words(**settings: Any) -> Classifier:
    return Classifier(**{"labels": LABELS, "embedder": None, **settings})


@pytest.mark.parametrize("head", ["linear", "nearest"])
async def test_texts_like_the_examples_get_their_label_and_others_none(tmp_path: Path, head: str) -> None:
    ctx, node = here(tmp_path), words(head=head)
    found = await node(text="I want back my money", ctx=ctx)
    assert (found["label"], found["known"]) == ("refund", True)
    assert 0.3 < found["confidence"] <= 1
    assert found["candidates"][0] == "refund"
    assert set(found["candidates"]) == set(LABELS)
    strange = await node(text="Quantum chromodynamics explains gluons", ctx=ctx)
    assert (strange["label"], strange["known"]) == ("other", False)
    assert strange["confidence"] < 0.3
    assert len(strange["candidates"]) == 3  # what to ask a person about


async def test_a_graph_is_routed_by_the_label(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    async with Graph.parse(GRAPH.replace("LABELS", json.dumps(LABELS))) as graph:
        assert graph.check() == ()
        for question, answer in {
            "I want my money back!": "Here is your money.",
            "when are you open?": "It is about hours.",
            "Quantum chromodynamics explains gluons": "Do you mean ",
            "  ": "Do you mean ?",
        }.items():
            assert (await graph.arun(question=question))["answer"].text.startswith(answer)


async def test_threshold_and_other_are_settings(tmp_path: Path) -> None:
    ctx = here(tmp_path)
    strange = "Quantum chromodynamics explains gluons"
    assert (await words(threshold=0)(text=strange, ctx=ctx))["known"]
    strict = await words(threshold=1.0, other="none_of_them")(text="when are you open?", ctx=ctx)
    assert (strict["label"], strict["known"]) == ("none_of_them", False)
    assert strict["candidates"][0] == "hours"


async def test_a_label_of_the_name_other_teaches_what_is_out_of_scope(tmp_path: Path) -> None:
    node = words(labels={**LABELS, "other": ["tell me a joke", "sing me a song"]}, threshold=0)
    found = await node(text="please tell me a joke", ctx=here(tmp_path))
    assert (found["label"], found["known"]) == ("other", False)
    assert "other" not in found["candidates"]


async def test_a_second_start_does_not_train(tmp_path: Path) -> None:
    said: list[str] = []
    for _ in range(2):
        ctx = Context(resources=Resources(folder=tmp_path, notice=said.append))
        decided = await words()(text="I want back my money", ctx=ctx)
        assert decided["label"] == "refund"
    assert len(said) == 1
    assert said[0].startswith("classifier trained in")
    assert "on 9 examples of 3 labels; expected errors in scope: " in said[0]
    kept = list((tmp_path / ".ragweave" / "classifiers").glob("*.npz"))
    assert len(kept) == 1
    kept[0].write_bytes(b"PK half a file")  # what a full disk leaves is trained anew
    assert (await words()(text="I want back my money", ctx=here(tmp_path))) == decided
    await words(labels={**LABELS, "refund": ["money back"]})(text="x", ctx=here(tmp_path))
    assert len(list((tmp_path / ".ragweave" / "classifiers").glob("*.npz"))) == 2


async def test_what_another_version_has_kept_is_trained_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    await words()(text="money", ctx=here(tmp_path))
    monkeypatch.setattr(trained, "VERSION", trained.VERSION + 1)
    said: list[str] = []
    ctx = Context(resources=Resources(folder=tmp_path, notice=said.append))
    await words()(text="money", ctx=ctx)
    assert said[0].startswith("classifier trained in")


async def test_words_count_beside_an_embedder_also_after_a_restart(tmp_path: Path) -> None:
    found = []
    for _ in range(2):
        ctx = here(tmp_path)
        assert ctx.resources is not None
        ctx.resources.put("embedders", "mine", Counting())
        found.append([await words(embedder="mine")(text=text, ctx=ctx) for text in ("Sundays?", "my money")])
        made: Any = ctx.resources.built("classifiers", words(embedder="mine")._name)
        assert made.words is not None
        assert made.head.by_word.shape == (4096, 3)
    assert found[0] == found[1]
    assert made.seconds == 0


class Counting(Embedder, type="counting"):
    """Vectors of the letters of a text; remembers how many texts each call had."""

    calls: list[int] = []

    @property
    def identity(self) -> str:
        return "counting"

    @property
    def dimension(self) -> int:
        return 26

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        self.calls.append(len(texts))
        counts = np.array([[1 + text.lower().count(chr(97 + place)) for place in range(26)] for text in texts])
        return np.asarray(counts / np.linalg.norm(counts, axis=1, keepdims=True), dtype=np.float32)


async def test_concurrent_calls_are_embedded_together(tmp_path: Path) -> None:
    ctx, counting = here(tmp_path), Counting()
    assert ctx.resources is not None
    ctx.resources.put("embedders", "mine", counting)
    node = words(embedder="mine")
    await node(text="warm", ctx=ctx)
    counting.calls.clear()
    texts = [f"is shop {number} open?" for number in range(100)]
    together = await asyncio.gather(*(node(text=text, ctx=ctx) for text in texts))
    assert sum(counting.calls) == 100
    assert len(counting.calls) < 10
    alone = await node(text=texts[7], ctx=ctx)
    assert together[7]["candidates"] == alone["candidates"]
    assert together[7]["confidence"] == pytest.approx(alone["confidence"], abs=2e-4)


def test_graphs_of_several_threads_train_once(tmp_path: Path) -> None:
    from concurrent.futures import ThreadPoolExecutor

    resources = Resources(folder=tmp_path)
    counting = Counting()
    resources.put("embedders", "mine", counting)

    def ask(_: int) -> Any:
        return asyncio.run(words(embedder="mine")(text="open?", ctx=Context(resources=resources)))

    with ThreadPoolExecutor(4) as pool:
        assert len({result["label"] for result in pool.map(ask, range(8))}) == 1
    assert counting.calls.count(9) == 1


@needs_minilm
async def test_meaning_decides_where_there_is_an_embedder(tmp_path: Path) -> None:
    ctx = here(tmp_path)
    assert (await Classifier(labels=LABELS)(text="Give me my cash again", ctx=ctx))["label"] == "refund"
    node = Classifier(labels=["opening_hours", "refund", "shop_address"])
    assert (await node(text="At what time do you close?", ctx=ctx))["label"] == "opening_hours"


async def test_without_the_extra_words_decide_and_it_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(minilm, "MODEL_PACKAGE", "not_installed_here")
    monkeypatch.setattr(encoder, "_served", {})  # what an earlier test has loaded
    said: list[str] = []
    ctx = Context(resources=Resources(folder=tmp_path, notice=said.append))
    assert (await Classifier(labels=LABELS)(text="I want back my money", ctx=ctx))["label"] == "refund"
    assert "goes by words alone" in said[0]
    assert "pip install 'ragweave[local]'" in said[0]
    with pytest.raises(MissingExtra):  # a choice of one's own is never replaced
        await Classifier(labels=LABELS, embedder="minilm")(text="x", ctx=here(tmp_path))
    with pytest.raises(MissingExtra):  # and labels alone share no words with texts
        await Classifier(labels=["a", "b"])(text="x", ctx=here(tmp_path))


async def test_a_chat_model_chooses_one_of_the_labels(tmp_path: Path) -> None:
    chat = Scripted(replies=['{"label": "hours"}', '{"label": "opening"}', '{"label": "other"}'])
    ctx = here(tmp_path)
    assert ctx.resources is not None
    ctx.resources.put("models", "chat", chat)
    node = Classifier(labels=LABELS, model="chat")
    assert await node(text="open?", ctx=ctx) == {
        "label": "hours",
        "known": True,
        "confidence": 1.0,
        "candidates": ["hours"],
    }
    told = chat.requests[0].messages
    assert "- hours: such as when do you open? | are you open on Sundays?" in told[0].text
    assert "- other: none of the others fits" in told[0].text
    corrected = await node(text="a joke", ctx=ctx)
    assert (corrected["label"], corrected["known"], corrected["confidence"]) == ("other", False, 0.0)
    assert "'opening' is not one of" in chat.requests[2].messages[-1].text
    ctx.resources.put("models", "garbled", Scripted(replies=["no"], repeat=True))
    with pytest.raises(ModelError, match="asked twice"):
        await Classifier(labels=["a", "b"], model="garbled")(text="x", ctx=ctx)
    with pytest.raises(ModelError, match="quotes its sources"):
        await Classifier(labels=["a", "b"], model="extractive")(text="x", ctx=ctx)


async def test_what_is_no_text_is_refused() -> None:
    with pytest.raises(InputError, match="was given int"):
        await words()(text=3, ctx=Context())  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ("labels: {a: [x], b: []}", "labels.b has no examples; write some, or"),
        ("labels: {a: [x]}", "labels: a classifier needs 2 labels at least, and there is only 'a'"),
        ("labels: {}", "and there is none"),
        ("labels: {a: [x], b: [' ']}", "labels.b[0]: the example of 'b' is empty"),
        ("labels: {a: [x], '': [y]}", "the label is empty"),
        ("labels: {a: [x], b: [{y: 1}]}", "labels.b: expected a list of texts"),
        ("labels: {a: [x], b: 3}", "labels.b: expected a list of texts, found int"),
        ("labels: [a, b, a]", "labels: 'a' stands twice, at [0] and [2]"),
        ("labels_file: intent.jsonl", "labels_file 'intent.jsonl' does not exist; did you mean 'intents.jsonl'?"),
        ("labels_file: intents.txt", "labels_file 'intents.txt': expected one of .jsonl, .csv, .yaml, .yml"),
        ("labels_file: intents.jsonl", "intents.jsonl:2: the row has no 'label' (nor intent, category, class)"),
        ("labels_file: torn.jsonl", "torn.jsonl:3: this line is not JSON"),
        ("labels_file: wide.csv", "wide.csv:3: more fields than the header has; put a text with commas in"),
        ("labels_file: bad.yaml", "bad.yaml:2:"),
        ("labels_file: rows.yaml", "rows.yaml:2: 'label' is 3, not a text"),
        (
            "labels_file: names.csv",
            "names.csv:2: the row has no 'text' (nor question, query, utterance, example); it has:",
        ),
        ("labels_file: names.csv", "it has: msg, intents; say which it is, as in text_column: msg"),
        ("labels_file: names.csv, text_column: msg", "say which it is, as in label_column: intents"),
        (
            "labels_file: names.csv, text_column: body, label_column: intents",
            "names.csv:2: the row has no 'body', which text_column names; there is: intents, msg",
        ),
        ("labels_file: names.csv, text_column: msgs", "which text_column names; did you mean 'msg'?"),
        ("labels_file: names.csv, text_column: msg, label_column: msg", "text_column and label_column are both 'msg'"),
        ("labels: [a, b], label_column: x", "label_column goes with labels_file, which is not given"),
        ("labels_file: map.yaml, text_column: x", "is a map of labels to texts and has no columns; delete text_column"),
        ("labels_file: latin.csv", "labels_file 'latin.csv' is not UTF-8"),
        ("head: linear", "takes labels, labels_file or transformer; it was given none of them"),
        ("labels: [a, b], labels_file: x.csv", "it was given labels and labels_file"),
        ("labels: [a, b], model: extractive, head: nearest", "head does not go with model"),
        ("labels: [a, b], model: extractive, threshold: 0.5", "threshold does not go with model"),
        ("transformer: no_such_model", "no_such_model' does not exist"),
        ("labels: [a, b], threshold: 2", "threshold: expected at most 1 or"),
    ],
)
def test_what_cannot_be_taught_is_said_when_the_graph_is_loaded(tmp_path: Path, settings: str, message: str) -> None:
    (tmp_path / "intents.jsonl").write_text('{"text": "x", "label": "a"}\n{"text": "y", "tag": "b"}\n')
    (tmp_path / "torn.jsonl").write_text('{"text": "x", "label": "a"}\n\n{"text": "y", "la\n')
    (tmp_path / "wide.csv").write_text("text,label\nx,a\ny, z,b\n")
    (tmp_path / "names.csv").write_text("msg,intents\nx,a\ny,b\n")
    (tmp_path / "map.yaml").write_text("a: [x]\nb: [y]\n")
    (tmp_path / "bad.yaml").write_text("a: [x]\nb: [y\n")
    (tmp_path / "rows.yaml").write_text("- {text: x, label: a}\n- {text: y, label: 3}\n")
    (tmp_path / "latin.csv").write_bytes("text,label\né,a\n".encode("latin-1"))
    file = tmp_path / "graph.yaml"
    file.write_text(
        "schema: ragweave/v1\ninputs: {text: str}\noutputs: [label]\nnodes:\n"
        f"  intent: {{type: classifier, {settings}}}\nedges: [start -> intent -> end]\n"
    )
    with pytest.raises(GraphError) as caught:
        Graph.load(file)
    (problem,) = caught.value.problems
    assert message in problem.message
    assert problem.line == 5


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.jsonl", '{"text": "money back", "intent": "refund"}\n\n{"text": "open?", "intent": "hours"}\n'),
        ("a.csv", '\ufeffquestion,category,note\n"money, back",refund,1\nopen?,hours,\n'),
        ("a.yaml", "refund: [money back]\nhours: open?\n"),
        ("a.yml", "- {text: money back, label: refund}\n- {text: open?, label: hours}\n"),
    ],
)
async def test_examples_come_from_files(tmp_path: Path, name: str, content: str) -> None:
    (tmp_path / name).write_text(content, encoding="utf-8")
    node = Classifier(labels_file=name, embedder=None)
    assert node.signature(Resources(folder=tmp_path)).writes["label"].values == frozenset(("refund", "hours", "other"))
    found = await node(text="my money", ctx=here(tmp_path))
    assert found["label"] == "refund"
    assert found["candidates"] == ["refund", "hours"]


async def test_columns_can_have_any_names(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("text,message,topic,label\n1,money back,refund,x\n2,open?,hours,x\n")
    node = Classifier(labels_file="a.csv", text_column="message", label_column="topic", embedder=None)
    assert (await node(text="my money", ctx=here(tmp_path)))["candidates"] == ["refund", "hours"]


@pytest.mark.parametrize(
    ("settings", "line", "column", "place"),
    [
        ("labels: {a: [x, y], b: [z, X, Y]}", 5, 57, "labels.b[1]: 'X' is an example of 'b', and at labels.a[0] of"),
        ("labels: {a: x, b: X}", 5, 48, "labels.b: 'X' is an example of 'b', and at labels.a of 'a'"),
        ("labels_file: a.csv", 5, 43, "a.csv:3: 'X' is an example of 'b', and at a.csv:2 of 'a'; delete one of them"),
        ("labels_file: many.csv", 5, 43, "3 more texts stand under two labels"),
    ],
)
def test_a_text_under_two_labels_is_a_warning_of_the_graph(
    tmp_path: Path, settings: str, line: int, column: int, place: str
) -> None:
    (tmp_path / "a.csv").write_text("text,label\nx,a\nX,b\n")
    rows = [f"{text},{label}\n" for label in "ab" for text in "stuvwxyz"]
    (tmp_path / "many.csv").write_text("text,label\n" + "".join(rows))
    (tmp_path / "graph.yaml").write_text(
        "schema: ragweave/v1\ninputs: {text: str}\noutputs: [label]\nnodes:\n"
        f"  intent: {{type: classifier, {settings}}}\nedges: [start -> intent -> end]\n"
    )
    told = [problem for problem in Graph.load(tmp_path / "graph.yaml").check() if place in problem.message]
    assert [(one.code, one.severity, one.line, one.column) for one in told] == [("RW132", "warning", line, column)]


async def test_a_text_under_two_labels_is_told_with_both_places(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text(
        '{"text": "Card lost", "label": "lost"}\n{"text": "card  lost", "label": "stolen"}\n'
        '{"text": "card lost", "label": "lost"}\n'
    )
    said: list[str] = []
    ctx = Context(resources=Resources(folder=tmp_path, notice=said.append))
    await Classifier(labels_file="a.jsonl", embedder=None)(text="card", ctx=ctx)
    assert said[0] == (
        "classifier: a.jsonl:2: 'card  lost' is an example of 'stolen', and at a.jsonl:1 of 'lost'; delete one of them"
    )


async def test_labels_alone_need_an_embedder(tmp_path: Path) -> None:
    with pytest.raises(ResourceError, match="labels without examples need an embedder"):
        await Classifier(labels=["a", "b"], embedder=None)(text="x", ctx=here(tmp_path))


async def test_a_model_in_a_folder_decides_with_its_own_labels(tmp_path: Path) -> None:
    pytest.importorskip("transformers")
    from tests.support.tiny_models import kept

    ctx, folder = here(tmp_path), str(kept("bert", head="SequenceClassification", labels=("good", "bad", "odd")))
    node = Classifier(transformer=folder)
    assert ctx.resources is not None
    assert node.signature(ctx.resources).writes["label"].values == frozenset(("good", "bad", "odd", "other"))
    assert node.signature(ctx.resources).writes["candidates"].values == frozenset(("good", "bad", "odd"))
    try:
        found = await asyncio.gather(*(node(text=f"tea {number}", ctx=ctx) for number in range(20)))
        pipeline = ctx.resources.built("pipelines", f"classifier {folder}")
        assert pipeline is not None
        assert pipeline.batches < 10
        assert sorted(found[0]["candidates"]) == ["bad", "good", "odd"]
        assert found[0]["label"] == found[0]["candidates"][0]
        assert 1 / 3 < found[0]["confidence"] < 1
        strict = await Classifier(transformer=folder, threshold=1)(text="tea", ctx=ctx)
        assert (strict["label"], strict["known"]) == ("other", False)
    finally:
        await ctx.resources.close()
