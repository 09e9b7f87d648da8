"""The process that exports a model and measures what serves it best, started by `exports` with `python -m`.

The job comes as JSON on stdin; what is made lies in its folder `out` when the process ends with 0. Torch and
sentence-transformers are imported here, and nowhere where vectors are served.
"""

from __future__ import annotations

import contextlib
import json
import statistics
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from ragweave.retrievers.embedders.calibration import TEXTS
from ragweave.retrievers.embedders.encoder import Encoder, padded
from ragweave.retrievers.embedders.engines import Floats, cpu, import_openvino, openvino_engine, precisions
from ragweave.retrievers.embedders.exports import EXACT, FORMAT, MAKERS, write_json

ROUNDS = 2
_LONGEST = 512
_OFFSET = {"camembert", "longformer", "mpnet", "roberta", "xlm-roberta", "xlm-roberta-xl", "xmod"}
"""Models that count positions from behind the padding token."""
PROBE = TEXTS[0]
Compute = Callable[[Sequence[str]], Floats]


def main() -> None:
    """Do the job."""
    warnings.simplefilter("ignore")  # tracing warns of every branch; what it leads to is measured
    job = json.load(sys.stdin)
    out = Path(job["out"])
    facts_file = out / "export.json"
    with contextlib.redirect_stdout(sys.stderr):
        original: Any = None
        if facts_file.is_file():
            facts = json.loads(facts_file.read_text(encoding="utf-8"))
        elif job["by_hand"]:
            facts = by_hand(Path(job["folder"]), out)
        else:
            original = load(Path(job["folder"]))
            facts = export(original, out)
        choices = facts["choices"].setdefault(_here(), {})
        if "auto" not in choices:
            choices |= chosen(out, facts, original)
        if job["precision"] == "int8" and "int8" not in choices:
            choices["int8"] = eight_bits(out, facts) if facts["exported"] else choices["fp32"]
        names = [path.name for path in out.iterdir() if path.suffix in (".xml", ".bin", ".npz") or "token" in path.name]
        facts["sizes"] = {name: (out / name).stat().st_size for name in sorted(names)}
        write_json(facts_file, facts)


def load(folder: Path) -> Any:
    """The model by sentence-transformers, on the CPU in float32. No code of the model's own is run."""
    import torch
    from sentence_transformers import SentenceTransformer

    torch.set_grad_enabled(False)
    torch.set_num_threads(1)  # as the candidates have; what matters is CPU time
    model = SentenceTransformer(
        str(folder), device="cpu", local_files_only=True, trust_remote_code=False, model_kwargs={"dtype": torch.float32}
    )
    return model.eval()


def export(model: Any, out: Path) -> dict[str, Any]:
    """Write tokenizer, graph and the reference vectors of the calibration texts; what is known of the model."""
    facts = _facts(model)
    reference = by_original(model)(TEXTS)
    np.savez(out / "reference.npz", vectors=reference)
    facts["dimension"] = int(reference.shape[1])
    try:
        model.tokenizer.backend_tokenizer.save(str(out / "tokenizer.json"))
        for attention in ("", "eager"):  # masks of the usual one leave rows without a number in some models
            if attention:
                model[0].auto_model.set_attn_implementation(attention)
            graph = traced(model)
            cosines = (_encoder(out, facts, graph, "f32").compute(TEXTS) * reference).sum(1)
            if cosines.min() >= EXACT:
                break
        import_openvino().save_model(graph, str(out / "encoder.xml"), compress_to_fp16=False)
        facts["exported"] = True
    except Exception as error:  # of torch, transformers, OpenVINO or the model: it is run as it is then
        facts["why"] = f"it cannot be exported ({type(error).__name__}: {' '.join(str(error).split())[:200]})"
    return facts


def traced(model: Any) -> Any:
    """The whole model, pooling and what follows included, as an OpenVINO graph from ids and mask to unit vectors."""
    import torch

    class Whole(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, ids: Any, mask: Any) -> Any:
            features = {"input_ids": ids.to(torch.int64), "attention_mask": mask.to(torch.int64)}
            return torch.nn.functional.normalize(self.model(features)["sentence_embedding"], dim=-1)

    ids = torch.randint(0, 2, (2, 9), dtype=torch.int32) + 3
    mask = torch.ones((2, 9))
    mask[1, 6:] = 0
    return import_openvino().convert_model(Whole().eval(), example_input={"ids": ids, "mask": mask})


