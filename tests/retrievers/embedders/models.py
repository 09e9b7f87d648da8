"""Small random models of many architectures, saved by sentence-transformers: `python models.py FOLDER NAME …`.

Run in a process of its own: the tests' process never imports torch.
"""

from __future__ import annotations

import os
import sys
import warnings
from pathlib import Path
from typing import Any

from tests.retrievers.embedders import tiny
from tests.retrievers.embedders.tiny import WORDS

SMALL: dict[str, Any] = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64}


def config(kind: str) -> Any:
    """The configuration of a tiny model of an architecture."""
    import transformers

    vocabulary: dict[str, Any] = {"vocab_size": len(set(WORDS)), "max_position_embeddings": 130, "pad_token_id": 0}
    if kind == "distilbert":
        return transformers.DistilBertConfig(**vocabulary, dim=32, n_layers=2, n_heads=4, hidden_dim=64)
    if kind == "modernbert":
        ends = {"bos_token_id": 2, "cls_token_id": 2, "eos_token_id": 3, "sep_token_id": 3}
        windows = {"global_attn_every_n_layers": 2, "local_attention": 16}
        modern: Any = transformers.ModernBertConfig
        return modern(**vocabulary, **SMALL, **ends, **windows)
    made: Any = {
        "bert": transformers.BertConfig,
        "roberta": transformers.RobertaConfig,
        "xlm-roberta": transformers.XLMRobertaConfig,
        "mpnet": transformers.MPNetConfig,
    }[kind]
    return made(**vocabulary, **SMALL, bos_token_id=2, eos_token_id=3)


def tokenizer(file: Path) -> Any:
    """One for all of them: word pieces between [CLS] and [SEP]."""
    import transformers

    of: Any = transformers.PreTrainedTokenizerFast
    names = {"pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]"}
    return of(tokenizer_file=str(file), **names, mask_token="[MASK]")


def save(
    kind: str,
    folder: Path,
    *,
    pooling: str = "mean",
    dense: bool = False,
    prompts: dict[str, str] | None = None,
    **more: Any,
) -> None:
    """Write a model. `more` are settings of its pooling."""
    import torch
    import transformers
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer import modules

    torch.manual_seed(1)
    bare = folder.parent / f".{folder.name}"
    settings = config(kind)
    settings.initializer_range = 0.2
    auto: Any = transformers.AutoModel
    auto.from_config(settings).save_pretrained(bare)
    tiny.tokenizer(bare / "made.json")
    tokenizer(bare / "made.json").save_pretrained(bare)
    body = modules.Transformer(str(bare), max_seq_length=64)
    parts: list[Any] = [body, modules.Pooling(32, pooling_mode=pooling, **more)]
    if dense:
        parts.append(modules.Dense(32, 16))
    SentenceTransformer(modules=[*parts, modules.Normalize()], prompts=prompts or {}, device="cpu").save(str(folder))


SPECIALS: dict[str, dict[str, Any]] = {
    "bert": {"prompts": {"query": "query: ", "document": "passage: "}},
    "bert-cls": {"pooling": "cls"},
    "bert-max": {"pooling": "max", "dense": True},
    "bert-last": {"pooling": "lasttoken"},
    "bert-apart": {"prompts": {"query": "query: ", "document": "passage: "}, "include_prompt": False},
}

if __name__ == "__main__":
    warnings.simplefilter("ignore")
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    for name in sys.argv[2:]:
        kind = name if name not in SPECIALS else name.partition("-")[0]
        save(kind, Path(sys.argv[1]) / name, **SPECIALS.get(name, {}))
