"""Files as texts: one loader for each format, found by the suffix of the file's name.

A loader is a function of a file's name and bytes that returns a `SourceText`, or raises `Unreadable` with the reason.
It is registered under the suffix without its dot, by the same door as everything else: a row of the built-in table, an
entry point `loaders.SUFFIX` of the group `ragweave`, or a plugin that uses the decorator:

    @loader("log", version="1")
    def load(source: str, data: bytes) -> SourceText: ...
"""

from __future__ import annotations

from collections.abc import Callable

from ragweave.orchestrator import registry
from ragweave.orchestrator.errors import MissingExtra, did_you_mean
from ragweave.retrievers.sourcetext import Skipped, SourceText, Unreadable

Load = Callable[[str, bytes], SourceText]
Version = str | Callable[[], str]

MAX_CHARACTERS = 50_000_000
_REASON = 200

_versions: dict[Load, Version] = {}


def loader(*suffixes: str, version: Version = "") -> Callable[[Load], Load]:
    """Register a function as the loader of files with these suffixes (`log`, without a dot).

    Another `version`, a text or a function that returns one, has the files read again at the next indexing although
    they did not change.
    """

    def register(load: Load) -> Load:
        _versions[load] = version
        for suffix in suffixes:
            registry.add("loaders", suffix.lower().removeprefix("."), load)
        return load

    return register


def suffixes() -> frozenset[str]:
    """Every suffix that is read, lower case and without its dot."""
    return frozenset(registry.names("loaders"))


def suffix_of(source: str) -> str:
    """The suffix of a file's name, lower case and without its dot."""
    name, dot, suffix = source.rpartition("/")[2].rpartition(".")
    return suffix.lower() if name and dot else ""


def version_of(source: str) -> str:
    """What the loader of this file adds to the identity of its content; empty if that is the bytes alone."""
    load = registry.find("loaders", suffix_of(source))
    version = _versions.get(load, "") if load is not None else ""
    return version() if callable(version) else version


def load(source: str, data: bytes) -> SourceText:
    """The text of a file. Raises Unreadable, MissingExtra, or whatever a library raises on a file that is damaged."""
    suffix = suffix_of(source)
    found = registry.find("loaders", suffix)
    if found is None:
        raise Unreadable(f"no loader for .{suffix}{did_you_mean(suffix, suffixes())}")
    if not data:
        raise Unreadable("empty")
    text: SourceText = found(source, data)
    if len(text.text) > MAX_CHARACTERS:
        raise Unreadable(f"more than {MAX_CHARACTERS:,} characters of text")
    if not text.text.strip():
        raise Unreadable("no text in it")
    return text


def parse(source: str, data: bytes) -> SourceText | Skipped:
    """The text of a file, or why it cannot be read. Whatever a library raises is a reason."""
    try:
        return load(source, data)
    except (Unreadable, MissingExtra) as error:
        return Skipped(source, str(error))
    except Exception as error:  # a damaged file makes a library raise anything
        said = " ".join(str(error).split())[:_REASON]
        return Skipped(source, f"damaged, or not what its suffix says: {said or type(error).__name__}")


def cannot_import(feature: str, error: ImportError, extra: str = "documents") -> MissingExtra:
    """The error for a library that a loader needs and that is not installed."""
    return MissingExtra(feature, (error.name or "").partition(".")[0] or "?", extra)
