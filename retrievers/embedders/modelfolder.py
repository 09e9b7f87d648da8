"""The folder of a sentence-transformers model, found by path or by name, and looked at without loading anything."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from ragweave.orchestrator.errors import ResourceError, did_you_mean
from ragweave.orchestrator.models.local.files import check_weights, read_json

_SUFFIXES = {".json", ".txt", ".model", ".safetensors", ".bin"}
_ELSEWHERE = {"onnx", "openvino"}
"""Folders with exports of others."""
_HEADER = 8
_MAX_HEADER = 100_000_000


class Prompts(NamedTuple):
    """What a model was trained to read before a question, and before a passage."""

    query: str
    document: str


def locate(model: str, base: Path) -> Path:
    """The folder that a path (from `base`) or the name of a model in the local Hugging Face cache means.

    Nothing is downloaded. Raises ResourceError with what was probably meant.
    """
    folder = base / Path(model).expanduser()
    if folder.is_dir():
        return folder
    if folder.exists():
        raise ResourceError(f"the model {str(folder)!r} is a file, not the folder of a model")
    if not _is_name(model):
        raise ResourceError(
            f"the model folder {str(folder)!r} does not exist{did_you_mean(folder.name, _beside(folder))}"
        )
    hub = hub_folder()
    for name in (model, f"sentence-transformers/{model}") if "/" not in model else (model,):
        found = _snapshot(hub / f"models--{name.replace('/', '--')}")
        if found is not None:
            return found
    known = [entry.name[8:].replace("--", "/") for entry in _folders(hub) if entry.name.startswith("models--")]
    near = did_you_mean(model, [*known, *_beside(folder)])
    full = model if "/" in model else f"sentence-transformers/{model}"
    raise ResourceError(
        f"the model {model!r} is neither a folder beside the graph file nor in the local cache {str(hub)!r}{near}",
        hint=f"nothing is downloaded unasked: `hf download {full}` does it",
    )


def hub_folder() -> Path:
    """The folder in which Hugging Face keeps downloaded models, by its environment variables."""
    environ = os.environ
    for name, inside in (("HF_HUB_CACHE", ""), ("HUGGINGFACE_HUB_CACHE", ""), ("HF_HOME", "hub")):
        if environ.get(name):
            return Path(environ[name]).expanduser() / inside
    return Path(environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "huggingface" / "hub"


def look(folder: Path) -> None:
    """Raise ResourceError unless the folder holds a model that can be loaded: config, tokenizer, whole weights."""
    if not (folder / "modules.json").is_file() and not (folder / "config.json").is_file():
        inside = sorted(path.parent.name for path in folder.glob("*/modules.json"))
        near = f"; there is one in {inside[0]!r}" if inside else ""
        raise ResourceError(
            f"{str(folder)!r} is not the folder of a sentence-transformers model: it holds no modules.json{near}",
            hint="give the folder that SentenceTransformer.save wrote, or the snapshot of a download",
        )
    modules = _modules(folder)
    for module in modules:
        if not str(module.get("type", "")).startswith("sentence_transformers."):
            raise ResourceError(
                f"the model in {str(folder)!r} needs code of its own ({module.get('type')!r}), which is not run"
            )
    transformer = folder / str(modules[0].get("path", "")) if modules else folder
    kind = str(modules[0].get("type", "")) if modules else "Transformer"
    if kind.endswith("Transformer"):
        config = transformer / "config.json"
        if "auto_map" in read_json(config) and "architectures" not in read_json(config):
            raise ResourceError(f"the model in {str(folder)!r} needs code of its own (auto_map), which is not run")
        check_weights(transformer)
    for weights in sorted(folder.rglob("*.safetensors")):
        _check_whole(weights)


def prompts(folder: Path) -> Prompts:
    """What the model's own configuration says, as sentence-transformers reads it."""
    file = folder / "config_sentence_transformers.json"
    config = read_json(file) if file.is_file() else {}
    known = config.get("prompts") or {}
    if not isinstance(known, dict):
        raise ResourceError(f"'prompts' in {str(file)!r} is not a map of names to texts")
    usual = known.get(config.get("default_prompt_name") or "", "")
    documents = (known[name] for name in ("document", "passage", "corpus") if name in known)
    return Prompts(str(known.get("query", usual) or ""), str(next(documents, usual) or ""))


def leaves_prompt_out(folder: Path) -> bool:
    """True if the model's pooling passes over the words of the prompt."""
    for module in _modules(folder):
        config = folder / str(module.get("path", "")) / "config.json"
        if str(module.get("type", "")).endswith("Pooling") and config.is_file():
            return read_json(config).get("include_prompt") is False
    return False


def files_of(folder: Path) -> list[Path]:
    """The files that make the model what it is, sorted; of weights in two formats the safe ones."""
    found = [
        path
        for path in sorted(folder.rglob("*"))
        if path.suffix in _SUFFIXES
        and path.is_file()
        and not _ELSEWHERE.intersection(path.relative_to(folder).parts)
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    ]
    safe = {path.parent for path in found if path.suffix == ".safetensors"}
    return [path for path in found if path.suffix != ".bin" or path.parent not in safe]


def _modules(folder: Path) -> list[Mapping[str, Any]]:
    file = folder / "modules.json"
    if not file.is_file():
        return []
    try:
        modules = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ResourceError(f"{str(file)!r} cannot be read: {error}") from None
    if not isinstance(modules, list) or not all(isinstance(module, dict) for module in modules):
        raise ResourceError(f"{str(file)!r} is not a list of modules")
    return modules


def _check_whole(weights: Path) -> None:
    """Raise ResourceError if a safetensors file is cut off or is none."""
    size = weights.stat().st_size
    with weights.open("rb") as file:
        length = int.from_bytes(file.read(_HEADER), "little")
        if not 2 <= length <= min(_MAX_HEADER, max(size - _HEADER, 0)):
            raise ResourceError(_damaged(weights, "it is cut off, or not in the safetensors format"))
        try:
            header = json.loads(file.read(length))
            ends = [entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__"]
        except (ValueError, LookupError, TypeError, AttributeError):
            raise ResourceError(_damaged(weights, "its header cannot be read")) from None
    whole = _HEADER + length + max(ends, default=0)
    if size < whole:
        raise ResourceError(_damaged(weights, f"it is cut off: {size:,} of {whole:,} bytes"))


def _damaged(weights: Path, why: str) -> str:
    return f"the weights {str(weights)!r} cannot be used: {why}; copy or download them again"


def _is_name(model: str) -> bool:
    """True for what may be the name of a model on a hub: `e5-small`, `intfloat/e5-small`."""
    return not model.startswith((".", "/", "~")) and model.count("/") <= 1 and "\\" not in model


def _snapshot(repository: Path) -> Path | None:
    """The newest snapshot of a repository in the cache."""
    try:
        commit = (repository / "refs" / "main").read_text(encoding="ascii").strip()
        found = repository / "snapshots" / commit
        if found.is_dir():
            return found
    except (OSError, UnicodeDecodeError):
        pass
    return max(_folders(repository / "snapshots"), key=lambda path: path.stat().st_mtime, default=None)


def _folders(parent: Path) -> Iterator[Path]:
    if parent.is_dir():
        yield from (entry for entry in parent.iterdir() if entry.is_dir())


def _beside(folder: Path) -> list[str]:
    return [entry.name for entry in _folders(folder.parent) if not entry.name.startswith(".")]
