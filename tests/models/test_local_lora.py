"""LoRA adapters: the arithmetic, and what is refused before anything is loaded."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ragweave.orchestrator.errors import ResourceError
from ragweave.orchestrator.models.local.lora import look_at_adapter, merge
from tests.support.tiny_models import kept

QUERY = "model.layers.0.self_attn.q_proj"


def adapter(folder: Path, tensors: dict[str, Any], **config: Any) -> Path:
    """An adapter in PEFT's format."""
    from safetensors.torch import save_file

    folder.mkdir(exist_ok=True)
    save_file(tensors, str(folder / "adapter_model.safetensors"))
    made = {"peft_type": "LORA", "r": 4, "lora_alpha": 8, "bias": "none", **config}
    (folder / "adapter_config.json").write_text(json.dumps(made))
    return folder


def halves(module: str = QUERY, down: int = 48, up: int = 48, rank: int = 4) -> dict[str, Any]:
    """Random A and B of one module."""
    import torch

    torch.manual_seed(3)
    name = f"base_model.model.{module}"
    return {f"{name}.lora_A.weight": torch.randn(rank, down), f"{name}.lora_B.weight": torch.randn(up, rank)}


def loaded(kind: str = "llama", **config: Any) -> Any:
    """A model to change."""
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(kept(kind, **config), local_files_only=True)


@pytest.mark.parametrize(
    ("config", "scale"),
    [
        ({}, 2.0),
        ({"lora_alpha": 1}, 0.25),
        ({"use_rslora": True}, 4.0),
        ({"alpha_pattern": {"q_proj": 40}}, 10.0),
        ({"alpha_pattern": {"k_proj": 40}}, 2.0),
    ],
)
def test_an_adapter_is_added_to_the_weights(tmp_path: Path, config: dict[str, Any], scale: float) -> None:
    """Agrees with peft 0.21 on Llama and GPT-2 models to 2e-5 in logits of about 10; here against the formula."""
    import torch

    model, pair = loaded(), halves()
    before = model.get_submodule(QUERY).weight.detach().clone()
    assert merge(model, adapter(tmp_path, pair, **config)) == 1
    down, up = pair.values()
    torch.testing.assert_close(model.get_submodule(QUERY).weight.detach(), before + scale * up @ down)


def test_weights_that_stand_the_other_way_round(tmp_path: Path) -> None:
    import torch

    model = loaded("gpt2", n_embd=48, n_head=4, n_layer=2, n_positions=192)
    module = "transformer.h.0.attn.c_proj"  # square: its shape does not tell which way round it is
    pair = halves(module)
    before = model.get_submodule(module).weight.detach().clone()
    merge(model, adapter(tmp_path, pair, fan_in_fan_out=True))
    down, up = pair.values()
    torch.testing.assert_close(model.get_submodule(module).weight.detach(), before + 2 * (up @ down).T)


def test_what_was_trained_as_a_whole_is_replaced(tmp_path: Path) -> None:
    import torch

    model = loaded()
    head = torch.randn_like(model.lm_head.weight)
    merge(model, adapter(tmp_path, {"base_model.model.lm_head.weight": head}, modules_to_save=["lm_head"]))
    torch.testing.assert_close(model.lm_head.weight.detach(), head)


def test_an_output_that_shares_its_weights_with_the_input_is_changed_alone(tmp_path: Path) -> None:
    import torch

    model = loaded("llama", tie_word_embeddings=True)
    assert model.lm_head.weight is model.get_input_embeddings().weight
    before = model.lm_head.weight.detach().clone()
    pair = halves("lm_head", up=len(before))
    merge(model, adapter(tmp_path, pair))
    torch.testing.assert_close(model.get_input_embeddings().weight.detach(), before)
    assert not torch.equal(model.lm_head.weight.detach(), before)


@pytest.mark.parametrize(
    ("tensors", "config", "message"),
    [
        (halves, {"peft_type": "IA3"}, "of the kind 'IA3'; only LORA"),
        (halves, {"use_dora": True}, "has use_dora, which is not supported; merge it into the model with peft"),
        (halves, {"bias": "all"}, "trains biases"),
        (lambda: halves("model.layers.9.self_attn.q_proj"), {}, "which LlamaForCausalLM does not have"),
        (
            lambda: halves(up=24),
            {"base_model_name_or_path": "acme/small"},
            r"by \(24, 48\), the model has \(48, 48\); it was trained for acme/small",
        ),
        (lambda: dict(list(halves().items())[:1]), {}, "has half of what it takes for"),
        (dict, {}, "is empty"),
        (lambda: {"base_model.model.e.lora_embedding_A": halves().popitem()[1]}, {}, "which is no linear layer"),
        (lambda: {"base_model.model.lm_head.weight": halves().popitem()[1]}, {}, "were tokens added to the tokenizer"),
    ],
)
def test_adapters_that_do_not_fit(tmp_path: Path, tensors: Any, config: dict[str, Any], message: str) -> None:
    folder = adapter(tmp_path, tensors(), **config)
    with pytest.raises(ResourceError, match=message):
        merge(loaded(), folder)


def test_an_adapter_that_is_not_there_or_a_pickle_or_damaged(tmp_path: Path) -> None:
    (tmp_path / "tone").mkdir()
    with pytest.raises(ResourceError, match=r"adapter folder '.*tome' does not exist; did you mean 'tone'"):
        look_at_adapter(tmp_path / "tome")
    with pytest.raises(ResourceError, match=r"holds no adapter_config\.json"):
        look_at_adapter(tmp_path / "tone")
    (tmp_path / "tone/adapter_config.json").write_text('{"peft_type": "LORA"}')
    (tmp_path / "tone/adapter_model.bin").write_bytes(b"pickle")
    with pytest.raises(ResourceError, match=r"holds no adapter_model\.safetensors; there is a pickle"):
        look_at_adapter(tmp_path / "tone")
    (tmp_path / "tone/adapter_model.safetensors").write_bytes(b"nonsense")
    with pytest.raises(ResourceError, match="cannot be read"):
        merge(loaded(), tmp_path / "tone")
