"""Tiny models with random weights, made on the spot: real files, real tokenizers, real arithmetic, no meaning."""

from __future__ import annotations

import json
import shutil
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

TEMPLATE = (
    "{% for message in messages %}<|start|>{{ message['role'] }}\n{{ message['content'] }}<|end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|start|>assistant\n{% endif %}"
)
CORPUS = [
    "The mail worker retries a failed delivery five times, two minutes apart.",
    "Two spices are left out of garam masala: cumin and fennel. Simmer for 20 minutes.",
    "Grüße aus Zürich: naïve café, 日本語のテキスト, emoji 🍲🥘.",
    "User: where is the tea? Assistant: it is on the left. System: be brief.",
]
CONTEXT = 192


def tokenizer(*, chat: bool = True, marks: bool = False) -> Any:
    """A byte-level tokenizer of 500 tokens; with `chat` it has a template, with `marks` it is one of BERT's kind."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    wrap: Any = PreTrainedTokenizerFast
    special = ["[PAD]", "[CLS]", "[SEP]", "[MASK]"] if marks else ["<|end|>", "<|start|>"]
    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=500, special_tokens=special, initial_alphabet=alphabet, show_progress=False
    )
    made.train_from_iterator(CORPUS * 3, trainer)
    if marks:
        ends = [(mark, made.token_to_id(mark)) for mark in ("[CLS]", "[SEP]")]
        made.post_processor = processors.TemplateProcessing(
            single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=ends
        )
        names = {"pad_token": "[PAD]", "cls_token": "[CLS]", "sep_token": "[SEP]", "mask_token": "[MASK]"}
        return wrap(tokenizer_object=made, model_max_length=64, **names)
    wrapped = wrap(tokenizer_object=made, eos_token="<|end|>", extra_special_tokens=["<|start|>"])
    if chat:
        wrapped.chat_template = TEMPLATE
    return wrapped


def causal(folder: Path, *, kind: str = "llama", chat: bool = True, seed: int = 0, **config: Any) -> Path:
    """A causal language model of this kind in a folder."""
    import torch
    import transformers

    words = tokenizer(chat=chat)
    torch.manual_seed(seed)
    torch.set_num_threads(1)  # so small a model only loses by more
    sizes: dict[str, Any] = {
        "vocab_size": len(words),
        "hidden_size": 48,
        "intermediate_size": 96,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": CONTEXT,
        "initializer_range": 0.3,
        "bos_token_id": None,
        "eos_token_id": words.eos_token_id,
        "pad_token_id": None,
    }
    name = {"gpt2": "GPT2", "qwen": "Qwen3", "lfm": "Lfm2"}.get(kind, kind.capitalize())
    made = getattr(transformers, f"{name}Config")(
        **{**sizes, **{key: list(value) if isinstance(value, tuple) else value for key, value in config.items()}}
    )
    model = getattr(transformers, f"{name}ForCausalLM" if kind != "gpt2" else "GPT2LMHeadModel")(made)
    with torch.no_grad():  # it never says a part of a character, so that every token is a piece of text
        for token in range(len(words)):
            if "\ufffd" in words.decode([token]):
                model.get_output_embeddings().weight[token] = 0
    model.save_pretrained(folder)
    words.save_pretrained(folder)
    return folder


def bert(folder: Path, head: str, *, labels: tuple[str, ...] = (), seed: int = 0, **config: Any) -> Path:
    """A BERT with this head (`SequenceClassification`, `MaskedLM`, …) in a folder."""
    import torch
    import transformers

    words = tokenizer(marks=True)
    torch.manual_seed(seed)
    torch.set_num_threads(1)  # so small a model only loses by more
    named: dict[str, Any] = {
        "id2label": dict(enumerate(labels)),
        "label2id": {label: at for at, label in enumerate(labels)},
    }
    made = transformers.BertConfig(
        vocab_size=len(words),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=64,
        initializer_range=0.5,
        pad_token_id=words.pad_token_id,
        **(named if labels else {}),
        **config,
    )
    model = getattr(transformers, f"BertFor{head}" if head else "BertModel")(made)
    model.save_pretrained(folder)
    words.save_pretrained(folder)
    return folder


def t5(folder: Path, *, seed: int = 0) -> Path:
    """An encoder-decoder in a folder."""
    import torch
    import transformers

    words = tokenizer(marks=True)
    torch.manual_seed(seed)
    config: Any = transformers.T5Config
    made = config(
        vocab_size=len(words),
        d_model=32,
        d_kv=8,
        d_ff=64,
        num_layers=2,
        num_heads=4,
        initializer_factor=8.0,
        pad_token_id=words.pad_token_id,
        decoder_start_token_id=words.pad_token_id,
        eos_token_id=words.sep_token_id,
    )
    transformers.T5ForConditionalGeneration(made).save_pretrained(folder)
    words.save_pretrained(folder)
    return folder


def copy_with(source: Path, target: Path, **changes: Any) -> Path:
    """A copy of a model's folder whose config.json says something else."""
    shutil.copytree(source, target)
    file = target / "config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **changes}))
    return target


@cache
def kept(kind: str, **config: Any) -> Path:
    """A model that all tests of this process share: a kind of `causal`, `t5`, or `bert` with its head."""
    folder = Path(_folder().name) / f"{kind}-{len(list(Path(_folder().name).iterdir()))}"
    if kind == "t5":
        return t5(folder)
    return bert(folder, config.pop("head"), **config) if kind == "bert" else causal(folder, kind=kind, **config)


@cache
def _folder() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="tiny-models-")
