"""The node type `transformers`: a pipeline on this machine as a step of a graph."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field, PositiveInt, field_validator, model_validator

from ragweave.orchestrator.context import Context
from ragweave.orchestrator.errors import InputError
from ragweave.orchestrator.models.local.files import look
from ragweave.orchestrator.models.local.loading import Dtype
from ragweave.orchestrator.models.local.pipelines import OTHER_NAMES, LocalPipeline, Task
from ragweave.orchestrator.node import Node, Read, Signature, Write
from ragweave.orchestrator.types import JSON, STR, Type, list_of

if TYPE_CHECKING:
    from ragweave.orchestrator.resources import Resources

_FLOAT = Type("float")
_RESULTS: Mapping[str, Type] = {
    "text-classification": Type("map", _FLOAT),
    "zero-shot-classification": Type("map", _FLOAT),
    "token-classification": list_of(JSON),
    "fill-mask": list_of(JSON),
    "feature-extraction": list_of(_FLOAT),
    "text-generation": STR,
    "text2text-generation": STR,
}
_CLASSIFYING = ("text-classification", "zero-shot-classification")
_lock = threading.Lock()


class Pipeline(Node, type="transformers"):
    """Run a model in a folder on this machine over a text: classify, tag, fill in, encode or rewrite it.

    Texts of all runs and of all items of a map are computed together, and nothing is downloaded. What `result` is
    depends on the task: scores by label, a list of entities or of fillings, a vector, or a text. The classifying tasks
    also write the best `label` with its `score`.
    """

    origin: ClassVar[str] = "model"
    example: ClassVar[str] = "mood: {type: transformers, path: models/sentiment, task: text-classification}"

    path: str = Field(min_length=1, description="Folder of the model, relative to the graph file.")
    task: Task = Field(description="What the model was trained for.")
    labels: list[str] = Field([], description="The labels to choose from, for zero-shot-classification.")
    hypothesis: str = Field(
        "This example is {}.", description="The sentence that is judged for each label, for zero-shot-classification."
    )
    device: str = Field("auto", description="cpu, cuda, cuda:1, mps; auto is a GPU if there is one.")
    dtype: Dtype = Field("auto", description="auto: float32 on a CPU, elsewhere what the weights are stored in.")
    max_batch: PositiveInt = Field(32, description="Texts to compute at the same time.")
    truncate: bool = Field(True, description="Cut a text that is longer than the model reads; false makes it an error.")
    options: dict[str, Any] = Field({}, description="Further arguments of the call, such as max_new_tokens or top_k.")

    @field_validator("task", mode="before")
    @classmethod
    def _other_name(cls, value: Any) -> Any:
        if isinstance(value, str):
            plain = "translation" if value.startswith("translation_") else value
            return OTHER_NAMES.get(plain, value)
        return value

    @field_validator("hypothesis")
    @classmethod
    def _has_a_place(cls, value: str) -> str:
        if value.count("{}") != 1 or value.count("{") != 1 or value.count("}") != 1:
            raise ValueError(f"{value!r} needs one {{}}, where the label goes")
        return value

    @model_validator(mode="after")
    def _labels_where_needed(self) -> Pipeline:
        zero_shot = self.task == "zero-shot-classification"
        if zero_shot and len(set(self.labels)) < 2:
            raise ValueError("zero-shot-classification needs two or more labels, such as labels: [praise, complaint]")
        if zero_shot and len(set(self.labels)) < len(self.labels):
            twice = next(label for label in self.labels if self.labels.count(label) > 1)
            raise ValueError(f"the label {twice!r} stands twice in labels")
        if self.labels and not zero_shot:
            raise ValueError(f"labels are for zero-shot-classification; for {self.task} the model has its own")
        return self

    def signature(self, resources: Resources) -> Signature:
        """Reads `text`, writes `result` and, for classifiers, `label` and `score`. Raises ResourceError for a folder
        that does not hold a model for the task."""
        config = look(self._folder(resources), task=self.task)
        writes = {"result": Write(_RESULTS[self.task])}
        if self.task in _CLASSIFYING:
            writes |= {"label": Write(STR, values=self._names(config)), "score": Write(_FLOAT)}
        return Signature({"text": Read(STR)}, writes)

    async def __call__(self, text: str, ctx: Context) -> Mapping[str, Any]:
        """The result for this text. Raises ModelError, InputError, ResourceError."""
        if not isinstance(text, str):
            raise InputError(f"the node type 'transformers' reads a text, and was given {type(text).__name__}")
        result = await self._shared(ctx)(text, **self._call_options())
        if self.task not in _CLASSIFYING:
            return {"result": result}
        label = max(result, key=result.__getitem__)
        return {"result": result, "label": label, "score": result[label]}

    def _names(self, config: Mapping[str, Any]) -> frozenset[str] | None:
        """The labels that there are; None if the model's config.json leaves that to transformers."""
        if self.task == "zero-shot-classification":
            return None if "candidate_labels" in self.options else frozenset(self.labels)
        named = config.get("id2label")
        return frozenset(map(str, named.values())) if isinstance(named, dict) and named else None

    def _call_options(self) -> dict[str, Any]:
        if self.task == "zero-shot-classification":
            return {"candidate_labels": self.labels, "hypothesis_template": self.hypothesis, **self.options}
        return self.options

    def _shared(self, ctx: Context) -> LocalPipeline:
        """The pipeline of this folder and these settings, which all nodes and runs of the graph share."""
        if ctx.resources is None:
            from ragweave.orchestrator.resources import Resources  # only where a node is called without a graph

            ctx.resources = Resources()
        resources = ctx.resources
        folder = self._folder(resources)
        kept: dict[str, Any] = {
            "device": self.device,
            "dtype": self.dtype,
            "max_batch": self.max_batch,
            "truncate": self.truncate,
        }
        name = " ".join([self.task, str(folder), *map(str, kept.values())])
        with _lock:
            shared: LocalPipeline | None = resources.built("pipelines", name)
            if shared is None:
                shared = LocalPipeline(folder, self.task, **kept)
                resources.put("pipelines", name, shared)
        return shared

    def _folder(self, resources: Resources) -> Path:
        return resources.folder / Path(self.path).expanduser()
