"""A small random BERT as sentence-transformers saves it, written without torch."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

_WORDS = (
    "[PAD] [UNK] [CLS] [SEP] [MASK] <s> </s> query passage : . , ? ! ( ) how what which who is are was were the a an "
    "of to in on and or not for with by from that this it two three red green blue one river bridge house wind light "
    "bread water ##s ##ing ##ed ##er ##ly ##e ##t ##n ##a ##i ##o ##u b c d e f g h i j k l m n o p q r s t u v w x y "
    "z 0 1 2 3 4 5 6 7 8 9"
)
WORDS = _WORDS.split()
WIDTH, LAYERS, HEADS, POSITIONS = 32, 2, 4, 130


def weights(seed: int = 1) -> dict[str, np.ndarray]:
    """Every tensor of the encoder by its name."""
    draw = np.random.default_rng(seed)

    def matrix(*shape: int) -> np.ndarray:
        return np.asarray(draw.normal(scale=0.2, size=shape), dtype=np.float32)

    words = len(dict.fromkeys(WORDS))
    made = {
        "embeddings.word_embeddings.weight": matrix(words, WIDTH),
        "embeddings.position_embeddings.weight": matrix(POSITIONS, WIDTH),
        "embeddings.token_type_embeddings.weight": matrix(2, WIDTH),
    }
    norms = ["embeddings.LayerNorm"]
    for layer in range(LAYERS):
        at = f"encoder.layer.{layer}."
        parts = {f"attention.self.{name}": (WIDTH, WIDTH) for name in ("query", "key", "value")}
        parts |= {
            "attention.output.dense": (WIDTH, WIDTH),
            "intermediate.dense": (64, WIDTH),
            "output.dense": (WIDTH, 64),
        }
        for name, shape in parts.items():
            made[f"{at}{name}.weight"], made[f"{at}{name}.bias"] = matrix(*shape), matrix(shape[0])
        norms += [f"{at}attention.output.LayerNorm", f"{at}output.LayerNorm"]
    for name in norms:
        made[f"{name}.weight"], made[f"{name}.bias"] = 1 + matrix(WIDTH), matrix(WIDTH)
    return made


def save(folder: Path, *, prompts: dict[str, str] | None = None, seed: int = 1) -> Path:
    """Write the model; the folder."""
    folder.mkdir(parents=True)
    kind = "sentence_transformers.base.modules.transformer.Transformer"
    pooling = "sentence_transformers.sentence_transformer.modules.pooling.Pooling"
    texts = {
        "config.json": {
            "architectures": ["BertModel"], "model_type": "bert", "hidden_act": "gelu", "hidden_size": WIDTH,
            "intermediate_size": 64, "num_hidden_layers": LAYERS, "num_attention_heads": HEADS, "pad_token_id": 0,
            "layer_norm_eps": 1e-12, "max_position_embeddings": POSITIONS, "type_vocab_size": 2,
            "vocab_size": len(dict.fromkeys(WORDS)),
        },
        "modules.json": [
            {"idx": 0, "name": "0", "path": "", "type": kind},
            {"idx": 1, "name": "1", "path": "1_Pooling", "type": pooling},
        ],
        "1_Pooling/config.json": {"embedding_dimension": WIDTH, "pooling_mode": "mean", "include_prompt": True},
        "config_sentence_transformers.json": {
            "model_type": "SentenceTransformer", "prompts": prompts or {}, "similarity_fn_name": "cosine"
        },
        "sentence_bert_config.json": {"max_seq_length": 64, "do_lower_case": False},
        "tokenizer_config.json": {
            "tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": 64, "pad_token": "[PAD]",
            "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]", "mask_token": "[MASK]",
        },
    }  # fmt: skip
    for name, value in texts.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(json.dumps(value))
    tokenizer(folder / "tokenizer.json")
    write_weights(folder / "model.safetensors", weights(seed))
    return folder


def tokenizer(file: Path) -> None:
    """Word pieces between [CLS] and [SEP]."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

    vocabulary = {word: at for at, word in enumerate(dict.fromkeys(WORDS))}
    made = Tokenizer(models.WordPiece(vocab=vocabulary, unk_token="[UNK]"))
    made.normalizer = normalizers.BertNormalizer()
    made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    ends = [(name, vocabulary[name]) for name in ("[CLS]", "[SEP]")]
    made.post_processor = processors.TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=ends)
    made.save(str(file))


def write_weights(file: Path, tensors: dict[str, np.ndarray]) -> None:
    """A safetensors file."""
    header: dict[str, object] = {"__metadata__": {"format": "pt"}}
    at = 0
    for name, tensor in tensors.items():
        header[name] = {"dtype": "F32", "shape": list(tensor.shape), "data_offsets": [at, at + tensor.nbytes]}
        at += tensor.nbytes
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    file.write_bytes(len(text).to_bytes(8, "little") + text + b"".join(tensor.tobytes() for tensor in tensors.values()))