def by_hand(folder: Path, out: Path) -> dict[str, Any]:
    """The same for a BERT whose graph is built from its weights; the original is that graph in float32."""
    from ragweave.retrievers.embedders.bert import graph
    from ragweave.retrievers.embedders.minilm import MAX_TOKENS, read_model

    tokenizer, weights, shape = read_model(folder)
    tokenizer.save(str(out / "tokenizer.json"))
    made = graph(weights, shape)
    import_openvino().save_model(made, str(out / "encoder.xml"), compress_to_fp16=False)
    encoder = Encoder(tokenizer, lambda width: openvino_engine(made, width, "f32"), dimension=shape.width, threads=1)
    np.savez(out / "reference.npz", vectors=encoder.compute(TEXTS))
    facts = {"max_tokens": MAX_TOKENS, "pad": 0, "dimension": shape.width, "versions": {}, "exported": True}
    return _started(facts)


def by_original(model: Any) -> Compute:
    """What computes by sentence-transformers."""
    return lambda texts: np.asarray(
        model.encode(list(texts), prompt="", normalize_embeddings=True, convert_to_numpy=True), dtype=np.float32
    )


def chosen(out: Path, facts: dict[str, Any], original: Any) -> dict[str, Any]:
    """What serves the model on this CPU: for `auto` the fastest that keeps the cosine, for `fp32` the fastest fp32.

    The original comes into question only where no exported graph does: it needs torch in the serving process.
    """
    found: list[dict[str, Any]] = []
    computes: list[Compute] = []
    if facts["exported"]:
        graph = import_openvino().Core().read_model(str(out / "encoder.xml"))
        for precision in precisions():
            computes.append(_encoder(out, facts, graph, precision).compute)
            found.append({"engine": "openvino", "precision": _shown(precision), "hint": precision, "file": "encoder"})
    for precision, compute in originals(original) if original is not None else ():
        computes.append(compute)
        found.append({"engine": "sentence-transformers", "precision": precision})
    if not found:
        alone = {"engine": "sentence-transformers", "precision": "fp32", "why": facts["why"]}
        return {"auto": alone, "fp32": alone}
    measure(found, computes, _reference(out))
    exact = [one for one in found if one["cosine_min"] >= EXACT]
    served = [one for one in exact if one["engine"] == "openvino"]
    if not served:
        best = max((one["cosine_min"] for one in found if one["engine"] == "openvino"), default=0)
        why = facts.get("why") or f"the exported graph keeps a cosine of {best:.5f} only"
        served = [{**one, "why": why} for one in exact or found if one["engine"] != "openvino"]
    fast = min(served, key=lambda one: one["seconds"])
    plain = [one for one in served if one["precision"] == "fp32"] or [fast]
    return {"auto": {**fast, "tried": [{**one, "probe": ()} for one in found]}, "fp32": plain[0]}


def originals(model: Any) -> Iterator[tuple[str, Compute]]:
    """The model as it is, and in bfloat16 where the CPU computes in it."""
    import copy

    import torch

    yield "fp32", by_original(model)
    if "bf16" in precisions():
        yield "bf16", by_original(copy.deepcopy(model).to(torch.bfloat16))


