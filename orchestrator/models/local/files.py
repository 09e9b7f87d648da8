"""The folder of a model, looked at without loading anything: what is missing is said before the first run."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ragweave.orchestrator.errors import MissingExtra, ResourceError, did_you_mean

TOKENIZERS = (
    "tokenizer.json", "tokenizer_config.json", "tokenizer.model", "vocab.json", "vocab.txt", "spiece.model",
    "sentencepiece.bpe.model",
)  # fmt: skip
PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt")
HEADS = {
    "ForCausalLM": "text-generation",
    "LMHeadModel": "text-generation",
    "ForConditionalGeneration": "text2text-generation",
    "ForSequenceClassification": "text-classification",
    "ForTokenClassification": "token-classification",
    "ForMaskedLM": "fill-mask",
    "ForQuestionAnswering": "question-answering",
}
"""The task that a model was made for, by the end of its architecture's name."""


def look(folder: Path, *, task: str = "text-generation") -> Mapping[str, Any]:
    """The model's config.json. Raises ResourceError if the folder does not hold a model for this task that is safe to
    load: config.json, a tokenizer, and weights as safetensors."""
    if not folder.is_dir():
        parent = folder.parent
        folders = [entry.name for entry in parent.iterdir() if entry.is_dir()] if parent.is_dir() else []
        beside = [name for name in folders if not name.startswith(".")]
        what = "is a file, not the folder of a model" if folder.exists() else "does not exist"
        near = did_you_mean(folder.name, beside) if parent.is_dir() else ""
        raise ResourceError(f"the model folder {str(folder)!r} {what}{near}")
    config = read_json(folder / "config.json")
    names = {entry.name for entry in folder.iterdir()}
    if not names.intersection(TOKENIZERS):
        raise ResourceError(
            f"the model folder {str(folder)!r} holds no tokenizer ({', '.join(TOKENIZERS[:3])}, …)",
            hint="copy the tokenizer's files into it, or save it there with tokenizer.save_pretrained",
        )
    check_weights(folder)
    check_task(folder, config, task)
    return config


def read_json(file: Path) -> Mapping[str, Any]:
    """The JSON object in a file of a model. Raises ResourceError that says what is wrong with it."""
    try:
        value = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ResourceError(
            f"the model folder {str(file.parent)!r} holds no {file.name}",
            hint="give the folder that save_pretrained wrote, or the snapshot folder of a download",
        ) from None
    except (OSError, ValueError, RecursionError) as error:
        raise ResourceError(f"{str(file)!r} cannot be read: {error}") from None
    if not isinstance(value, dict):
        raise ResourceError(f"{str(file)!r} does not hold a JSON object")
    return value


def check_weights(folder: Path) -> None:
    """Raise ResourceError unless the folder has weights that cannot run code."""
    if any(folder.glob("*.safetensors")):
        return
    pickles = sorted(file.name for pattern in PICKLES for file in folder.glob(pattern))
    if pickles:
        raise ResourceError(
            f"the weights in {str(folder)!r} are a pickle ({pickles[0]}), which can run any code when it is read",
            hint="only safetensors are loaded: save the model again with save_pretrained where you trust it",
        )
    raise ResourceError(f"the model folder {str(folder)!r} holds no weights (*.safetensors)")


def check_task(folder: Path, config: Mapping[str, Any], task: str) -> None:
    """Raise ResourceError if the architecture in config.json says that the model was made for another task."""
    if task == "feature-extraction":  # any model has states
        return
    wanted = "text-classification" if task == "zero-shot-classification" else task
    made_for = set()
    named = [str(name) for name in config.get("architectures") or ()]
    for name in named:
        made_for |= {head for end, head in HEADS.items() if name.endswith(end)}
    if made_for and wanted not in made_for:
        raise ResourceError(
            f"the model in {str(folder)!r} is a {named[0]}, made for {made_for.pop()}, not for {task}",
            hint="give a model that was trained for this task, or the task that the model was trained for",
        )


def require(feature: str) -> None:
    """Raise MissingExtra unless torch and transformers are installed; neither is imported."""
    from importlib.util import find_spec

    for package in ("torch", "transformers"):
        if find_spec(package) is None:
            raise MissingExtra(feature, package, "local")
