"""The file that a batch writes: one line a row, each written at once and whole, so that a killed batch goes on."""

from __future__ import annotations

import fcntl
import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ragweave.cli.answers import json_text

_ROW = re.compile(rb'\{"row": (\d+)([,}])')
_ERROR = re.compile(rb'\{"row": \d+, "error": ')


class RowFile:
    """Lines of JSON that start with the number of their row. One process writes at a time.

    Beside `out.jsonl`, `.out.jsonl.batch` says what it is the output of: a batch of another graph or another input
    does not go on in it.
    """

    def __init__(self, path: Path, batch: Mapping[str, Any], *, overwrite: bool = False) -> None:
        """Open the file and find out what is done. Raises RagweaveError if it belongs to something else."""
        from ragweave.orchestrator.errors import RagweaveError

        self.path = path
        self.failed = 0
        """Rows in the file that have an error."""
        self._done = bytearray()
        self._count = 0
        self._about = path.with_name(f".{path.name}.batch")
        if not path.parent.is_dir():
            raise RagweaveError(f"there is no folder {str(path.parent)!r} to write {path.name!r} into")
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
        try:
            self._lock()
            if overwrite:
                os.ftruncate(self._file, 0)
            elif os.fstat(self._file).st_size:
                self._compare(batch)
                self._read()
            self._about.write_text(json.dumps(batch, indent=1) + "\n", encoding="utf-8")
        except BaseException:
            os.close(self._file)
            raise

    def __len__(self) -> int:
        """How many rows the file has."""
        return self._count

    def __contains__(self, row: int) -> bool:
        return row < len(self._done) and bool(self._done[row])

    def write(self, row: int, line: Mapping[str, Any]) -> None:
        """Add what came of a row, in one write that a kill cannot split from its line's end unnoticed.

        Raises ValueError that names it, and writes nothing, if the line holds what JSON has no form for.
        """
        text = json_text({"row": row, **line}) + "\n"
        data = memoryview(text.encode("utf-8", "backslashreplace"))
        while data:
            data = data[os.write(self._file, data) :]
        self._note(row)
        self.failed += "error" in line

    def close(self) -> None:
        """Give the file free."""
        os.close(self._file)

    def _lock(self) -> None:
        from ragweave.orchestrator.errors import RagweaveError

        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise RagweaveError(f"another batch is writing {str(self.path)!r}") from None

    def _compare(self, batch: Mapping[str, Any]) -> None:
        from ragweave.orchestrator.errors import RagweaveError

        hint = "--overwrite starts anew, or name another output"
        try:
            before = json.loads(self._about.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            raise RagweaveError(f"{str(self.path)!r} exists and is no output of a batch", hint=hint) from None
        changed = [name for name, value in batch.items() if before.get(name) != value]
        if changed:
            raise RagweaveError(
                f"{str(self.path)!r} is the output of another batch: {' and '.join(changed)} changed since", hint=hint
            )

    def _read(self) -> None:
        """Note which rows are done; drop a last line that was not written to its end."""
        from ragweave.orchestrator.errors import RagweaveError

        whole = 0
        with self.path.open("rb") as file:
            for line in file:
                if not line.endswith(b"\n"):
                    os.ftruncate(self._file, whole)
                    break
                whole += len(line)
                match = _ROW.match(line)
                if match is None:
                    raise RagweaveError(
                        f"{str(self.path)!r} has a line that no batch wrote: {line[:60].decode('utf-8', 'replace')!r}",
                        hint="--overwrite starts anew, or name another output",
                    )
                self._note(int(match[1]))
                self.failed += _ERROR.match(line) is not None

    def _note(self, row: int) -> None:
        if row >= len(self._done):
            self._done.extend(bytes(max(row + 1 - len(self._done), len(self._done))))
        self._count += not self._done[row]
        self._done[row] = 1
