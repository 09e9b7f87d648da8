"""Models of sentence-transformers are exported once and give the original's vectors."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from ragweave import Graph
from ragweave.orchestrator.errors import GraphError, MissingExtra, ResourceError
from ragweave.orchestrator.localdata import cache_folder
from ragweave.orchestrator.resources import Resources
from ragweave.retrievers.embedders import exports, modelfolder
from ragweave.retrievers.embedders.bert import Architecture, numpy_engine, read_weights
from ragweave.retrievers.embedders.encoder import Encoder
from ragweave.retrievers.embedders.sentence_transformers import SentenceTransformers
from tests.retrievers.embedders import models, tiny
from tests.retrievers.folders import fresh_python

_missing = [name for name in ("torch", "sentence_transformers", "tokenizers", "openvino") if find_spec(name) is None]
pytestmark = pytest.mark.skipif(bool(_missing), reason=f"needs the extra 'local' ({_missing} missing)")

TEXTS = ["what is the red bridge", "two three. " * 60, "a", "", "Größe the light, water?", "\udcff bread"] * 2
PROMPTS = {"query": "query: ", "document": "passage: "}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.save(tmp_path_factory.mktemp("models") / "tiny", prompts=PROMPTS)


@pytest.fixture(scope="module")
def said() -> list[str]:
    return []


@pytest.fixture(scope="module")
def model(folder: Path, said: list[str]) -> SentenceTransformers:
    return SentenceTransformers(model=str(folder)).load(said.append)


def original(folder: Path) -> Encoder:
    """The same encoder in numpy."""
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.enable_truncation(64)
    engine = numpy_engine(read_weights(folder / "model.safetensors"), Architecture.read(folder / "config.json"))
    return Encoder(tokenizer, lambda threads: engine, dimension=32, threads=1)


def test_vectors_are_those_of_the_model_with_its_prompts(folder: Path, model: SentenceTransformers) -> None:
    plain = original(folder)
    for found, prompt in ((model.embed(TEXTS), "passage: "), (model.embed_queries(TEXTS), "query: ")):
        expected = plain.compute([prompt + text for text in TEXTS])
        assert (found * expected).sum(1).min() >= 0.9999
        assert found.dtype == np.float32
    assert model.embed([]).shape == (0, 32)
    own = SentenceTransformers(model=str(folder), query_prefix="", document_prefix="bread ")
    assert (own.embed_queries(TEXTS) * plain.compute(TEXTS)).sum(1).min() >= 0.9999
    assert own.identity != model.identity, "another text was put before passages"
    short = SentenceTransformers(model=str(folder), document_prefix="passage: ", max_tokens=16)
    assert short.identity.startswith(f"{model.identity.rpartition('/')[0]}/16/")
    assert (short.embed(["two three. " * 60]) * short.embed(["two three. " * 20])).sum() > 0.9999


def test_it_is_exported_once_and_what_serves_it_is_said(
    folder: Path, model: SentenceTransformers, said: list[str], tmp_path: Path
) -> None:
    assert len(said) == 2
    assert said[0].startswith("preparing the embedder 'tiny' for auto, once")
    assert "the embedder 'tiny' is served by OpenVINO" in said[1]
    assert model.about() in said[1]
    moved = shutil.copytree(folder, tmp_path / "elsewhere")
    (moved / "README.md").write_text("A text that makes it no other model.")
    again = SentenceTransformers(model="elsewhere")
    resources = Resources(folder=tmp_path, notice=said.append)
    again.open(resources)
    assert again.identity == model.identity
    assert again._served is model._served, "one engine serves all of a process"
    assert len(said) == 2
    asyncio.run(again.close())
    assert model.embed(["a"]).shape == (1, 32), "whoever lets go leaves it to the others"
    other = SentenceTransformers(model=str(tiny.save(tmp_path / "other", seed=2)))
    assert exports.digest(tmp_path / "other") != exports.digest(moved)
    other.check_files(tmp_path)


FRESH = """
import sys
from ragweave.retrievers.embedders.sentence_transformers import SentenceTransformers
model = SentenceTransformers(model=sys.argv[1]).load(lambda text: sys.exit(text))
model.embed_queries(["which river"])
print([name for name in ("torch", "transformers", "sentence_transformers", "scipy") if name in sys.modules])
"""


def test_a_later_process_loads_no_torch(folder: Path, model: SentenceTransformers) -> None:
    assert fresh_python(FRESH, str(folder)) == "[]"


def the_export(folder: Path) -> Path:
    return next(cache_folder().glob(f"embedders/{exports.digest(folder)}*/export.json")).parent


def spoil(binary: Path) -> None:
    """Other weights in a file of the same size."""
    size = binary.stat().st_size
    binary.write_bytes((b"\x12\x34\x56\x3f" * size)[:size])


@pytest.mark.parametrize("damage", ["cut", "bits", "facts", "gone"])
def test_damage_of_an_export_is_noticed(folder: Path, model: SentenceTransformers, damage: str, tmp_path: Path) -> None:
    export = shutil.copytree(the_export(folder), tmp_path / "export")
    assert exports._found(export, "auto") is not None
    binary = export / "encoder.bin"
    if damage == "facts":
        (export / "export.json").write_text("{")
    elif damage == "cut":
        binary.write_bytes(binary.read_bytes()[:-100])
    elif damage == "gone":
        (export / "tokenizer.json").unlink()
    else:
        spoil(binary)
    prepared = exports._found(export, "auto")
    assert (prepared is None) == (damage != "bits")
    assert prepared is None or exports._encoder(prepared, 1, 64) is None


@pytest.mark.long
def test_a_damaged_export_is_made_again(folder: Path, model: SentenceTransformers) -> None:
    before = model.embed(["a"])
    binary = the_export(folder) / "encoder.bin"
    spoil(binary)
    left = the_export(folder).with_name(f"draft-{the_export(folder).name}-killed")
    left.mkdir()
    said: list[str] = []
    opened = exports.open_model(folder, "auto", threads=1, say=said.append)
    assert "is damaged: it is made again" in said[0]
    assert opened.encoder is not None
    assert (opened.encoder.compute(["passage: a"]) * before).sum() > 0.999
    assert not left.exists()


@pytest.mark.long
def test_two_processes_export_once(tmp_path: Path) -> None:
    folder = tiny.save(tmp_path / "shared", seed=3)
    code = (
        "import sys; from ragweave.retrievers.embedders.sentence_transformers import SentenceTransformers\n"
        "said = []; SentenceTransformers(model=sys.argv[1]).load(said.append)\n"
        "print(sum('preparing' in text for text in said), sum('waiting' in text for text in said))"
    )
    with ThreadPoolExecutor(2) as pool:
        told = sorted(pool.map(lambda _: fresh_python(code, str(folder)), range(2)))
    assert told == ["0 1", "1 0"]


def test_eight_bits_are_another_model_and_say_how_far_they_agree(folder: Path, model: SentenceTransformers) -> None:
    said: list[str] = []
    small = SentenceTransformers(model=str(folder), precision="int8").load(said.append)
    assert small.identity == f"{model.identity}/int8"
    assert "OpenVINO int8" in said[-1]
    assert "of its top 10" in said[-1]
    assert (small.embed(TEXTS) * model.embed(TEXTS)).sum(1).mean() > 0.98
    plain = SentenceTransformers(model=str(folder), precision="fp32")
    assert plain.identity == model.identity, "vectors of these are comparable"
    assert "OpenVINO fp32" in plain.load().about()


KINDS = [
    "roberta",
    "xlm-roberta",
    "mpnet",
    "distilbert",
    "modernbert",
    "bert-cls",
    "bert-max",
    "bert-last",
    "bert-apart",
]


@pytest.fixture(scope="module")
def originals(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("originals")
    subprocess.run([sys.executable, "-m", models.__name__, str(folder), *KINDS], check=True, capture_output=True)
    return folder


PEER = """
import json, sys, warnings
warnings.simplefilter("ignore")
from sentence_transformers import SentenceTransformer
model, texts = SentenceTransformer(sys.argv[1], device="cpu"), json.load(sys.stdin)
found = [encode(texts, normalize_embeddings=True).tolist() for encode in (model.encode_document, model.encode_query)]
print(json.dumps(found))
"""


@pytest.mark.long
@pytest.mark.parametrize("kind", KINDS)
def test_every_architecture_and_pooling_gives_the_originals_vectors(originals: Path, kind: str) -> None:
    said: list[str] = []
    model = SentenceTransformers(model=str(originals / kind)).load(said.append)
    texts = [text for text in TEXTS if text.isprintable()]
    documents, queries = (
        np.array(one) for one in json.loads(fresh_python(PEER, str(originals / kind), stdin=json.dumps(texts)))
    )
    assert (model.embed(texts) * documents).sum(1).min() >= 0.9999
    assert (model.embed_queries(texts) * queries).sum(1).min() >= 0.9999
    assert ("run by sentence-transformers itself" in said[-1]) == (kind == "bert-apart")


YAML = """
schema: ragweave/v1
inputs: {question: str}
outputs: [documents]
embedders:
  own: {type: sentence_transformers, model: MODEL}
