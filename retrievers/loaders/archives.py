"""Zipped formats: opened only if what is in them is of a sane size, whatever their directory claims."""

from __future__ import annotations

import io
import zipfile
from typing import TYPE_CHECKING, Any

from ragweave.retrievers.loaders import cannot_import
from ragweave.retrievers.sourcetext import Unreadable

if TYPE_CHECKING:
    from collections.abc import Iterable

MAX_UNPACKED = 512 * 1024 * 1024
MAX_PART = 64 * 1024 * 1024
MAX_PARTS = 20_000
_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_BLOCK = 1 << 20


def open_archive(data: bytes, kind: str, largest_part: int = MAX_PART) -> zipfile.ZipFile:
    """The archive behind a file, every part of which is what its directory says.

    Raises Unreadable for a password, a damaged file, and for one that unpacks to more than 512 MB, or one part of
    markup to more than `largest_part` bytes.
    """
    if data.startswith(_OLE):
        if "EncryptedPackage".encode("utf-16-le") in data:
            raise Unreadable("protected by a password; save it without one")
        raise Unreadable(f"an Office file from before 2007 under another name; save it as {kind}")
    try:
        archive = zipfile.ZipFile(io.BytesIO(data))
    except (zipfile.BadZipFile, ValueError, OverflowError, NotImplementedError) as error:
        raise Unreadable(f"damaged, or no {kind} file: {error}") from None
    parts = archive.infolist()
    if any(part.flag_bits & 1 for part in parts):
        raise Unreadable("protected by a password; save it without one")
    unpacked = sum(part.file_size for part in parts)
    if unpacked > MAX_UNPACKED or len(parts) > MAX_PARTS:
        what = f"{unpacked / 1024**2:,.0f} MB" if unpacked > MAX_UNPACKED else f"{len(parts):,} files"
        raise Unreadable(f"unpacks to {what}, which is more than a document has: a zip bomb")
    _verify(archive, parts, kind, largest_part)
    return archive


def _verify(archive: zipfile.ZipFile, parts: Iterable[zipfile.ZipInfo], kind: str, largest_part: int) -> None:
    """Unpack every part once. `zipfile` stops at the size that is declared and then compares the checksum."""
    for part in parts:
        is_markup = part.filename.lower().endswith((".xml", ".xhtml", ".html", ".htm", ".rels", ".opf"))
        if is_markup and part.file_size > largest_part:
            raise Unreadable(f"its part {part.filename!r} unpacks to {part.file_size / 1024**2:,.0f} MB")
        try:
            with archive.open(part) as file:
                while file.read(_BLOCK):
                    pass
        except (zipfile.BadZipFile, EOFError, OSError, RuntimeError, NotImplementedError, ValueError) as error:
            raise Unreadable(f"damaged {kind} file: {error}") from None
        except Exception as error:  # zlib and lzma have errors of their own
            raise Unreadable(f"damaged {kind} file: {part.filename!r}: {error}") from None


def read_part(archive: zipfile.ZipFile, name: str) -> bytes:
    """The bytes of a part; nothing if there is no such part."""
    try:
        return archive.read(name)
    except KeyError:
        return b""


def parse_xml(data: bytes) -> Any:
    """The root element of XML that is not trusted: no entities, no network, no depth without end; None of no bytes."""
    try:
        from lxml import etree
    except ImportError as error:
        raise cannot_import("reading XML", error) from None
    if not data.strip():
        return None
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, recover=True, huge_tree=False)
    return etree.fromstring(data, parser)


def core_properties(archive: zipfile.ZipFile) -> dict[str, str]:
    """Title, author, dates and subject of an Office file, those that are set."""
    root = parse_xml(read_part(archive, "docProps/core.xml"))
    names = {"title": "title", "creator": "author", "created": "created", "modified": "modified", "subject": "subject",
             "keywords": "keywords"}  # fmt: skip
    found: dict[str, str] = {}
    for element in root if root is not None else ():
        name = names.get(str(element.tag).rpartition("}")[2])
        text = " ".join((element.text or "").split())
        if name and text:
            found[name] = text
    return found
