"""LoRA adapters, added to the weights of a model when it is loaded: no package more, and no cost per token."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ragweave.orchestrator.errors import ResourceError, did_you_mean
from ragweave.orchestrator.models.local.files import PICKLES, read_json

WEIGHTS = "adapter_model.safetensors"
_PREFIX = "base_model.model."
_REFUSED = (
    "use_dora",
    "use_qalora",
    "use_bdlora",
    "alora_invocation_tokens",
    "trainable_token_indices",
    "layer_replication",
)
"""Settings of PEFT that ask for more than adding to weights."""


def look_at_adapter(folder: Path) -> Mapping[str, Any]:
    """The adapter's adapter_config.json. Raises ResourceError if it is not a plain LoRA adapter as safetensors."""
    if not folder.is_dir():
        parent = folder.parent
        beside = [entry.name for entry in parent.iterdir() if entry.is_dir()] if parent.is_dir() else []
        near = did_you_mean(folder.name, beside) if beside else ""
        raise ResourceError(f"the adapter folder {str(folder)!r} does not exist{near}")
    config = read_json(folder / "adapter_config.json")
    kind = str(config.get("peft_type", "?"))
    if kind.upper() != "LORA":
        raise ResourceError(f"the adapter in {str(folder)!r} is of the kind {kind!r}", hint="only LORA is supported")
    for setting in _REFUSED:
        if config.get(setting):
            raise ResourceError(
                f"the adapter in {str(folder)!r} has {setting}, which is not supported",
                hint="merge it into the model with peft (merge_and_unload), and give the merged model as path",
            )
    if str(config.get("bias") or "none") != "none":
        raise ResourceError(f"the adapter in {str(folder)!r} trains biases, which is not supported")
    if not (folder / WEIGHTS).is_file():
        pickled = any(any(folder.glob(pattern)) for pattern in PICKLES)
        also = "; there is a pickle, which can run any code when it is read" if pickled else ""
        raise ResourceError(f"the adapter folder {str(folder)!r} holds no {WEIGHTS}{also}")
    return config


def merge(model: Any, folder: Path) -> int:
    """Add an adapter in PEFT's format to a model's weights, in place; gives how many weights it changed.

    W becomes W + (alpha / r) · B · A, or alpha / √r for rank-stabilised adapters; modules that were trained as a whole
    are replaced. Raises ResourceError that names what does not fit. Hu et al., LoRA (2021); Kalajdzievski, A Rank
    Stabilization Scaling Factor (2023).
    """
    import torch
    from safetensors.torch import load_file
    from transformers.pytorch_utils import Conv1D

    config = look_at_adapter(folder)
    try:
        tensors = load_file(str(folder / WEIGHTS))
    except Exception as error:  # safetensors raises its own, and OSError
        raise ResourceError(f"the adapter in {str(folder)!r} cannot be read: {error}") from error
    pairs, whole = _sorted(tensors, folder)
    with torch.no_grad():
        for name, tensor in whole.items():  # first: the weights of an embedding may be there to be added to
            _replace(model, name, tensor, folder)
        for name, (down, up) in pairs.items():
            owner, weight = _weight(model, name, folder)
            delta = up.float() @ down.float() * _scale(config, name, down.shape[0])
            if isinstance(owner, Conv1D):  # of GPT-2, which holds its weights the other way round
                delta = delta.T
            if delta.shape != weight.shape:
                raise ResourceError(
                    f"the adapter in {str(folder)!r} changes {name!r} by {tuple(delta.shape)}, the model has "
                    f"{tuple(weight.shape)}",
                    hint=f"it was trained for {config.get('base_model_name_or_path') or 'another model'}",
                )
            weight.copy_((weight.float() + delta.to(weight.device)).to(weight.dtype))
    return len(pairs) + len(whole)


def _replace(model: Any, name: str, tensor: Any, folder: Path) -> None:
    """Put another parameter in the place of one that was trained as a whole."""
    module, _, parameter = name.rpartition(".")
    _, weight = _weight(model, module, folder, parameter)
    if weight.shape != tensor.shape:
        raise ResourceError(
            f"the adapter in {str(folder)!r} has {name!r} of {tuple(tensor.shape)}, the model of {tuple(weight.shape)}",
            hint="were tokens added to the tokenizer? give the model that the adapter was trained with",
        )
    weight.copy_(tensor.to(weight.device, weight.dtype))


def _sorted(tensors: Mapping[str, Any], folder: Path) -> tuple[dict[str, tuple[Any, Any]], dict[str, Any]]:
    """Pairs of A and B by module, and parameters that are replaced."""
    halves: dict[str, dict[str, Any]] = {}
    whole: dict[str, Any] = {}
    for key, tensor in tensors.items():
        name = key.removeprefix(_PREFIX)
        found = re.fullmatch(r"(.+)\.lora_([AB])\.weight", name)
        if found:
            halves.setdefault(found[1], {})[found[2]] = tensor
        elif ".lora_" in name:
            raise ResourceError(
                f"the adapter in {str(folder)!r} changes {name!r}, which is no linear layer",
                hint="merge it into the model with peft (merge_and_unload), and give the merged model as path",
            )
        else:
            whole[name.replace(".base_layer.", ".")] = tensor
    broken = [name for name, pair in halves.items() if set(pair) != {"A", "B"} or pair["A"].dim() != 2]
    if broken or not (halves or whole):
        what = f"has half of what it takes for {broken[0]!r}" if broken else "is empty"
        raise ResourceError(f"the adapter in {str(folder)!r} {what}")
    return {name: (pair["A"], pair["B"]) for name, pair in halves.items()}, whole


def _weight(model: Any, module: str, folder: Path, parameter: str = "weight") -> tuple[Any, Any]:
    """A module and its parameter, which it no longer shares with the embedding of its input: only one is adapted."""
    import torch

    try:
        owner = model.get_submodule(module)
        weight = getattr(owner, parameter)
    except AttributeError:
        raise ResourceError(
            f"the adapter in {str(folder)!r} changes {module!r}, which {type(model).__name__} does not have",
            hint="give the model that the adapter was trained with",
        ) from None
    first = model.get_input_embeddings()
    if owner is not first and weight is first.weight:
        weight = torch.nn.Parameter(weight.detach().clone(), requires_grad=False)
        setattr(owner, parameter, weight)
    return owner, weight


def _scale(config: Mapping[str, Any], module: str, rank: int) -> float:
    alpha = float(config.get("lora_alpha") or 8)
    for pattern, own in (config.get("alpha_pattern") or {}).items():
        if re.match(rf"(.*\.)?({pattern})$", module):
            alpha = float(own)
            break
    return alpha / (rank**0.5 if config.get("use_rslora") else rank)
