"""Reading the text in pictures (OCR), through RapidOCR, whose models come with its package: nothing is downloaded."""

from __future__ import annotations

import functools
import importlib.util
import logging
from typing import Any


def is_installed() -> bool:
    """True if pictures can be read. Nothing is imported."""
    return importlib.util.find_spec("rapidocr") is not None and importlib.util.find_spec("onnxruntime") is not None


def text_in(picture: Any) -> str:
    """The lines of text in a picture, an array of height x width x 3 bytes, from top to bottom."""
    found = _engine()(picture)
    return "\n".join(found.txts or ())


@functools.cache
def _engine() -> Any:
    from rapidocr import RapidOCR

    engine = RapidOCR()
    logging.getLogger("RapidOCR").setLevel(logging.WARNING)
    return engine
