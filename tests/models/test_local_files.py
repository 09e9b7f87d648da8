"""Folders of models: what is wrong with one is said by the check, before torch is loaded; no code and no pickle of a
model is ever run."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from ragweave import Graph, GraphError
from ragweave.orchestrator.errors import ResourceError
from ragweave.orchestrator.models.local.files import look
from ragweave.orchestrator.models.local.loading import find_device, load
from ragweave.orchestrator.models.local.model import Transformers
from ragweave.orchestrator.resources import Resources
from tests.conventions.sources import ROOT
from tests.support.tiny_models import copy_with, kept


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """What a model's folder has, as far as a check looks."""
    made = tmp_path / "models" / "small"
    made.mkdir(parents=True)
    (made / "config.json").write_text(json.dumps({"architectures": ["LlamaForCausalLM"]}))
    (made / "tokenizer.json").write_text("{}")
    (made / "model.safetensors").write_bytes(b"")
    return made


def test_a_folder_with_all_that_it_takes(folder: Path) -> None:
    assert look(folder) == {"architectures": ["LlamaForCausalLM"]}


def test_a_folder_that_is_not_there_names_its_neighbour(folder: Path) -> None:
    with pytest.raises(ResourceError, match=r"the model folder '.*smal' does not exist; did you mean 'small'"):
        look(folder.parent / "smal")
    with pytest.raises(ResourceError, match=r"nowhere/small' does not exist$"):
        look(folder.parent / "nowhere" / "small")
    with pytest.raises(ResourceError, match=r"config\.json' is a file, not the folder of a model"):
        look(folder / "config.json")


@pytest.mark.parametrize(
    ("gone", "message"),
    [
        ("config.json", r"holds no config\.json; give the folder that save_pretrained wrote"),
        ("tokenizer.json", r"holds no tokenizer \(tokenizer\.json, .*; copy the tokenizer's files into it"),
        ("model.safetensors", r"holds no weights \(\*\.safetensors\)"),
    ],
)
def test_what_is_missing_is_named(folder: Path, gone: str, message: str) -> None:
    (folder / gone).unlink()
    with pytest.raises(ResourceError, match=message):
        look(folder)


@pytest.mark.parametrize("text", ["{", "[1]", "\xff", "[" * 100_000])
def test_a_config_that_is_damaged(folder: Path, text: str) -> None:
    (folder / "config.json").write_text(text, encoding="latin-1")
    with pytest.raises(ResourceError, match=r"config\.json' (cannot be read|does not hold a JSON object)"):
        look(folder)


