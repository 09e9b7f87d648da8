"""The vectors of indexed texts, kept on this machine: what was embedded once is not embedded again.

A SQLite file `vectors.sqlite` in the cache folder, for all graphs and indexes of a user. It holds a digest of the
embedder's identity and the text, and the vector: no text. Questions, and what nodes embed while they run, are not kept.
It is a cache: where it cannot be read or written, vectors are computed as if there were none.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ragweave.orchestrator.localdata import cache_folder, make_file

if TYPE_CHECKING:
    import numpy as np

    from ragweave.orchestrator.contracts import Embedder

VARIABLE = "RAGWEAVE_VECTOR_CACHE_MB"
MEGABYTES = 1024
"""How large the file becomes; then the least used go. 1,536 bytes a text at 384 numbers: 600,000 texts."""
DAYS = 90
"""Vectors that nobody asked for in so many days go."""
_DAY = 86_400
_FEW = 500
_SLICE = 128
_WAIT = 5.0
_ROOM = 0.8
_UNIT = 1e-2


def embed(embedder: Embedder, texts: Sequence[str]) -> np.ndarray:
    """`embedder.embed(texts)`, with those computed that are not kept. None are kept where the embedder says
    `cache: false`, or the environment variable RAGWEAVE_VECTOR_CACHE_MB is 0."""
    if not embedder.cache or not _limit() or not texts:
        return embedder.embed(texts)
    import numpy as np

    keys = [_key(embedder.identity, text) for text in texts]
    found = _look_up(keys, embedder.dimension)
    missing = {key: text for key, text in zip(keys, texts, strict=True) if key not in found}
    if missing:
        made = embedder.embed(list(missing.values()))
        rows = dict(zip(missing, made, strict=True))
        _keep(rows)
        found |= rows
    return np.stack([found[key] for key in keys])


def embed_all(embedder: Embedder, texts: Sequence[str], tell: Callable[[int, int], None]) -> np.ndarray:
    """`embed` of any number of texts. `tell` hears again and again how many of all are done."""
    import numpy as np

    made = np.zeros((len(texts), embedder.dimension), dtype=np.float32)
    # Neighbours of about one length share a batch; a slice is what passes between two reports of progress.
    order = sorted(range(len(texts)), key=lambda place: len(texts[place]))
    for start in range(0, len(order), _SLICE):
        places = order[start : start + _SLICE]
        made[places] = embed(embedder, [texts[place] for place in places])
        tell(min(start + _SLICE, len(order)), len(order))
    return made


def forget(embedder: Embedder, texts: Sequence[str]) -> int:
    """Delete the vectors of these texts, and overwrite where they were; how many there were."""
    keys = {_key(embedder.identity, text) for text in texts}
    gone = 0
    with _opened(must_exist=True) as file:
        if file is not None:
            with file:
                for some in _in_parts(list(keys)):
                    places = ",".join("?" * len(some))
                    gone += file.execute(f"DELETE FROM vectors WHERE key IN ({places})", some).rowcount
            if gone:
                file.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()  # the log had them too
    return gone


def path() -> Path:
    """Where they are kept; the file may be deleted at any time."""
    return cache_folder() / "vectors.sqlite"


def _key(identity: str, text: str) -> bytes:
    made = hashlib.blake2b(digest_size=16)
    made.update(identity.encode() + b"\0" + text.encode("utf-8", "surrogatepass"))
    return made.digest()


def _look_up(keys: Sequence[bytes], dimension: int) -> dict[bytes, np.ndarray]:
    import numpy as np

    found: dict[bytes, np.ndarray] = {}
    today = int(time.time() // _DAY)
    with _opened(must_exist=True) as file:
        for some in _in_parts(keys) if file is not None else ():
            assert file is not None
            places = ",".join("?" * len(some))
            stale = []
            for key, vector, used in file.execute(
                f"SELECT key, vector, used FROM vectors WHERE key IN ({places})", some
            ):
                row = np.frombuffer(vector, dtype=np.float32) if len(vector) == 4 * dimension else None
                if row is not None and abs(float(row @ row) - 1) < _UNIT:  # else a damaged one
                    found[key] = row
                    stale += [key] if used < today else []
            if stale:
                with file:
                    file.executemany("UPDATE vectors SET used = ? WHERE key = ?", [(today, key) for key in stale])
    return found


def _keep(rows: dict[bytes, np.ndarray]) -> None:
    today = int(time.time() // _DAY)
    with _opened() as file:
        if file is None:
            return
        with file:
            file.executemany(
                "INSERT OR REPLACE INTO vectors (key, vector, used) VALUES (?, ?, ?)",
                [(key, row.astype("float32").tobytes(), today) for key, row in rows.items()],
            )
        _bound(file, today)


def _bound(file: sqlite3.Connection, today: int) -> None:
    """Let the old ones go, and of too many the least used."""
    size, page, free = (
        file.execute(f"PRAGMA {what}").fetchone()[0] for what in ("page_count", "page_size", "freelist_count")
    )
    too_many = (size - free) * page > _limit()
    old = file.execute("SELECT 1 FROM vectors WHERE used < ? LIMIT 1", (today - DAYS,)).fetchone()
    if not too_many and old is None:
        return
    with file:
        file.execute("DELETE FROM vectors WHERE used < ?", (today - DAYS,))
        if too_many:
            count = file.execute("SELECT count(*) FROM vectors").fetchone()[0]
            most = int(count * _ROOM * _limit() / ((size - free) * page))
            file.execute(
                "DELETE FROM vectors WHERE rowid IN (SELECT rowid FROM vectors ORDER BY used, rowid LIMIT ?)",
                (max(count - most, 0),),
            )
    file.execute("PRAGMA incremental_vacuum").fetchall()


@contextlib.contextmanager
def _opened(*, must_exist: bool = False) -> Iterator[sqlite3.Connection | None]:
    """The file, open; None where it cannot be used. What fails inside ends the block: a cache is never an error."""
    where = path()
    if must_exist and not where.exists():
        yield None
        return
    file: sqlite3.Connection | None = None
    with contextlib.suppress(OSError, sqlite3.Error):
        make_file(where)
        file = sqlite3.connect(where, timeout=_WAIT)
        try:
            file.execute("PRAGMA auto_vacuum=INCREMENTAL")
            file.execute("PRAGMA journal_mode=WAL")
            file.execute("PRAGMA synchronous=NORMAL")
            file.execute("PRAGMA secure_delete=ON")
            file.execute(
                "CREATE TABLE IF NOT EXISTS vectors (key BLOB PRIMARY KEY, vector BLOB NOT NULL, used INTEGER NOT NULL)"
            )
            file.execute("CREATE INDEX IF NOT EXISTS by_use ON vectors (used)")
        except sqlite3.Error as error:
            file.close()
            file = None
            if not isinstance(error, sqlite3.OperationalError):  # it is not a database any more
                _remove(where)
    try:
        yield file
    except sqlite3.OperationalError:  # locked for long, or the disk is full
        return
    except sqlite3.DatabaseError:
        _remove(where)
    finally:
        if file is not None:
            file.close()


def _remove(where: Path) -> None:
    for end in ("", "-wal", "-shm"):
        with contextlib.suppress(OSError):
            where.with_name(where.name + end).unlink()


def _limit() -> int:
    """Bytes that the file may have."""
    try:
        return int(float(os.environ.get(VARIABLE, MEGABYTES)) * (1 << 20))
    except ValueError:
        return MEGABYTES << 20


def _in_parts(keys: Sequence[bytes]) -> Iterator[Sequence[bytes]]:
    for start in range(0, len(keys), _FEW):
        yield keys[start : start + _FEW]