def eight_bits(out: Path, facts: dict[str, Any]) -> dict[str, Any]:
    """The graph in 8 bits, and how far it agrees with the original."""
    from ragweave.retrievers.embedders.quantising import quantised

    reference = _reference(out)
    core = import_openvino().Core()
    tried: list[tuple[float, Any]] = []
    fast = precisions()[-1]
    tokens = _encoder(out, facts, core.read_model(str(out / "encoder.xml")), "f32").tokens(TEXTS[::2])
    parts = [padded([ids], len(ids)) for ids in tokens]  # one by one: what fills up a batch is not to be fitted
    for smoothing in (0.0, 0.8):
        graph = quantised(core.read_model(str(out / "encoder.xml")), parts, smoothing)
        vectors = _encoder(out, facts, graph, fast).compute(TEXTS)
        tried.append((float((vectors * reference).sum(1).mean()), graph))
    graph = max(tried, key=lambda one: one[0])[1]
    import_openvino().save_model(graph, str(out / "int8.xml"), compress_to_fp16=False)
    choice: dict[str, Any] = {"engine": "openvino", "precision": "int8", "hint": fast, "file": "int8"}
    compute = _encoder(out, facts, graph, fast).compute
    plain = _encoder(out, facts, core.read_model(str(out / "encoder.xml")), "f32").compute
    both = [choice, {"engine": "openvino", "precision": "fp32"}]
    measure(both, [compute, plain], reference)
    vectors = compute(TEXTS)
    choice["top10"] = kept(reference, vectors)
    choice |= {"times": both[1]["seconds"] / both[0]["seconds"], "against": "OpenVINO in fp32"}
    return choice


def kept(reference: Floats, vectors: Floats, top: int = 10) -> float:
    """The share of each text's `top` nearest others that stay its nearest."""

    def nearest(rows: Floats) -> list[set[int]]:
        near = rows @ rows.T
        np.fill_diagonal(near, -2)
        return [set(row[:top]) for row in np.argsort(-near, axis=1).tolist()]

    pairs = zip(nearest(reference), nearest(vectors), strict=True)
    return statistics.mean(len(one & other) / top for one, other in pairs)


def measure(found: Sequence[dict[str, Any]], computes: Sequence[Compute], reference: Floats) -> None:
    """Add to each candidate its CPU seconds for the calibration texts, the rounds in turn, and its cosines."""
    took: list[list[float]] = [[] for _ in found]
    for number in range(ROUNDS + 1):
        for place, compute in enumerate(computes):
            begin = time.process_time()
            vectors = compute(TEXTS)
            took[place].append(time.process_time() - begin)
            if number == 0:
                cosines = (vectors * reference).sum(1)
                found[place] |= {"cosine_min": float(cosines.min()), "cosine_mean": float(cosines.mean())}
                found[place]["probe"] = [round(float(one), 7) for one in compute([PROBE])[0]]
    for one, seconds in zip(found, took, strict=True):
        one["seconds"] = statistics.median(seconds[1:])
    plain = [one for one in found if one["engine"] == "sentence-transformers" and one["precision"] == "fp32"]
    for one in found if plain else ():
        one["times"] = plain[0]["seconds"] / one["seconds"]
        one["against"] = "sentence-transformers"


def _encoder(out: Path, facts: dict[str, Any], graph: Any, precision: str) -> Encoder:
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(out / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.enable_truncation(facts["max_tokens"])
    return Encoder(
        tokenizer,
        lambda width: openvino_engine(graph, width, precision),
        dimension=facts["dimension"],
        threads=1,
        pad=facts["pad"],
    )


def _facts(model: Any) -> dict[str, Any]:
    pad = model.tokenizer.pad_token_id or 0
    config = getattr(model[0], "config", None) or model[0].auto_model.config
    positions = getattr(config, "max_position_embeddings", None) or _LONGEST
    if config.model_type in _OFFSET:
        positions -= pad + 1
    said = model.max_seq_length
    longest = min(said if isinstance(said, int) and said > 0 else positions, positions)
    versions = {name: version(name) for name in MAKERS}
    return _started({"max_tokens": longest, "pad": pad, "versions": versions, "exported": False})


def _started(facts: dict[str, Any]) -> dict[str, Any]:
    return {"format": FORMAT, "choices": {}, "probe": PROBE, **facts}


def _reference(out: Path) -> Floats:
    with np.load(out / "reference.npz", allow_pickle=False) as kept_vectors:
        vectors: Floats = kept_vectors["vectors"]
    return vectors


def _here() -> str:
    try:
        return cpu()
    except ImportError:
        return "no OpenVINO"


def _shown(precision: str) -> str:
    return "fp32" if precision == "f32" else precision


if __name__ == "__main__":
    main()
