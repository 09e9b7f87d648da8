"""A small BERT encoder without torch: safetensors weights as a graph of OpenVINO, or in numpy where that is missing.

Token states are averaged over the mask and scaled to length 1, as sentence-transformers' MiniLM models do.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ragweave.retrievers.embedders.engines import Engine, Floats, Ids, import_openvino

_DTYPES = {"F32": np.float32, "F16": np.float16, "I64": np.int64, "I32": np.int32}


@dataclass(frozen=True, slots=True)
class Architecture:
    """The sizes of a BERT, as its config.json gives them."""

    layers: int
    heads: int
    width: int
    epsilon: float

    @classmethod
    def read(cls, config: Path) -> Architecture:
        """From a Hugging Face config.json. Raises ValueError for a model of another kind."""
        known = json.loads(config.read_text(encoding="utf-8"))
        if known.get("model_type") != "bert" or known.get("hidden_act") != "gelu":
            raise ValueError(f"{config} is not of a BERT with gelu, but of {known.get('model_type')!r}")
        return cls(
            layers=known["num_hidden_layers"],
            heads=known["num_attention_heads"],
            width=known["hidden_size"],
            epsilon=known["layer_norm_eps"],
        )


def read_weights(path: Path) -> dict[str, Floats]:
    """The tensors of a safetensors file, memory-mapped. Raises ValueError if the file is cut off."""
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(length))
    data = np.memmap(path, dtype=np.uint8, mode="c")  # private and writable, as OpenVINO wants shared constants
    weights = {}
    for name, entry in header.items():
        if name == "__metadata__":
            continue
        begin, end = (8 + length + offset for offset in entry["data_offsets"])
        if end > data.size:
            raise ValueError(f"{path} is cut off: {name} ends at byte {end} of {data.size}")
        array = np.asarray(data[begin:end].view(_DTYPES[entry["dtype"]]).reshape(entry["shape"]))
        weights[name] = array if array.dtype != np.float16 else array.astype(np.float32)
    return weights


def graph(weights: Mapping[str, Floats], shape: Architecture) -> Any:
    """The encoder as an OpenVINO graph. Raises ImportError if OpenVINO is not installed."""
    openvino = import_openvino()
    op = openvino.opset13

    def whole(*values: int) -> Any:
        return op.constant(np.array(values, np.int32))

    def number(value: int) -> Any:
        return op.constant(np.array(value, np.int32))

    def constant(name: str) -> Any:
        return op.constant(weights[name], shared_memory=True)

    def row(name: str) -> Any:
        return op.constant(weights[name].reshape(1, 1, -1), shared_memory=True)

    def linear(states: Any, name: str) -> Any:
        return op.add(op.matmul(states, constant(f"{name}.weight"), False, True), row(f"{name}.bias"))

    def norm(states: Any, name: str) -> Any:
        scaled = op.mvn(states, whole(-1), True, shape.epsilon, "inside_sqrt")
        return op.add(op.multiply(scaled, row(f"{name}.weight")), row(f"{name}.bias"))

    ids = op.parameter([-1, -1], np.int32, name="ids")
    mask = op.parameter([-1, -1], np.float32, name="mask")
    length = op.gather(op.shape_of(ids, "i32"), number(1), number(0))
    states = op.add(
        op.add(
            op.gather(constant("embeddings.word_embeddings.weight"), ids, number(0)),
            op.gather(
                constant("embeddings.position_embeddings.weight"),
                op.range(number(0), length, number(1), "i32"),
                number(0),
            ),
        ),
        op.constant(weights["embeddings.token_type_embeddings.weight"][0].reshape(1, 1, -1)),
    )
    states = norm(states, "embeddings.LayerNorm")
    away = op.multiply(op.subtract(op.constant(np.float32(1)), mask), op.constant(np.float32(-10_000)))
    away = op.unsqueeze(away, whole(1, 2))
    heads = op.constant(np.array([0, 0, shape.heads, shape.width // shape.heads], np.int64))
    joined = op.constant(np.array([0, 0, shape.width], np.int64))
    swap = whole(0, 2, 1, 3)
    for layer in range(shape.layers):
        at = f"encoder.layer.{layer}."
        query, key, value = (
            op.transpose(op.reshape(linear(states, f"{at}attention.self.{name}"), heads, True), swap)
            for name in ("query", "key", "value")
        )
        mixed = op.reshape(op.transpose(op.scaled_dot_product_attention(query, key, value, away), swap), joined, True)
        states = norm(op.add(linear(mixed, f"{at}attention.output.dense"), states), f"{at}attention.output.LayerNorm")
        wide = op.gelu(linear(states, f"{at}intermediate.dense"), "erf")
        states = norm(op.add(linear(wide, f"{at}output.dense"), states), f"{at}output.LayerNorm")
    total = op.reduce_sum(op.multiply(states, op.unsqueeze(mask, whole(2))), whole(1), False)
    return openvino.Model([op.normalize_l2(total, whole(1), 1e-12, "max")], [ids, mask], "encoder")


def numpy_engine(weights: Mapping[str, Floats], shape: Architecture) -> Engine:
    """The same encoder in numpy: the same vectors, five to ten times slower."""

    def linear(states: Floats, name: str) -> Floats:
        return states @ weights[f"{name}.weight"].T + weights[f"{name}.bias"]

    def norm(states: Floats, name: str) -> Floats:
        centred = states - states.mean(-1, keepdims=True)
        scaled = centred / np.sqrt((centred * centred).mean(-1, keepdims=True) + np.float32(shape.epsilon))
        return np.asarray(scaled * weights[f"{name}.weight"] + weights[f"{name}.bias"])

    def split(states: Floats) -> Floats:
        batch, length, _ = states.shape
        return np.asarray(states.reshape(batch, length, shape.heads, -1).transpose(0, 2, 1, 3))

    def encoded(ids: Ids, mask: Floats) -> Floats:
        states: Floats = weights["embeddings.word_embeddings.weight"][ids]
        states = states + weights["embeddings.position_embeddings.weight"][: ids.shape[1]]
        states = norm(states + weights["embeddings.token_type_embeddings.weight"][0], "embeddings.LayerNorm")
        away = ((1 - mask) * np.float32(-10_000))[:, None, None, :]
        scale = np.float32(1 / math.sqrt(shape.width // shape.heads))
        for layer in range(shape.layers):
            at = f"encoder.layer.{layer}."
            query, key, value = (
                split(linear(states, f"{at}attention.self.{name}")) for name in ("query", "key", "value")
            )
            scores = query @ key.swapaxes(-1, -2) * scale + away
            scores = np.exp(scores - scores.max(-1, keepdims=True))
            mixed = (scores / scores.sum(-1, keepdims=True)) @ value
            joined = mixed.transpose(0, 2, 1, 3).reshape(states.shape)
            states = norm(linear(joined, f"{at}attention.output.dense") + states, f"{at}attention.output.LayerNorm")
            wide = _gelu(linear(states, f"{at}intermediate.dense"))
            states = norm(linear(wide, f"{at}output.dense") + states, f"{at}output.LayerNorm")
        total = (states * mask[:, :, None]).sum(1)
        return np.asarray(total / np.maximum(np.linalg.norm(total, axis=1, keepdims=True), 1e-12), dtype=np.float32)

    return lambda parts: [encoded(ids, mask) for ids, mask in parts]


def _gelu(x: Floats) -> Floats:
    """x · Φ(x), with erf by Abramowitz and Stegun 7.1.26 (error below 1.5e-7), which numpy lacks."""
    z = np.abs(x) * np.float32(math.sqrt(0.5))
    t = 1 / (1 + np.float32(0.3275911) * z)
    series = np.float32(1.061405429) * t + np.float32(-1.453152027)
    for factor in (1.421413741, -0.284496736, 0.254829592):
        series = series * t + np.float32(factor)
    erf = 1 - series * t * np.exp(-z * z)
    return np.asarray(x * np.float32(0.5) * (1 + np.copysign(erf, x)), dtype=np.float32)
