"""The node that puts a text under one of several labels, for routes to choose by."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, TypedDict

from pydantic import Field, model_validator

from ragweave.orchestrator.classifying.examples import Columns, Examples, of_file, of_map, of_names
from ragweave.orchestrator.context import Context
from ragweave.orchestrator.contracts import ChatRequest, EmbedderName, ModelName, PromptName
from ragweave.orchestrator.errors import InputError, MissingExtra, ResourceError
from ragweave.orchestrator.node import Node, Remark, Signature
from ragweave.orchestrator.resources import Resources

if TYPE_CHECKING:
    from ragweave.orchestrator.classifying.trained import Trained

SHOWN = 4
"""Examples of each label that a chat model is told."""
TOLD = 5
"""Texts under two labels that are named; of more only the number is said."""
_lock = threading.Lock()


class Classified(TypedDict):
    """What a classifier writes."""

    label: str
    known: bool
    confidence: float
    candidates: list[str]


class Classifier(Node, type="classifier"):
    """Put a text under one of several labels: the intent of a question, the topic of a ticket, the mood of a review.

    It reads `text`, and writes `label`, `known`, `confidence` and `candidates`. `labels` are taught by examples, in
    the graph file or in `labels_file`; without examples the labels' own words decide. `model` lets a chat model
    decide, `transformer` a text-classification model in a folder. A text that fits none has the label `other` and is
    not `known`; `candidates` are the best labels, also of such a text.
    """

    origin: ClassVar[str] = "model"
    example: ClassVar[str] = (
        "intent: {type: classifier, reads: {text: question}, "
        'labels: {refund: [I want my money back], hours: ["When do you open?"]}}'
    )

    labels: dict[str, Any] | list[str] | None = Field(
        None, description="Examples by label; or a list of labels, whose own words decide."
    )
    labels_file: str | None = Field(
        None, min_length=1, description="Examples in a .jsonl, .csv or .yaml file: a text and a label a row."
    )
    text_column: str | None = Field(
        None,
        min_length=1,
        description="The column of labels_file with the text; else text, question, query, utterance or example.",
    )
    label_column: str | None = Field(
        None, min_length=1, description="The column with the label; else label, intent, category or class."
    )
    head: Literal["linear", "nearest"] = Field(
        "linear", description="linear is trained on the examples; nearest compares with each of them."
    )
    embedder: EmbedderName | None = Field("minilm", description="What texts are compared by; null for words alone.")
    model: ModelName | None = Field(None, description="A chat model that decides instead.")
    prompt: PromptName = Field("classify", description="What the chat model is told.")
    transformer: str | None = Field(
        None, min_length=1, description="Folder of a text-classification model that decides instead."
    )
    threshold: Annotated[float, Field(ge=0, le=1)] | Literal["auto"] = Field(
        "auto", description="Confidence below which a text fits no label; auto learns it from examples left out."
    )
    other: str = Field("other", min_length=1, description="The label of a text that fits none.")

    @model_validator(mode="after")
    def _one_way(self) -> Classifier:
        given = [name for name in ("labels", "labels_file", "transformer") if getattr(self, name) is not None]
        if len(given) != 1:
            found = " and ".join(given) if given else "none of them"
            raise ValueError(f"a classifier takes labels, labels_file or transformer; it was given {found}")
        columns = [name for name in ("text_column", "label_column") if getattr(self, name) is not None]
        if columns and self.labels_file is None:
            raise ValueError(f"{columns[0]} goes with labels_file, which is not given")
        if len(columns) == 2 and self.text_column == self.label_column:
            raise ValueError(f"text_column and label_column are both {self.text_column!r}")
        if self.transformer is not None and self.model is not None:
            raise ValueError("a classifier takes model or transformer, not both")
        decider = "model" if self.model is not None else "transformer" if self.transformer is not None else ""
        for name in ("head", "embedder"):
            if decider and name in self.model_fields_set:
                raise ValueError(f"{name} does not go with {decider}, which decides by itself; delete one of them")
        if self.model is not None and self.threshold != "auto":
            raise ValueError("threshold does not go with model: a chat model says itself what fits no label")
        return self

    def signature(self, resources: Resources) -> Signature:
        """Reads `text`; writes one of its labels. Raises ResourceError for examples or a folder that cannot be used."""
        remarks: tuple[Remark, ...] = ()
        if self.transformer is not None:
            from ragweave.orchestrator.models.local.files import look  # only this way needs it

            named = look(self._path(self.transformer, resources), task="text-classification").get("id2label")
            labels = list(named.values()) if isinstance(named, Mapping) else []
        else:
            examples = self._examples(resources)
            labels, remarks = list(examples.labels), self._remarks(examples)
        writes = dict(self.declared.writes)
        if labels:
            names = frozenset(map(str, labels))
            writes["label"] = writes["label"]._replace(values=names | {self.other})
            writes["candidates"] = writes["candidates"]._replace(values=names - {self.other})
        return self.declared._replace(writes=writes, remarks=remarks)

    def _remarks(self, examples: Examples) -> tuple[Remark, ...]:
        """What is doubtful about the examples, and how much more of it there is."""
        where = ("labels_file",) if self.labels_file is not None else ()
        told = tuple(Remark(one.message, where or one.place) for one in examples.remarks[:TOLD])
        more = len(examples.remarks) - TOLD
        return (*told, Remark(f"{more} more texts stand under two labels", where or ("labels",))) if more > 0 else told

    def warm_up(self, resources: Resources) -> None:
        """Train it, or read what was trained before."""
        if self.model is None and self.transformer is None:
            self._train(resources)

    async def __call__(self, text: str, ctx: Context) -> Classified:
        """The label of a text. A blank one fits none. Raises InputError, ResourceError, MissingExtra, ModelError."""
        if not isinstance(text, str):
            raise InputError(f"a classifier reads a text, and was given {type(text).__name__}")
        if not text.strip():
            return self._classified("", 0.0, (), 1.0)
        if self.model is not None:
            return await self._told(text, ctx)
        if self.transformer is not None:
            return await self._served(text, ctx)
        decide = await self._shared(ctx)
        decision = await decide(text)
        threshold = decide.calibration.threshold if self.threshold == "auto" else self.threshold
        return self._classified(decision.label, decision.confidence, decision.candidates, threshold)

    def _classified(self, label: str, confidence: float, candidates: tuple[str, ...], threshold: float) -> Classified:
        known = confidence >= threshold and label not in ("", self.other)
        return {
            "label": label if known else self.other,
            "known": known,
            "confidence": round(confidence, 4),  # digits beyond depend on what else was in the batch
            "candidates": [name for name in candidates if name != self.other],
        }

    async def _shared(self, ctx: Context) -> Trained:
        """The trained classifier, which all runs share; read or trained at the first call, in a worker thread."""
        resources = self._resources(ctx)
        found: Trained | None = resources.built("classifiers", self._name)
        return found if found is not None else await asyncio.to_thread(self._train, resources)

    def _train(self, resources: Resources) -> Trained:
        from ragweave.orchestrator.classifying.stored import CLASSIFIERS
        from ragweave.orchestrator.classifying.trained import trained  # it loads numpy, which a check does not need

        with _lock:
            found: Trained | None = resources.built("classifiers", self._name)
            if found is not None:
                return found
            examples = self._examples(resources)
            names_only = isinstance(self.labels, list)
            source = self._source(resources, names_only)
            made = trained(examples, source, self.head, resources.folder / CLASSIFIERS, names_only=names_only)
            for remark in self._remarks(examples):
                resources.say(f"classifier: {remark.message}")
            if made.seconds:
                resources.say(_summary(examples, made, self.threshold == "auto"))
            resources.put("classifiers", self._name, made)
        return made

    def _source(self, resources: Resources, names_only: bool) -> Any:
        """The embedder; None for words alone, also where the default one is not installed."""
        if self.embedder is None:
            if names_only:
                raise ResourceError(
                    "labels without examples need an embedder", hint="delete 'embedder: null', or give examples"
                )
            return None
        try:
            return resources.get("embedders", self.embedder)
        except MissingExtra as error:
            if names_only or "embedder" in self.model_fields_set:
                raise
            resources.say(f"a classifier goes by words alone, and errs about twice as often as it could: {error}")
            return None

    async def _told(self, text: str, ctx: Context) -> Classified:
        """What a chat model decides."""
        from ragweave.orchestrator.models.replies import structured

        assert self.model is not None
        examples = self._examples(self._resources(ctx))
        model, prompt = await ctx.model(self.model), await ctx.prompt(self.prompt)
        names = [label for label in examples.labels if label != self.other]
        shown = names if isinstance(self.labels, list) else [_with_examples(name, examples) for name in names]
        values = {"text": text, "labels": shown, "other": self.other}
        known = getattr(prompt, "variables", values)
        messages = prompt.render(**{name: value for name, value in values.items() if name in known})
        schema = {
            "type": "object",
            "properties": {"label": {"type": "string", "enum": [*names, self.other]}},
            "required": ["label"],
            "additionalProperties": False,
        }
        request = ChatRequest(messages=messages, question=text, temperature=0.0)
        label = (await structured(ctx, model, request, schema, name=self.model))["label"]
        return self._classified(label, float(label != self.other), (label,), 0.0)

    async def _served(self, text: str, ctx: Context) -> Classified:
        """What a text-classification model decides."""
        from ragweave.orchestrator.models.local.pipelines import LocalPipeline

        assert self.transformer is not None
        resources = self._resources(ctx)
        folder = self._path(self.transformer, resources)
        with _lock:
            pipeline: LocalPipeline | None = resources.built("pipelines", f"classifier {folder}")
            if pipeline is None:
                pipeline = LocalPipeline(folder, "text-classification")
                resources.put("pipelines", f"classifier {folder}", pipeline)
        scores: Mapping[str, float] = await pipeline(text, top_k=None)
        order = sorted(scores, key=lambda label: -scores[label])
        threshold = 0.0 if self.threshold == "auto" else self.threshold
        return self._classified(order[0], scores[order[0]], tuple(order[:3]), threshold)

    def _examples(self, resources: Resources) -> Examples:
        if isinstance(self.labels, list):
            return of_names(self.labels)
        if self.labels is not None:
            return of_map(self.labels)
        assert self.labels_file is not None
        columns = Columns(self.text_column, self.label_column)
        return of_file(self._path(self.labels_file, resources), self.labels_file, columns)

    @property
    def _name(self) -> str:
        """Equal settings share what was trained; the threshold and the name of the rest do not matter to it."""
        return self.model_dump_json(
            include={"labels", "labels_file", "text_column", "label_column", "head", "embedder"}
        )

    @staticmethod
    def _path(name: str, resources: Resources) -> Path:
        return resources.folder / Path(name).expanduser()

    @staticmethod
    def _resources(ctx: Context) -> Resources:
        if ctx.resources is None:
            ctx.resources = Resources()
        return ctx.resources


def _with_examples(label: str, examples: Examples) -> str:
    texts = [example.text for example in examples.examples if example.label == label][:SHOWN]
    return f"{label}: such as {' | '.join(texts)}"


def _summary(examples: Examples, made: Trained, auto: bool) -> str:
    """What a classifier is worth, as far as its examples tell."""
    found = made.calibration
    begin = (
        f"classifier trained in {made.seconds:.1f} s on {len(examples.examples)} examples of {len(made.labels)} labels"
    )
    if found.accuracy < 0:
        return f"{begin}; its errors are not known, since no label has two examples"
    said = f"{begin}; expected errors in scope: {1 - found.accuracy:.1%}"
    if auto and found.threshold:
        said += f"; below a confidence of {found.threshold:.2f} a text fits no label"
        if found.found:
            said += (
                f": that costs {found.lost:.1%} of the right answers and finds {found.found:.1%} of the texts "
                "of a label that is not there"
            )
    return said
