"""The reranker `cross_encoder` with a tiny model of random weights, made on the spot."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from ragweave.orchestrator.errors import ResourceError
from ragweave.orchestrator.naming import ResourceSpec
from ragweave.orchestrator.resources import Resources
from ragweave.orchestrator.values import Document
from ragweave.retrievers.ranking.cross_encoder import CrossEncoder

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "how", "long", "rest", "the", "dough", "an", "hour", "bread"]
TEXTS = ["rest the dough an hour", "bread", "the bread " * 60, "an hour", "\ud800 odd"]


def save(folder: Path, labels: int) -> Path:
    """A BERT of 16 numbers that classifies into so many labels."""
    transformers: Any = pytest.importorskip("transformers")
    torch: Any = pytest.importorskip("torch")
    folder.mkdir()
    (folder / "vocab.txt").write_text("\n".join(WORDS), encoding="utf-8")
    transformers.BertTokenizerFast(vocab=str(folder / "vocab.txt")).save_pretrained(folder)
    torch.manual_seed(3)
    config = transformers.BertConfig(
        vocab_size=len(WORDS), hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32,
        max_position_embeddings=48, num_labels=labels, initializer_range=1.0,
    )  # fmt: skip
    transformers.BertForSequenceClassification(config).save_pretrained(folder)
    return folder


def opened(folder: Path, **settings: object) -> CrossEncoder:
    spec = ResourceSpec("rerankers", "judge", "cross_encoder", {"model": folder.name, **settings})
    reranker: CrossEncoder = Resources([spec], folder=folder.parent).get("rerankers", "judge")
    return reranker


def documents(texts: list[str]) -> list[Document]:
    return [Document(id=str(place), text=text) for place, text in enumerate(texts)]


@pytest.mark.parametrize("labels", [1, 2])
async def test_scores_are_those_of_the_model_alone_and_together(tmp_path: Path, labels: int) -> None:
    import torch
    import transformers

    folder = save(tmp_path / "model", labels)
    reranker = opened(folder, max_batch=3)
    alone = [(await reranker.score("how long", documents([text])))[0] for text in TEXTS]
    runs = [reranker.score("how long", documents(TEXTS)) for _ in range(4)]
    for found in await asyncio.gather(*runs):
        assert found == pytest.approx(alone, abs=1e-5)
    model: Any = transformers.BertForSequenceClassification.from_pretrained(folder)
    model.eval()
    tokenizer: Any = transformers.AutoTokenizer.from_pretrained(folder)
    with torch.inference_mode():
        logits = model(**tokenizer("how long", TEXTS[0], return_tensors="pt")).logits[0]
    expected = logits.sigmoid()[0] if labels == 1 else logits.softmax(0)[1]
    assert alone[0] == pytest.approx(float(expected), abs=1e-5)
    assert len(set(alone)) > 2
    assert await reranker.score("how long", []) == []
    titled = [Document(id="t", text=TEXTS[0], title="bread")]
    assert await reranker.score("how long", titled) != pytest.approx([alone[0]], abs=1e-5)
    await reranker.close()


async def test_a_model_of_three_classes_gives_no_score(tmp_path: Path) -> None:
    folder = save(tmp_path / "model", 3)
    with pytest.raises(ResourceError, match="tells 3 classes apart"):
        opened(folder)


def test_a_folder_without_a_model_is_named_before_anything_is_loaded(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    with pytest.raises(ResourceError, match=r"holds no config\.json"):
        CrossEncoder(model="model").check_files(tmp_path)
