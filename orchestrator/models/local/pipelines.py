"""Local models that are no chat models: classifiers, taggers, maskers, encoders, and those that rewrite a text.

One pipeline serves all runs, in batches of texts of about equal length.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args

from ragweave.orchestrator.batching import Batcher
from ragweave.orchestrator.errors import InputError, MissingExtra, ModelError, NodeError, ResourceError
from ragweave.orchestrator.models.local.loading import Dtype, Loaded, context_of, load
from ragweave.orchestrator.models.reading import one_line

Task = Literal[
    "text-classification",
    "zero-shot-classification",
    "token-classification",
    "fill-mask",
    "feature-extraction",
    "text-generation",
    "text2text-generation",
]
TASKS: tuple[str, ...] = get_args(Task)
OTHER_NAMES = {
    "sentiment-analysis": "text-classification",
    "ner": "token-classification",
    "summarization": "text2text-generation",
    "translation": "text2text-generation",
}
"""Tasks as transformers also calls them, or called them up to version 4."""
BATCH_TOKENS = 16_384
NEW_TOKENS = 128
MASKS = ("[MASK]", "<mask>")
_PADS_FIRST = {"roberta", "xlm-roberta", "camembert", "xlm-roberta-xl", "longformer", "mpnet"}
"""Architectures whose first positions stand for padding: they read two tokens less than config.json says."""


class Asked(NamedTuple):
    """A text, and the options of its call as JSON: texts with equal options share batches."""

    text: str
    options: str = "{}"


class LocalPipeline:
    """A model in a folder, for one task. It is loaded at its first call, in the thread that computes.

    What a call gives: `text-classification` and `zero-shot-classification` a map of label to score, best first;
    `token-classification` a list of {label, text, start, end, score}; `fill-mask` a list of {text, score, sequence};
    `feature-extraction` the mean of the last layer's token states, a list of numbers; the others a text.
    """

    def __init__(
        self,
        folder: Path,
        task: Task,
        *,
        device: str = "auto",
        dtype: Dtype = "auto",
        max_batch: int = 32,
        truncate: bool = True,
    ) -> None:
        self.folder = folder
        self.task: Task = task
        self.batches: int = 0
        """How many batches were computed."""
        self._settings: dict[str, Any] = {"device": device, "dtype": dtype}
        self._truncate = truncate
        self._loaded: Loaded | None = None
        self._pipe: Any = None
        self._batcher: Batcher[Asked, Any] = Batcher(
            self._compute,
            max_batch=max_batch,
            size=lambda asked: len(asked.text) // 4 + 8,
            max_size=BATCH_TOKENS,
            group=lambda asked: asked.options,
            separable=lambda error: not isinstance(error, (ResourceError, MissingExtra)),
            name=f"pipeline {folder.name}",
        )

    async def __call__(self, text: str, **options: Any) -> Any:
        """The result for a text. Raises ModelError, InputError for a text that the model cannot read."""
        # Half of a surrogate pair is no text to a tokenizer, and nothing is none to some pipelines.
        sound = (text or " ").encode("utf-8", "replace").decode("utf-8")
        return await self._batcher.call(Asked(sound, json.dumps(options, sort_keys=True)))

    async def close(self) -> None:
        """Wait for what is computed, and let go of the model."""
        await self._batcher.close()
        self._loaded = self._pipe = None

    def _compute(self, batch: list[Asked]) -> list[Any]:
        loaded = self._open()
        options: dict[str, Any] = json.loads(batch[0].options)
        self.batches += 1
        try:
            texts = [self._fitting(asked.text, loaded, options) for asked in batch]
            results = self._run(texts, loaded, options)
        except NodeError:
            raise
        except Exception as error:  # whatever a model does with what it is given
            full = "out of memory" in str(error).lower()
            hint = "lower max_batch" if full else ""
            said = f"{type(error).__name__}: {one_line(str(error))}"
            raise ModelError(f"{self._name} failed: {said}", hint=hint, transient=full) from error
        for result in results:
            self._refuse_garbage(result)
        return results

    @property
    def _name(self) -> str:
        return f"the model {self.folder.name!r} ({self.task})"

    def _open(self) -> Loaded:
        if self._loaded is None:
            feature = "the node type 'transformers'"
            loaded = load(self.folder, task=self.task, feature=feature, **self._settings)
            words, model = loaded.tokenizer, loaded.model
            if words.pad_token_id is None:  # GPT-2 and its like: any token will do, what is padded is not looked at
                words.pad_token = words.eos_token
            if getattr(model.config, "pad_token_id", None) is None:
                model.config.pad_token_id = words.pad_token_id
            if self.task == "text-generation":
                words.padding_side = "left"
            if self.task not in ("feature-extraction", "text2text-generation"):
                import transformers

                make: Any = transformers.pipeline
                self._pipe = make(self.task, model=model, tokenizer=words, device=loaded.device)
            self._loaded = loaded
        return self._loaded

    def _run(self, texts: list[str], loaded: Loaded, options: Mapping[str, Any]) -> list[Any]:
        """The results of a batch as JSON."""
        if self.task == "feature-extraction":
            return means(texts, loaded, options)
        if self.task == "text2text-generation":
            return rewritten(texts, loaded, options)
        several = {"batch_size": len(texts), **options}
        if self.task == "text-classification":
            return [_scores(rows) for rows in self._pipe(texts, **{"top_k": None, **several})]
        if self.task == "zero-shot-classification":
            several["batch_size"] = len(texts) * len(options["candidate_labels"])
            found = self._pipe(texts, **several)
            return [dict(zip(row["labels"], map(float, row["scores"]), strict=True)) for row in found]
        if self.task == "token-classification":
            found = self._pipe(texts, **{"aggregation_strategy": "simple", **several})
            return [[_entity(text, row) for row in rows] for text, rows in zip(texts, found, strict=True)]
        if self.task == "fill-mask":
            found = self._pipe(texts, **several)
            return [_fillings(rows) for rows in (found if len(texts) > 1 else [found])]
        given = {"max_new_tokens": NEW_TOKENS, "do_sample": False, "return_full_text": False, **several}
        return [rows[0]["generated_text"] for rows in self._pipe(texts, **given)]

    def _fitting(self, text: str, loaded: Loaded, options: Mapping[str, Any]) -> str:
        """The text as far as the model reads. Raises InputError where it must not be cut, or lacks its mask."""
        words = loaded.tokenizer
        if self.task == "fill-mask":
            for mask in MASKS:
                text = text.replace(mask, words.mask_token)
            if words.mask_token not in text:
                raise InputError(f"{self._name}: the text has no [MASK] to fill in: {one_line(text, 80)!r}")
        room = self._room(loaded, options)
        if room is None or len(text.encode()) <= room:
            return text
        read = words(text, add_special_tokens=False, return_offsets_mapping=words.is_fast, verbose=False)
        count = len(read["input_ids"])
        if count <= room:
            return text
        if not self._truncate:
            raise InputError(
                f"{self._name}: the text is too long: {count:,} tokens, and the model reads {room:,}",
                hint="split it, or write truncate: true",
            )
        if words.is_fast:
            cut = text[: read["offset_mapping"][room - 1][1]]
        else:
            cut = words.decode(read["input_ids"][:room], skip_special_tokens=True)
        if self.task == "fill-mask" and words.mask_token not in cut:
            raise InputError(f"{self._name}: [MASK] stands behind the {room:,} tokens that the model reads")
        return cut

    def _room(self, loaded: Loaded, options: Mapping[str, Any]) -> int | None:
        """How many tokens of a text the model reads."""
        limit = context_of(loaded.model, loaded.tokenizer)
        if limit is not None and loaded.model.config.model_type in _PADS_FIRST:
            limit -= 2
        own = int(loaded.tokenizer.model_max_length)
        limit = min(limit, own) if limit is not None else own if own < 10**7 else None
        if limit is None:
            return None
        taken: int = loaded.tokenizer.num_special_tokens_to_add(pair=self.task == "zero-shot-classification")
        if self.task == "text-generation":
            taken += int(options.get("max_new_tokens", NEW_TOKENS))
        if self.task == "zero-shot-classification":
            said = [options["hypothesis_template"].format(label) for label in options["candidate_labels"]]
            taken += max(len(ids) for ids in loaded.tokenizer(said, add_special_tokens=False)["input_ids"])
        if limit - taken < 1:
            raise InputError(f"{self._name}: it reads {limit:,} tokens, and {taken:,} of them are taken already")
        return limit - taken

    def _refuse_garbage(self, result: Any) -> None:
        """Raise ModelError for numbers that are none: NaN would pass every comparison of a route."""
        if not _finite(result):
            raise ModelError(f"{self._name} computes what is no number (NaN)", hint="try dtype: float32")


def means(texts: Sequence[str], loaded: Loaded, options: Mapping[str, Any]) -> list[list[float]]:
    """The mean of the states of each text's tokens, without padding; with {pooling: first}, the first token's."""
    import torch

    pooling = options.get("pooling", "mean")
    if pooling not in ("mean", "first") or set(options) - {"pooling"}:
        raise ResourceError(f"options of feature-extraction: {dict(options)!r}; there is: pooling: mean | first")
    given = loaded.tokenizer(list(texts), padding=True, return_tensors="pt").to(loaded.device)
    with torch.inference_mode():
        states = loaded.model(**given).last_hidden_state.float()
    mask = given["attention_mask"].unsqueeze(-1).float()
    if pooling == "first":
        places = given["attention_mask"].argmax(dim=1)
        pooled = states[torch.arange(len(texts)), places]
    else:
        pooled = (states * mask).sum(1) / mask.sum(1).clamp(min=1)
    return [[float(value) for value in row] for row in pooled.tolist()]


def rewritten(texts: Sequence[str], loaded: Loaded, options: Mapping[str, Any]) -> list[str]:
    """What an encoder-decoder (T5, BART, Marian) makes of each text: a summary, a translation."""
    import torch

    given = loaded.tokenizer(list(texts), padding=True, return_tensors="pt").to(loaded.device)
    given.pop("token_type_ids", None)
    with torch.inference_mode():
        tokens = loaded.model.generate(**given, **{"max_new_tokens": NEW_TOKENS, "do_sample": False, **options})
    return [str(text) for text in loaded.tokenizer.batch_decode(tokens, skip_special_tokens=True)]


def _scores(rows: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    best_first = sorted(rows, key=lambda row: -row["score"])
    return {str(row["label"]): float(row["score"]) for row in best_first}


def _entity(text: str, row: Mapping[str, Any]) -> dict[str, Any]:
    start, end = row.get("start"), row.get("end")
    known = start is not None and end is not None
    return {
        "label": str(row.get("entity_group") or row.get("entity")),
        "text": text[int(start) : int(end)] if known else str(row.get("word", "")),  # type: ignore[arg-type]
        "start": int(start) if known else None,  # type: ignore[arg-type]
        "end": int(end) if known else None,  # type: ignore[arg-type]
        "score": float(row["score"]),
    }


def _fillings(rows: Sequence[Any]) -> list[Any]:
    """The candidates for a mask; for several masks a list of candidates each."""
    if rows and isinstance(rows[0], list):
        return [_fillings(mask) for mask in rows]
    return [
        {"text": str(row["token_str"]).strip(), "score": float(row["score"]), "sequence": str(row["sequence"])}
        for row in rows
    ]


def _finite(value: Any) -> bool:
    if isinstance(value, float):
        return math.isfinite(value)
    if isinstance(value, Mapping):
        return all(map(_finite, value.values()))
    return not isinstance(value, list) or all(map(_finite, value))
