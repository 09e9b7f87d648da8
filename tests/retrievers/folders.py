"""What the retrieval tests share: small folders of documents, and an embedder that needs no model."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from ragweave.orchestrator.contracts import Embedder

ROOT = Path(__file__).resolve().parents[2]
SHARED = ROOT.parent / "shared" / "data"
"""Data sets beside the repository; tests that need them are skipped where they are absent."""

needs_shared = pytest.mark.skipif(
    not SHARED.is_dir(), reason="needs ../shared/data, which is not part of the repository"
)


class Letters(Embedder, type="letters"):
    """Counts hashed trigrams of letters: a real embedder, good enough to tell small documents apart."""

    name: str = "letters"
    seconds: float = 0.0
    """How long a call takes; lets a test end a process in the middle of indexing."""
    embedded: list[str] = []

    @property
    def identity(self) -> str:
        """Depends on the setting, so that a test can have two."""
        return self.name

    @property
    def dimension(self) -> int:
        """64."""
        return 64

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        """Unit vectors; remembers what it was given."""
        time.sleep(self.seconds)
        self.embedded.extend(texts)
        vectors = np.zeros((len(texts), self.dimension), dtype=np.float32)
        for row, text in enumerate(texts):
            letters = f"  {text.lower()}  "
            for place in range(len(letters) - 2):
                digest = hashlib.blake2b(letters[place : place + 3].encode(), digest_size=2).digest()
                vectors[row, int.from_bytes(digest, "big") % self.dimension] += 1
        return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), dtype=np.float32)


def fresh_python(code: str, *arguments: str, stdin: str = "") -> str:
    """The last line that this code prints in a new process, started where `ragweave` can be imported."""
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        check=False,
        input=stdin,
        capture_output=True,
        text=True,
        timeout=120,
        cwd=ROOT,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip().splitlines()[-1]


def write(folder: Path, files: dict[str, str | bytes]) -> Path:
    """Make a folder of files."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return folder


COOKBOOK: dict[str, str | bytes] = {
    "curry.md": "---\ntitle: Lamb Curry\ntags: [indian, spicy]\nauthor: asha\n---\n\nSimmer lamb for two hours.\n\n"
    "Serve with a cooling sauce such as [onion raita](/onion-raita).\n",
    "onion-raita.md": "---\ntitle: Onion Raita\n---\n\nStir onions and honey into yoghurt.\n",
    "bread/zopf.md": "# Zopf\n\nKnead flour, butter and 20 g of yeast. Braid and bake at 200 degrees.\n",
    "bread/notes.txt": "Yeast wants warmth. Salt slows it down.\n",
}
