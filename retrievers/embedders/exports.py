"""Models that were made ready to serve, in a cache folder: exported and measured once, by a process of their own.

    ~/.cache/ragweave/embedders/          or $XDG_CACHE_HOME/ragweave, or $RAGWEAVE_CACHE
      digests.json                        what is in the files of a model, by their stamps: they are read once
      1f3a…-openvino-2026.4/              one model, as exported for one version of OpenVINO
        export.json                       versions, sizes of the files, what was measured on which CPU
        encoder.xml encoder.bin           the graph: ids and mask to vectors of length 1
        int8.xml int8.bin                 the same in 8 bits, where that was asked for
        tokenizer.json reference.npz      the texts that it is measured on, by the original

A folder appears whole, by one rename. What is damaged is made again. The serving process never imports torch.
"""

from __future__ import annotations

import atexit
import contextlib
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, NamedTuple

from ragweave.orchestrator.errors import MissingExtra, ResourceError
from ragweave.orchestrator.localdata import cache_folder
from ragweave.orchestrator.stamps import stamp
from ragweave.retrievers.embedders.encoder import Encoder
from ragweave.retrievers.embedders.modelfolder import files_of

Say = Callable[[str], None]

FORMAT = 1
MAKERS = ("torch", "transformers", "sentence-transformers")
"""The packages whose versions an export depends on."""
EXACT = 0.99995
"""The least cosine to the original's vectors, of all texts that are measured: half the error that is promised, since
these are not all texts."""
_PROBE = 0.999
_TRIES = 2


@dataclass(frozen=True)
class Prepared:
    """A model that is ready to serve: its folder in the cache, and what is known of it."""

    folder: Path
    facts: Mapping[str, Any]
    choice: Mapping[str, Any]
    """What serves it on this CPU: engine, precision and what was measured."""

    @property
    def by_openvino(self) -> bool:
        """False if the model could not be exported, and is run by sentence-transformers itself."""
        return bool(self.choice["engine"] == "openvino")

    def about(self) -> str:
        """What was chosen, for a person."""
        choice = self.choice
        if not self.by_openvino:
            return f"sentence-transformers itself, in {choice['precision']}: {choice['why']}"
        said = [f"cosine to the original {choice['cosine_mean']:.5f}, at least {choice['cosine_min']:.5f}"]
        if choice.get("times"):
            said.insert(0, f"{choice['times']:.1f} times the texts per CPU-second of {choice['against']}")
        if "top10" in choice:
            said.append(f"{choice['top10']:.0%} of its top 10")
        return f"OpenVINO {choice['precision']}, {', '.join(said)}"


def digest(folder: Path) -> str:
    """What is in the files of a model, in 32 hexadecimal digits. Files that did not change are not read again."""
    memo = cache_folder() / "embedders" / "digests.json"
    files = files_of(folder)
    stamps = [[file.relative_to(folder).as_posix(), *(stamp(file.resolve()) or ())] for file in files]
    entry = _read_json(memo).get(str(folder.resolve()))
    if isinstance(entry, list) and len(entry) == 2 and entry[0] == stamps:
        return str(entry[1])
    made = hashlib.blake2b(digest_size=16)
    for file in files:
        made.update(file.relative_to(folder).as_posix().encode() + b"\0")
        with file.open("rb") as data:
            made.update(hashlib.file_digest(data, "blake2b").digest())
    with contextlib.suppress(OSError):
        memo.parent.mkdir(parents=True, exist_ok=True)
        write_json(memo, {**_read_json(memo), str(folder.resolve()): [stamps, made.hexdigest()]})
    return made.hexdigest()


class Opened(NamedTuple):
    """A model that is ready: what is known of it, and what computes; None where sentence-transformers itself does."""

    prepared: Prepared
    encoder: Encoder | None


def open_model(
    folder: Path,
    precision: str,
    *,
    threads: int,
    max_tokens: int | None = None,
    by_hand: bool = False,
    say: Say = lambda text: None,
) -> Opened:
    """The model of a folder in `precision` (auto, fp32 or int8): from the cache, else made now.

    Texts are cut at `max_tokens`, or where the model says. `by_hand`: a BERT whose graph is built from its weights,
    which needs no torch. Raises ResourceError or MissingExtra.
    """
    root = _root(say)
    key = f"{digest(folder)}{'-by-hand' if by_hand else ''}-openvino-{version_of('openvino') or 'none'}"
    target = root / key
    for _ in range(_TRIES):
        prepared = _found(target, precision)
        if prepared is None:
            with _locked(root / f"{key}.lock", lambda: say(f"another process prepares {folder.name!r}; waiting")):
                prepared = _found(target, precision)  # the other process may have done it
                if prepared is None:
                    _make(folder, target, precision, by_hand=by_hand, say=say)
                    prepared = _found(target, precision)
                    if prepared is not None:
                        say(f"the embedder {folder.name!r} is served by {prepared.about()}")
        if prepared is not None:
            if not prepared.by_openvino:
                return Opened(prepared, None)
            encoder = _encoder(prepared, threads, max_tokens or prepared.facts["max_tokens"])
            if encoder is not None:
                return Opened(prepared, encoder)
        say(f"the export of {folder.name!r} in the cache is damaged: it is made again")
        shutil.rmtree(target, ignore_errors=True)
    raise ResourceError(
        f"the model {folder.name!r} cannot be exported to {str(target)!r}",
        hint="is the disk full? delete that folder and try again",
    )


