"""A graph in 8 bits, by post-training quantisation: weights by output channel, activations by tensor.

Ranges of activations are those seen on calibration texts. `smoothing` moves what is large in a channel of the
activations into the weights before (SmoothQuant, Xiao et al. 2023). OpenVINO turns the marked products into kernels
for 8-bit integers; all else stays as it was.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ragweave.retrievers.embedders.engines import Floats, Part, import_openvino

_LEVELS = 256
_LARGEST = 127
_SMALL = 1e-5


def quantised(model: Any, parts: Sequence[Part], smoothing: float) -> Any:
    """The model with its products of activations and weights in 8 bits; it is changed in place."""
    products = [node for node in model.get_ordered_ops() if _is_product(node)]
    for node, (low, high) in zip(products, _ranges(model, products, parts), strict=True):
        _replace(node, low, high, smoothing)
    model.validate_nodes_and_infer_types()
    return model


def _is_product(node: Any) -> bool:
    """True for a matrix of activations times a constant matrix."""
    if node.get_type_name() != "MatMul" or node.get_attributes()["transpose_a"]:
        return False
    weights = node.input_value(1).get_node()
    return (
        weights.get_type_name() == "Constant"
        and len(weights.shape) == 2
        and node.input_value(0).partial_shape.rank.is_static
    )


def _ranges(model: Any, products: Sequence[Any], parts: Sequence[Part]) -> list[tuple[Floats, Floats]]:
    """The least and the largest value of each channel that goes into each product."""
    openvino = import_openvino()
    op = openvino.opset13
    watched = model.clone()
    twins = {node.get_friendly_name(): node for node in watched.get_ordered_ops()}
    results = []
    for product in products:
        value = twins[product.get_friendly_name()].input_value(0)
        axes = np.arange(len(value.partial_shape) - 1)
        results += [op.result(op.reduce_min(value, axes)), op.result(op.reduce_max(value, axes))]
    watched.add_results(results)
    compiled = openvino.Core().compile_model(watched, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    request = compiled.create_infer_request()
    first = len(model.outputs)
    found: list[tuple[Floats, Floats]] = []
    for ids, mask in parts:
        request.infer([ids, mask])
        seen = [np.array(request.get_output_tensor(first + place).data) for place in range(len(results))]
        pairs = list(zip(seen[::2], seen[1::2], strict=True))
        found = [
            (np.minimum(low, new_low), np.maximum(high, new_high))
            for (low, high), (new_low, new_high) in zip(found or pairs, pairs, strict=True)
        ]
    return found


def _replace(node: Any, low: Floats, high: Floats, smoothing: float) -> None:
    op = import_openvino().opset13
    data = np.array(node.input_value(1).get_node().data, dtype=np.float32)
    weights = data if node.get_attributes()["transpose_b"] else data.T  # (outputs, inputs)
    value = node.input_value(0)
    if smoothing:
        activity = np.maximum(np.maximum(np.abs(low), np.abs(high)), _SMALL)
        scale = activity**smoothing / np.maximum(np.abs(weights).max(0), _SMALL) ** (1 - smoothing)
        scale = np.asarray(scale, dtype=np.float32)
        weights, low, high = weights * scale, low / scale, high / scale
        value = op.multiply(value, op.constant(np.asarray(1 / scale, dtype=np.float32))).output(0)
    edges = min(float(low.min()), 0.0), max(float(high.max()), _SMALL)
    least, most = (op.constant(np.float32(edge)) for edge in edges)
    rounded = op.fake_quantize(value, least, most, least, most, _LEVELS)
    steps = np.maximum(np.abs(weights).max(1, keepdims=True), _SMALL) / _LARGEST
    whole = np.clip(np.round(weights / steps), -_LARGEST, _LARGEST).astype(np.int8)
    restored = op.multiply(op.convert(op.constant(whole), "f32"), op.constant(np.asarray(steps, dtype=np.float32)))
    made = op.matmul(rounded, restored, False, True)
    made.set_friendly_name(node.get_friendly_name())
    node.output(0).replace(made.output(0))
