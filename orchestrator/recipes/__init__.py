"""Graphs that come with ragweave: files to read, to copy (`ragweave new my-agent --from agent`) and to use as nodes."""

from __future__ import annotations

from pathlib import Path

FOLDER = Path(__file__).parent