def _encoder(prepared: Prepared, threads: int, max_tokens: int) -> Encoder | None:
    """What computes; None if it does not give the vector that it gave when it was measured, which finds any damage."""
    import numpy as np
    from tokenizers import Tokenizer

    from ragweave.retrievers.embedders.engines import import_openvino, openvino_engine

    hint = prepared.choice["hint"]
    try:
        tokenizer = Tokenizer.from_file(str(prepared.folder / "tokenizer.json"))
        tokenizer.no_padding()
        tokenizer.enable_truncation(max_tokens)
        graph = import_openvino().Core().read_model(str(prepared.folder / f"{prepared.choice['file']}.xml"))
        encoder = Encoder(
            tokenizer,
            lambda width: openvino_engine(graph, width, hint),
            dimension=prepared.facts["dimension"],
            threads=threads,
            pad=prepared.facts["pad"],
        )
        vector = encoder.compute([prepared.facts["probe"]])[0]
    except Exception:  # OpenVINO and tokenizers raise plain ones for files that they cannot read
        return None
    near = float(np.dot(vector, np.asarray(prepared.choice["probe"], dtype=np.float32)))
    return encoder if near > _PROBE else None


def _found(target: Path, precision: str) -> Prepared | None:
    """The model in the cache, if it is whole and was measured on this CPU."""
    facts = _read_json(target / "export.json")
    if facts.get("format") != FORMAT or any(
        version_of(name) not in (None, made) for name, made in facts.get("versions", {}).items()
    ):
        return None
    choice = facts.get("choices", {}).get(_cpu(), {}).get(precision)
    if choice is None:
        return None
    files = ["tokenizer.json", *(f"{choice['file']}{end}" for end in (".xml", ".bin") if choice.get("file"))]
    for name in files if choice["engine"] == "openvino" else []:
        file = target / name
        if not file.is_file() or file.stat().st_size != facts["sizes"].get(name):
            return None
    return Prepared(target, facts, choice)


def _make(folder: Path, target: Path, precision: str, *, by_hand: bool, say: Say) -> None:
    """Export and measure in a process of its own; the target appears whole, or gets what it lacks."""
    for package in () if by_hand else MAKERS:
        if version_of(package) is None and not (target / "export.json").is_file():
            raise MissingExtra("the embedder 'sentence_transformers'", package, "local")
    say(f"preparing the embedder {folder.name!r} for {precision}, once; it takes some seconds")
    whole = _read_json(target / "export.json").get("format") == FORMAT and _sound(target)
    try:
        for left in target.parent.glob(f"draft-{target.name}-*"):  # of a process that was killed: this one has the lock
            shutil.rmtree(left, ignore_errors=True)
        draft = target if whole else Path(tempfile.mkdtemp(prefix=f"draft-{target.name}-", dir=target.parent))
        job = {"folder": str(folder.resolve()), "out": str(draft), "precision": precision, "by_hand": by_hand}
        try:
            _run(job, folder.name)
            if not whole:
                shutil.rmtree(target, ignore_errors=True)
                draft.rename(target)
        finally:
            if not whole:
                shutil.rmtree(draft, ignore_errors=True)
    except OSError as error:
        raise ResourceError(f"the export of {folder.name!r} cannot be written: {error}") from None


def _sound(target: Path) -> bool:
    facts = _read_json(target / "export.json")
    same = all(version_of(name) in (None, made) for name, made in facts.get("versions", {}).items())
    sizes = facts.get("sizes", {})
    return same and all((target / name).is_file() and (target / name).stat().st_size == sizes[name] for name in sizes)


def _run(job: Mapping[str, Any], name: str) -> None:
    command = [sys.executable, "-m", "ragweave.retrievers.embedders.exporting"]
    paths = os.pathsep.join(path for path in sys.path if path)
    environ = {**os.environ, "PYTHONPATH": paths, "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}
    done = subprocess.run(command, input=json.dumps(job), capture_output=True, text=True, env=environ, check=False)
    if done.returncode == 0:
        return
    lines = [line for line in done.stderr.splitlines() if line.strip()]
    said = lines[-1] if lines else f"it ended with {done.returncode}"
    raise ResourceError(f"the model {name!r} cannot be loaded: {said}", hint="are its files whole, and of one model?")


_temporary: list[Path] = []


def _root(say: Say) -> Path:
    root = cache_folder() / "embedders"
    try:
        root.mkdir(parents=True, exist_ok=True, mode=0o700)
        with tempfile.TemporaryFile(dir=root):
            return root
    except OSError as error:
        if not _temporary:
            say(f"{str(root)!r} cannot be written ({error.strerror}): models are exported for this process only")
            _temporary.append(Path(tempfile.mkdtemp(prefix="ragweave-")))
            atexit.register(shutil.rmtree, _temporary[0], ignore_errors=True)
        return _temporary[0]


@contextlib.contextmanager
def _locked(path: Path, waits: Callable[[], None]) -> Iterator[None]:
    """One process at a time; the system lets go of the lock when its process ends, however it ends."""
    with path.open("a+b") as file:
        told = False
        while not take_lock(file):
            if not told:
                waits()
                told = True
            time.sleep(0.1)
        yield


def take_lock(file: Any) -> bool:
    """Lock an open file for this process; false if another one has it."""
    try:
        import fcntl
    except ImportError:
        import msvcrt

        try:
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]
        except OSError:
            return False
        return True
    try:
        fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _cpu() -> str:
    from ragweave.retrievers.embedders.engines import cpu

    try:
        return cpu()
    except ImportError:
        return "no OpenVINO"


def version_of(package: str) -> str | None:
    """The version of an installed package, without importing it; None if it is not there."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _read_json(file: Path) -> dict[str, Any]:
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def write_json(file: Path, value: Any) -> None:
    """Write a file that is there whole or not at all. Raises OSError."""
    draft = file.with_name(f"{file.name}.{os.getpid()}.draft")
    draft.write_text(json.dumps(value, indent=1), encoding="utf-8")
    draft.replace(file)
