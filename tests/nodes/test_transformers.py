"""The node type `transformers`, on tiny models: what each task writes, alone and in a batch."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from ragweave import Graph, GraphError, RunError
from ragweave.orchestrator.context import Context
from ragweave.orchestrator.errors import InputError, ModelError, ResourceError
from ragweave.orchestrator.models.local.pipelines import TASKS, LocalPipeline
from ragweave.orchestrator.node import Read
from ragweave.orchestrator.nodes.pipeline import Pipeline
from ragweave.orchestrator.resources import Resources
from ragweave.orchestrator.types import STR, parse_type
from tests.support.tiny_models import kept

MOODS = ("good", "bad", "odd")
TEXTS = ["Hi", "Where is the tea that the mail worker drank, five times?", "日本語 🍲", "long " * 100, "", "x \ud800 y"]


def folder_for(task: str) -> Path:
    """A model that fits a task."""
    if task in ("text-generation", "text2text-generation"):
        return kept("llama") if task == "text-generation" else kept("t5")
    head, labels = {
        "text-classification": ("SequenceClassification", MOODS),
        "zero-shot-classification": ("SequenceClassification", ("contradiction", "neutral", "entailment")),
        "token-classification": ("TokenClassification", ("O", "B-PER", "I-PER", "B-LOC", "I-LOC")),
        "fill-mask": ("MaskedLM", ()),
        "feature-extraction": ("", ()),
    }[task]
    return kept("bert", head=head, labels=labels)


def node_for(task: str, **settings: Any) -> Pipeline:
    if task == "zero-shot-classification":
        settings = {"labels": ["tea", "coffee"], **settings}
    if task in ("text-generation", "text2text-generation"):
        settings = {"options": {"max_new_tokens": 8}, **settings}
    return Pipeline(path=str(folder_for(task)), task=task, **settings)


def near(one: Any, other: Any) -> bool:
    """Equal, but for the last digits of numbers."""
    if isinstance(one, float):
        return one == pytest.approx(other, abs=1e-4)
    if isinstance(one, dict):
        return set(one) == set(other) and all(near(value, other[key]) for key, value in one.items())
    if isinstance(one, list):
        return len(one) == len(other) and all(map(near, one, other))
    return bool(one == other)


@pytest.mark.parametrize("task", TASKS)
async def test_results_of_a_batch_are_those_of_each_text_alone(task: str) -> None:
    resources = Resources()
    node = node_for(task)
    texts = [f"[MASK] {text}" if task == "fill-mask" else text for text in TEXTS]
    if task == "text-generation":
        texts = [text or "?" for text in texts]
    alone = [await node(text, ctx=Context(resources=resources)) for text in texts]
    shared = node._shared(Context(resources=resources))
    before = shared.batches
    together = await asyncio.gather(*(node(text, ctx=Context(resources=resources)) for text in texts))
    assert all(map(near, alone, together))
    assert shared.batches - before <= 2, "one for the first, one for all others"
    assert len({str(result) for result in alone}) > 2, "the texts make a difference"
    written = node.signature(resources).writes
    assert set(written) == set(alone[0])
    await resources.close()


async def test_a_classifier_writes_label_score_and_all_scores() -> None:
    node = node_for("text-classification")
    result = await node("Hi", ctx=Context())
    assert set(result["result"]) == set(MOODS)
    assert result["score"] == result["result"][result["label"]] == max(result["result"].values())
    assert sum(result["result"].values()) == pytest.approx(1)
    signature = node.signature(Resources())
    assert signature.reads == {"text": Read(STR)}
    assert signature.writes["result"].type == parse_type("map[float]")


async def test_labels_are_chosen_by_what_they_say() -> None:
    resources = Resources()
    node = node_for("zero-shot-classification")
    result = await node("A cup, please.", ctx=Context(resources=resources))
    assert set(result["result"]) == {"tea", "coffee"}
    other = node_for("zero-shot-classification", labels=["red", "green", "blue"])
    both = await asyncio.gather(*(one("A cup.", ctx=Context(resources=resources)) for one in (node, other, node)))
    assert [len(one["result"]) for one in both] == [2, 3, 2], "one model serves nodes of different labels"
    assert node._shared(Context(resources=resources)) is other._shared(Context(resources=resources))
    await resources.close()


async def test_entities_stand_where_they_say() -> None:
    text = "Where is the tea of Zürich?"
    found = (await node_for("token-classification")(text, ctx=Context()))["result"]
    assert found
    for entity in found:
        assert set(entity) == {"label", "text", "start", "end", "score"}
        assert text[entity["start"] : entity["end"]] == entity["text"]
        assert entity["label"] in ("PER", "LOC")


async def test_masks_are_filled_in_the_way_the_model_writes_them() -> None:
    node = node_for("fill-mask", options={"top_k": 3})
    result = (await node("Tea is <mask> good.", ctx=Context()))["result"]
    assert [set(one) for one in result] == [{"text", "score", "sequence"}] * 3
    two = (await node("[MASK] is [MASK].", ctx=Context()))["result"]
    assert [len(mask) for mask in two] == [3, 3]
    with pytest.raises(InputError, match=r"the text has no \[MASK\] to fill in: 'Tea is good\.'"):
        await node("Tea is good.", ctx=Context())


async def test_a_text_that_fails_in_a_batch_fails_alone() -> None:
    resources = Resources()
    node = node_for("fill-mask")
    texts = ["a [MASK]", "no mask", "b [MASK]"]
    results = await asyncio.gather(
        *(node(text, ctx=Context(resources=resources)) for text in texts), return_exceptions=True
    )
    assert [isinstance(one, InputError) for one in results] == [False, True, False]
    await resources.close()


async def test_a_vector_is_the_mean_of_the_states_or_the_first() -> None:
    import torch
    from transformers import AutoModel, AutoTokenizer

    folder = folder_for("feature-extraction")
    words, model = AutoTokenizer.from_pretrained(folder), AutoModel.from_pretrained(folder).eval()
    with torch.inference_mode():
        states = model(**words("Tea, please.", return_tensors="pt")).last_hidden_state[0]
    mean = (await node_for("feature-extraction")("Tea, please.", ctx=Context()))["result"]
    assert mean == pytest.approx(states.mean(0).tolist(), abs=1e-5)
    first = await node_for("feature-extraction", options={"pooling": "first"})("Tea, please.", ctx=Context())
    assert first["result"] == pytest.approx(states[0].tolist(), abs=1e-5)
    with pytest.raises(ResourceError, match=r"there is: pooling: mean \| first"):
        await node_for("feature-extraction", options={"pooling": "max"})("Tea", ctx=Context())


async def test_a_text_that_is_too_long_is_cut_or_refused() -> None:
    long = "Where is the tea? " * 40
    cut = await node_for("text-classification")(long, ctx=Context())
    assert cut == await node_for("text-classification")(long + "And the milk?", ctx=Context())
    with pytest.raises(InputError, match=r"too long: \d+ tokens, and the model reads 62; split it, or write truncate"):
        await node_for("text-classification", truncate=False)(long, ctx=Context())
    with pytest.raises(InputError, match=r"\[MASK\] stands behind the 62 tokens that the model reads"):
        await node_for("fill-mask")(long + "[MASK]", ctx=Context())


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"task": "image-classification"}, "Input should be 'text-classification', "),
        ({"task": "zero-shot-classification"}, "needs two or more labels"),
        ({"task": "zero-shot-classification", "labels": ["a", "b", "a"]}, "the label 'a' stands twice"),
        ({"task": "text-classification", "labels": ["a", "b"]}, "the model has its own"),
        ({"task": "zero-shot-classification", "labels": ["a", "b"], "hypothesis": "It is."}, "where the label goes"),
        ({"task": "fill-mask", "max_batch": 0}, "greater than 0"),
        ({"task": "fill-mask", "path": ""}, "at least 1 character"),
    ],
)
def test_settings_that_make_no_sense(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Pipeline(**{"path": "models/x", **settings})


@pytest.mark.parametrize(
    ("name", "task"),
    [
        ("sentiment-analysis", "text-classification"),
        ("ner", "token-classification"),
        ("summarization", "text2text-generation"),
        ("translation_en_to_de", "text2text-generation"),
    ],
)
def test_tasks_have_the_names_that_transformers_gave_them(name: str, task: str) -> None:
    assert Pipeline(path="x", task=name).task == task


def test_a_model_of_another_task_is_found_by_the_check() -> None:
    with pytest.raises(GraphError, match=r"RW128 .*nodes\.mood: .* made for fill-mask, not for text-classification"):
        graph(folder_for("fill-mask"))
    with pytest.raises(GraphError, match=r"RW128 .*nodes\.mood: the model folder '.*nowhere' does not exist"):
        graph(Path("nowhere"))


async def test_an_argument_that_the_pipeline_does_not_know() -> None:
    with pytest.raises(ModelError, match="unknown_thing"):
        await node_for("text-generation", options={"unknown_thing": 3})("Hi", ctx=Context())


async def test_scores_that_are_no_numbers_are_an_error() -> None:
    pipeline = LocalPipeline(folder_for("text-classification"), "text-classification")
    await pipeline("Hi")
    import torch

    assert pipeline._loaded is not None
    with torch.no_grad():
        pipeline._loaded.model.classifier.weight.fill_(float("nan"))
    with pytest.raises(ModelError, match=r"\(text-classification\) computes what is no number \(NaN\)"):
        await pipeline("Hi")
    await pipeline.close()


def graph(folder: Path) -> Graph:
    """Texts, each with its mood."""
    return Graph.parse(
        f"""
