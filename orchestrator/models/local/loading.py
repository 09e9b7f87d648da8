"""Models and tokenizers read from a folder: no network, no code of the model's own, no pickle."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, NamedTuple

from ragweave.orchestrator.errors import ResourceError
from ragweave.orchestrator.models.local.files import look, require
from ragweave.orchestrator.models.reading import one_line

Dtype = Literal["auto", "float32", "bfloat16", "float16"]
KIND_OF_MODEL = {
    "text-generation": "AutoModelForCausalLM",
    "text2text-generation": "AutoModelForSeq2SeqLM",
    "text-classification": "AutoModelForSequenceClassification",
    "zero-shot-classification": "AutoModelForSequenceClassification",
    "token-classification": "AutoModelForTokenClassification",
    "fill-mask": "AutoModelForMaskedLM",
    "feature-extraction": "AutoModel",
}


class Loaded(NamedTuple):
    """A model that is ready to compute, with its tokenizer."""

    model: Any
    tokenizer: Any
    device: Any


def load(folder: Path, *, task: str, device: str = "auto", dtype: Dtype = "auto", feature: str) -> Loaded:
    """The model and tokenizer in a folder. Raises ResourceError or MissingExtra that says what to do.

    The first call in a process imports torch and transformers, which takes about 5 s.
    """
    require(feature)
    look(folder, task=task)
    import torch
    import transformers

    place = find_device(device)
    local = {"local_files_only": True, "trust_remote_code": False}
    with _quiet():
        try:
            tokenizer = transformers.AutoTokenizer.from_pretrained(str(folder), **local)
        except Exception as error:  # anything that can be wrong with its files
            raise _unreadable("tokenizer", folder, error) from error
        try:
            model, found = getattr(transformers, KIND_OF_MODEL[task]).from_pretrained(
                str(folder),
                dtype=_dtype(dtype, place, torch),
                use_safetensors=True,
                output_loading_info=True,
                **local,
            )
        except Exception as error:
            raise _unreadable("model", folder, error) from error
    missing = sorted(found.get("missing_keys") or ())
    if missing:
        few = ", ".join(missing[:3]) + (", …" if len(missing) > 3 else "")
        raise ResourceError(
            f"the weights in {str(folder)!r} lack {len(missing)} of the parts that {task} takes ({few})",
            hint="was the model trained for this task? what is missing would be random numbers",
        )
    return Loaded(model.to(place).eval(), tokenizer, place)


def find_device(name: str) -> Any:
    """The torch device of this name; `auto` is a GPU if there is one. Raises ResourceError with what there is."""
    import torch

    there = ["cpu"]
    if torch.backends.mps.is_available():
        there.insert(0, "mps")
    if torch.cuda.is_available():
        there.insert(0, "cuda")
    try:
        device = torch.device(there[0] if name == "auto" else name)
    except RuntimeError:
        raise ResourceError(f"device: {name!r} is none", hint=f"there is: {', '.join(['auto', *there])}") from None
    count = torch.cuda.device_count()
    if device.type not in there or (device.type == "cuda" and (device.index or 0) >= count):
        raise ResourceError(f"device: there is no {name!r} on this machine", hint=f"there is: {', '.join(there)}")
    return device


def context_of(model: Any, tokenizer: Any) -> int | None:
    """The most tokens that the model reads and writes together; None if it does not say."""
    config = model.config.get_text_config()
    for name in ("max_position_embeddings", "n_positions", "max_sequence_length", "seq_length", "n_ctx"):
        length = getattr(config, name, None)
        if isinstance(length, int) and length > 0:
            return length
    length = getattr(tokenizer, "model_max_length", None)
    return int(length) if length is not None and length < 10**7 else None  # "very large" means unknown there


def _dtype(name: Dtype, device: Any, torch: Any) -> Any:
    if name == "auto":
        return torch.float32 if device.type == "cpu" else "auto"  # half precision is slow on most CPUs
    return getattr(torch, name)


def _unreadable(what: str, folder: Path, error: Exception) -> ResourceError:
    said = one_line(str(error), 300)
    if "trust_remote_code" in said:
        return ResourceError(
            f"the {what} in {str(folder)!r} comes with Python code of its own, which is not run",
            hint="give a model whose architecture transformers has built in",
        )
    if isinstance(error, json.JSONDecodeError):
        said = f"a JSON file is damaged: {said}"
    return ResourceError(f"the {what} in {str(folder)!r} cannot be loaded: {said}")


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without progress bars and reports on stderr; what matters of them is raised."""
    from transformers import utils

    logging: Any = utils.logging
    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()
