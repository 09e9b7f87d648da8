"""What computes the vectors of token ids: an OpenVINO graph on the CPU.

An engine maps pairs (ids, mask) of shape (batch, length) to as many arrays of float32 vectors (batch, width), rows of
length 1. One thread at a time calls it.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Ids = npt.NDArray[np.int32]
Part = tuple[Ids, Floats]
Engine = Callable[[Sequence[Part]], list[Floats]]

HALVES = {"bf16": "BF16", "f16": "FP16"}
"""The precisions besides f32, and what OpenVINO calls the ability to compute in them."""


def import_openvino() -> Any:
    """The module `openvino`, kept from reporting to Google Analytics that it was imported, which it does unasked.

    Its converters fall back to a stub where the package `openvino_telemetry` cannot be imported. Raises ImportError if
    OpenVINO is not installed.
    """
    hidden = "openvino_telemetry"
    if hidden in sys.modules or "openvino" in sys.modules:
        return importlib.import_module("openvino")
    sys.modules[hidden] = None  # type: ignore[assignment]
    try:
        return importlib.import_module("openvino")
    finally:
        del sys.modules[hidden]


def precisions() -> list[str]:
    """What this CPU computes in, the fastest last: f32, and bf16 or f16 where it has instructions for them."""
    able = import_openvino().Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    return ["f32", *(name for name, ability in HALVES.items() if ability in able)]


def cpu() -> str:
    """The CPU and the OpenVINO that computes on it: what was measured on one says nothing of another."""
    openvino = import_openvino()
    name = openvino.Core().get_property("CPU", "FULL_DEVICE_NAME")
    return f"{name} ({', '.join(precisions())}), OpenVINO {openvino.__version__}"


def openvino_engine(model: Any, threads: int, precision: str) -> Engine:
    """A graph with the inputs ids and mask, on the CPU, in a precision of `precisions()`.

    Each part is computed by one thread, and `threads` parts at the same time: threads that share a part wait for each
    other at every layer. Raises ImportError if OpenVINO is not installed, RuntimeError if it cannot compile here.
    """
    compiled = (
        import_openvino()
        .Core()
        .compile_model(
            model,
            "CPU",
            {
                "INFERENCE_PRECISION_HINT": precision,
                "INFERENCE_NUM_THREADS": threads,
                "NUM_STREAMS": threads,
                "PERFORMANCE_HINT": "LATENCY" if threads == 1 else "THROUGHPUT",
            },
        )
    )
    requests: list[Any] = []

    def engine(parts: Sequence[Part]) -> list[Floats]:
        while len(requests) < len(parts):
            requests.append(compiled.create_infer_request())
        started = requests[: len(parts)]
        try:
            for request, part in zip(started, parts, strict=True):
                request.start_async(list(part))
            for request in started:
                request.wait()
        except BaseException:
            requests.clear()  # what still computes is not used again
            raise
        return [np.array(request.get_output_tensor(0).data, dtype=np.float32) for request in started]

    return engine


def usable_threads() -> int:
    """The CPUs that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