schema: ragweave/v1
inputs: {{texts: "list[str]"}}
outputs: [label, score]
nodes:
  mood: {{type: transformers, path: {folder}, task: text-classification, map: {{over: texts, as: text}}}}
edges: [start -> mood -> end]
"""
    )


def test_items_of_a_map_and_runs_are_computed_together() -> None:
    with graph(folder_for("text-classification")) as moods:
        texts = [f"Text number {number}" for number in range(12)]
        results = moods.batch([{"texts": texts}] * 3)
        labels = [result["label"] for result in results if not isinstance(result, RunError)]
        assert labels[0] == labels[1] == labels[2]
        assert len(labels[0]) == 12
        pipeline = next(one for (kind, _), one in moods.resources._built.items() if kind == "pipelines")
        assert pipeline.batches < 36
    assert pipeline._loaded is None, "closed with its graph"


def routed(label: str, **settings: Any) -> Graph:
    task = "zero-shot-classification" if "labels" in settings else "text-classification"
    return Graph(
        inputs={"text": "str"},
        outputs=["label"],
        nodes={
            "mood": {"type": "transformers", "path": str(folder_for(task)), "task": task, **settings},
            "more": quiet,
        },
        edges=[
            "start -> mood",
            {"from": "mood", "routes": [{"when": f"label == '{label}'", "to": "more"}, {"to": "end"}]},
            "more -> end",
        ],
    )


async def quiet() -> None:
    return None


def test_a_condition_on_a_label_that_the_model_does_not_have_is_a_warning() -> None:
    (problem,) = routed("baad").check()
    assert problem.message == "'label' is never 'baad'; did you mean 'bad'?"
    assert not routed("bad").check()
    (problem,) = routed("coffe", labels=["tea", "coffee"]).check()
    assert problem.message == "'label' is never 'coffe'; did you mean 'coffee'?"
    assert not routed("milk", labels=["tea", "coffee"], options={"candidate_labels": ["milk", "wine"]}).check()


def test_labels_that_config_json_does_not_name_are_any(tmp_path: Path) -> None:
    for file in folder_for("text-classification").iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    config = json.loads((tmp_path / "config.json").read_text())
    del config["id2label"]
    (tmp_path / "config.json").write_text(json.dumps(config))
    assert not routed("LABEL_0", path=str(tmp_path)).check()


def test_a_text_may_come_under_another_name() -> None:
    text = f"""
schema: ragweave/v1
inputs: {{question: str}}
outputs: [mood]
nodes:
  mood:
    type: transformers
    path: {folder_for("text-classification")}
    task: sentiment-analysis
    reads: {{text: question}}
    writes: {{label: mood}}
edges:
  - start -> mood
  - from: mood
    routes:
      - {{when: score > 2.0, to: mood, max_iterations: 1}}
      - {{to: end}}
"""
    with Graph.parse(text) as one:
        assert one.run(question="Hi")["mood"] in MOODS