def test_a_pickle_is_refused_with_the_way_out(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(
        ResourceError, match=r"a pickle \(pytorch_model\.bin\), which can run any code .* save_pretrained"
    ):
        look(folder)


@pytest.mark.parametrize(
    ("architecture", "task", "fits"),
    [
        ("LlamaForCausalLM", "text-generation", True),
        ("GPT2LMHeadModel", "text-generation", True),
        ("BertForSequenceClassification", "zero-shot-classification", True),
        ("BertForMaskedLM", "feature-extraction", True),
        ("SomethingNew", "fill-mask", True),
        ("BertForSequenceClassification", "text-generation", False),
        ("LlamaForCausalLM", "text-classification", False),
        ("T5ForConditionalGeneration", "text-generation", False),
    ],
)
def test_a_model_for_another_task_is_refused(folder: Path, architecture: str, task: str, fits: bool) -> None:
    (folder / "config.json").write_text(json.dumps({"architectures": [architecture]}))
    if fits:
        look(folder, task=task)
        return
    with pytest.raises(ResourceError, match=f"is a {architecture}, made for .*, not for {task}"):
        look(folder, task=task)


GRAPH = """
schema: ragweave/v1
inputs: {question: str}
outputs: [answer]
models:
  chat: {type: transformers, path: models/PATH}
nodes:
  answer: {type: generator, model: chat, prompt: plain}
prompts:
  plain: {text: "{{ question }}", variables: {question: str}}
edges: [start -> answer -> end]
"""


def test_the_check_finds_a_wrong_folder_and_loads_nothing_heavy(folder: Path) -> None:
    file = folder.parent.parent / "graph.yaml"
    file.write_text(GRAPH.replace("PATH", "smal"))
    with pytest.raises(GraphError) as caught:
        Graph.load(file)
    problem = caught.value.problems[0]
    assert (problem.code, problem.line) == ("RW307", 6)
    assert "models.chat: the model folder" in problem.message
    assert "did you mean 'small'" in problem.message
    file.write_text(GRAPH.replace("PATH", '"${env:SMALL_MODEL:-none}"').replace("models/", ""))
    assert [(one.code, one.severity) for one in Graph.load(file).check()] == [("RW307", "warning")]
    file.write_text(GRAPH.replace("PATH", "small"))
    code = f"""
import sys
from ragweave import Graph
Graph.load({str(file)!r}).close()
assert not {{"torch", "transformers"}} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


def test_python_code_in_a_model_is_never_run(tmp_path: Path) -> None:
    ran = tmp_path / "ran"
    auto = {"AutoConfig": "mine.Config", "AutoModelForCausalLM": "mine.Model", "AutoTokenizer": ["mine.Words", None]}
    folder = copy_with(kept("llama"), tmp_path / "evil", auto_map=auto, model_type="mine")
    (folder / "mine.py").write_text(f"open({str(ran)!r}, 'w').close()\n")
    words = json.loads((folder / "tokenizer_config.json").read_text())
    (folder / "tokenizer_config.json").write_text(
        json.dumps({**words, "auto_map": {"AutoTokenizer": ["mine.Words", None]}, "tokenizer_class": "Words"})
    )
    with pytest.raises(ResourceError, match=r"cannot be loaded|comes with Python code of its own, which is not run"):
        load(folder, task="text-generation", feature="a test")
    assert not ran.exists()


def test_weights_that_are_damaged_or_lack_parts(tmp_path: Path) -> None:
    damaged = copy_with(kept("llama"), tmp_path / "damaged")
    (damaged / "model.safetensors").write_bytes(b"nonsense")
    with pytest.raises(ResourceError, match=r"the model in '.*damaged' cannot be loaded"):
        load(damaged, task="text-generation", feature="a test")
    lacking = copy_with(kept("llama"), tmp_path / "lacking", num_hidden_layers=3)
    with pytest.raises(ResourceError, match=r"lack \d+ of the parts that text-generation takes \(model\.layers\.2"):
        load(lacking, task="text-generation", feature="a test")


def test_a_tokenizer_that_is_damaged(tmp_path: Path) -> None:
    damaged = copy_with(kept("llama"), tmp_path / "damaged")
    (damaged / "tokenizer.json").write_text("{")
    with pytest.raises(ResourceError, match=r"the tokenizer in '.*damaged' cannot be loaded"):
        load(damaged, task="text-generation", feature="a test")


def test_a_device_that_is_not_there() -> None:
    assert find_device("auto").type in ("cpu", "cuda", "mps")
    with pytest.raises(ResourceError, match=r"device: 'gpu' is none; there is: auto, .*cpu"):
        find_device("gpu")
    with pytest.raises(ResourceError, match=r"device: there is no 'cuda:99' on this machine; there is: .*cpu"):
        find_device("cuda:99")


def test_half_precision_and_what_auto_stands_for() -> None:
    path = kept("llama")
    for dtype, word in (("auto", "float32"), ("bfloat16", "bfloat16")):
        loaded = load(path, task="text-generation", device="cpu", dtype=dtype, feature="a test")  # type: ignore[arg-type]
        assert str(loaded.model.dtype) == f"torch.{word}"
        assert not loaded.model.training


def test_paths_start_at_the_graph_and_settings_are_checked(tmp_path: Path) -> None:
    model = Transformers(path="none", adapter="tone")
    with pytest.raises(ResourceError, match="none' does not exist"):
        model.check_files(tmp_path)
    with pytest.raises(ResourceError, match="none' does not exist"):
        model.open(Resources(folder=tmp_path))
    for wrong in (
        {"path": ""},
        {"path": "x", "top_p": 0},
        {"path": "x", "dtype": "int8"},
        {"path": "x", "max_batch": 0},
    ):
        with pytest.raises(ValueError, match="validation error"):
            Transformers(**wrong)
