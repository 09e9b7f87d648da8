"""`type: files`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from pydantic import Field, PositiveInt, PrivateAttr

from ragweave.orchestrator.contracts import ToolSpec
from ragweave.orchestrator.errors import ResourceError
from ragweave.orchestrator.resources import Resources
from ragweave.tools.files import Files
from ragweave.tools.function import MethodTool


class FileTools(MethodTool, type="files"):
    """The text files of one folder: listed, read, searched, and written where that is allowed."""

    calls = {"list": "read", "read": "read", "search": "read", "write": "write"}
    private: ClassVar[bool] = True
    """It shows what not everybody may see: the checker warns where that meets a way out."""

    root: Path = Field(description="The folder, relative to the graph file; nothing outside of it is reached.")
    writable: bool = Field(False, description="Files may be written, too.")
    max_bytes: PositiveInt = Field(1_000_000, description="Bytes of a file that is read, searched or written.")
    max_lines: PositiveInt = Field(400, description="Lines that one reading gives.")

    _files: Files | None = PrivateAttr(None)

    def check_files(self, folder: Path) -> None:
        """Raise ResourceError if the root is no folder."""
        if not (folder / self.root).is_dir():
            raise ResourceError(f"there is no folder {str(self.root)!r}")

    def open(self, resources: Resources) -> None:
        """Find the root. Raises ResourceError."""
        self.check_files(resources.folder)
        self._files = Files(
            root=resources.folder / self.root,
            write=self.writable,
            max_bytes=self.max_bytes,
            max_lines=self.max_lines,
            timeout=self.timeout,
        )

    def specs(self) -> Sequence[ToolSpec]:
        """What may be done: writing only where it is allowed."""
        return tuple(spec for spec in super().specs() if self.writable or spec.name != "write")

    def list(self, folder: str = ".", pattern: str = "*") -> str:
        """The files and folders below a folder.

        Args:
            folder: Where to begin; . is the root.
            pattern: What paths must fit, such as *.md.
        """
        found = self._of.entries(folder, pattern)
        lines = [f"{one.path}/" if one.folder else f"{one.path} ({one.bytes:,} bytes)" for one in found.entries]
        return "\n".join([*lines, *(["(there are more)"] if found.truncated else [])]) or "nothing is there"

    def read(self, path: str, first: int = 1, lines: int | None = None) -> str:
        """Lines of a text file.

        Args:
            path: The file, as it is listed.
            first: The line to begin with, from 1.
            lines: How many to read.
        """
        part = self._of.read(path, first, lines)
        more = f"\n({part.lines:,} lines in all)" if part.truncated else ""
        return part.text + more if part.text else "the file is empty"

    def search(self, words: str, folder: str = ".", pattern: str = "*") -> str:
        """The lines that hold these words as they are written, with file and number.

        Args:
            words: What to look for; upper and lower case are the same.
            folder: Where to begin; . is the root.
            pattern: What paths must fit, such as *.md.
        """
        found = self._of.search(words, folder, pattern)
        lines = [f"{one.path}:{one.line}: {one.text}" for one in found.matches]
        return "\n".join([*lines, *(["(there are more)"] if found.truncated else [])]) or "nothing was found"

    def write(self, path: str, text: str, overwrite: bool = False) -> str:
        """Write a text file as a whole.

        Args:
            path: The file; folders above it are made.
            text: What it is to hold.
            overwrite: Whether one that is there may be replaced.
        """
        made = self._of.save(path, text, overwrite=overwrite)
        return f"{made.path} has {made.bytes:,} bytes now"

    @property
    def _of(self) -> Files:
        if self._files is None:
            self.open(Resources())
        assert self._files is not None
        return self._files