retrievers:
  notes: {type: hybrid, index: notes, embedder: own}
nodes:
  find: {type: retriever, retriever: notes}
edges: [start -> find -> end]
"""


def wrong(folder: Path, model: str) -> str:
    """What the check of a graph in this folder says of the model."""
    (folder / "graph.yaml").write_text(YAML.replace("MODEL", model))
    with pytest.raises(GraphError) as caught:
        Graph.load(folder / "graph.yaml")
    return str(caught.value)


def test_what_is_wrong_with_a_model_is_found_by_the_check(folder: Path, tmp_path: Path) -> None:
    good = shutil.copytree(folder, tmp_path / "models" / "e5-small")
    assert "e5-smal' does not exist; did you mean 'e5-small'?" in wrong(tmp_path, "./models/e5-smal")
    assert "holds no modules.json; there is one in 'e5-small'" in wrong(tmp_path, "./models")
    (good / "file").write_text("")
    assert "is a file, not the folder of a model" in wrong(tmp_path, "./models/e5-small/file")
    weights = (good / "model.safetensors").read_bytes()
    (good / "model.safetensors").write_bytes(weights[: len(weights) // 2])
    assert "it is cut off: " in wrong(tmp_path, "./models/e5-small")
    (good / "model.safetensors").write_bytes(b"<html>")
    assert "not in the safetensors format" in wrong(tmp_path, "./models/e5-small")
    (good / "model.safetensors").rename(good / "pytorch_model.bin")
    assert "are a pickle" in wrong(tmp_path, "./models/e5-small")
    (good / "modules.json").write_text('[{"idx": 0, "path": "", "type": "custom.Thing"}]')
    assert "needs code of its own ('custom.Thing'), which is not run" in wrong(tmp_path, "./models/e5-small")
    (good / "modules.json").write_text("{")
    assert "modules.json' cannot be read" in wrong(tmp_path, "./models/e5-small")


def test_names_are_looked_up_in_the_local_hub_cache(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    for name in ("intfloat/e5-small", "sentence-transformers/all-mini"):
        repository = tmp_path / f"models--{name.replace('/', '--')}"
        shutil.copytree(folder, repository / "snapshots" / "0123")
        (repository / "refs").mkdir()
        (repository / "refs" / "main").write_text("0123")
    assert modelfolder.locate("intfloat/e5-small", tmp_path).name == "0123"
    assert (
        modelfolder.locate("all-mini", tmp_path) == tmp_path / "models--sentence-transformers--all-mini/snapshots/0123"
    )
    with pytest.raises(ResourceError, match=r"did you mean 'intfloat/e5-small'\?.*`hf download intfloat/e5-smal`"):
        modelfolder.locate("intfloat/e5-smal", tmp_path)


@pytest.mark.long
def test_weights_that_are_not_of_the_model_are_told_in_one_line(tmp_path: Path) -> None:
    folder = tiny.save(tmp_path / "odd")
    tensors = tiny.weights()
    tensors["embeddings.word_embeddings.weight"] = tensors["embeddings.word_embeddings.weight"][:, :16]
    tiny.write_weights(folder / "model.safetensors", tensors)
    with pytest.raises(ResourceError, match=r"the model 'odd' cannot be loaded: .*; are its files whole") as caught:
        SentenceTransformers(model=str(folder)).load()
    assert "\n" not in str(caught.value)


def test_a_missing_package_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import importlib.metadata

    found = importlib.metadata.Distribution.from_name

    def without_torch(name: str) -> importlib.metadata.Distribution:
        if name == "torch":
            raise importlib.metadata.PackageNotFoundError(name)
        return found(name)

    monkeypatch.setattr(importlib.metadata.Distribution, "from_name", without_torch)
    folder = tiny.save(tmp_path / "bare", seed=4)
    with pytest.raises(MissingExtra, match=r"needs the package 'torch'.*pip install 'ragweave\[local\]'"):
        SentenceTransformers(model=str(folder)).load()
