"""EPUB: the chapters in the order of the spine."""

from __future__ import annotations

import posixpath
import re
import zipfile
from typing import Any
from urllib.parse import unquote

from ragweave.retrievers.loaders import archives, loader
from ragweave.retrievers.loaders.markup import markdown, parse_html
from ragweave.retrievers.loaders.texts import name_of
from ragweave.retrievers.loaders.web import decode_html
from ragweave.retrievers.sourcetext import Place, SourceText, Unreadable

_NAMES = {"creator": "author", "language": "language", "date": "date", "publisher": "publisher", "subject": "subject",
          "description": "description"}  # fmt: skip


@loader("epub", version="1")
def load_epub(source: str, data: bytes) -> SourceText:
    """A book as Markdown, chapter after chapter."""
    archive = archives.open_archive(data, "EPUB")
    container = archives.parse_xml(archives.read_part(archive, "META-INF/container.xml"))
    root = container.find(".//{*}rootfile") if container is not None else None
    where = root.get("full-path", "") if root is not None else ""
    package = archives.parse_xml(archives.read_part(archive, where)) if where else None
    if package is None:
        raise Unreadable("no EPUB: it does not say what is in it")
    parts: list[str] = []
    places: list[Place] = []
    length = 0
    for number, name in enumerate(_chapters(package, posixpath.dirname(where)), start=1):
        text = _chapter(archive, name)
        if text.strip():
            places.append(Place(length, {"chapter": number}))
            parts.append(text + "\n")
            length += len(parts[-1])
    if not parts:
        protected = b"EncryptedData" in archives.read_part(archive, "META-INF/encryption.xml")
        raise Unreadable("its text is encrypted (DRM)" if protected else "no text in it")
    metadata = _metadata(package)
    title = str(metadata.pop("title", "")) or name_of(source)
    return SourceText(source, "".join(parts), 0, title, metadata, (), None, tuple(places), is_original=False)


def _chapters(package: Any, folder: str) -> list[str]:
    files = {item.get("id"): item.get("href", "") for item in package.iterfind(".//{*}manifest/{*}item")}
    order = [reference.get("idref") for reference in package.iterfind(".//{*}spine/{*}itemref")]
    hrefs = [files[key] for key in order if key in files]
    return [posixpath.normpath(posixpath.join(folder, unquote(href))) for href in hrefs]


def _chapter(archive: zipfile.ZipFile, name: str) -> str:
    data = archives.read_part(archive, name)
    if not data:
        return ""
    try:
        text, _ = decode_html(data)
    except Unreadable:
        return ""  # encrypted
    # An empty element of XML is not one of HTML: <title/> would swallow the rest of the page.
    root = parse_html(re.sub(r"<(title|script|style|a|div|span|p|i|b|em)(\s[^<>]*)?/>", r"<\1\2></\1>", text))
    return markdown(root, whole=True) if root is not None else ""


def _metadata(package: Any) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for element in package.iterfind(".//{*}metadata/*"):
        name = str(element.tag).rpartition("}")[2]
        text = " ".join((element.text or "").split())
        if text and name in ("title", *_NAMES):
            found.setdefault(_NAMES.get(name, name), text[:500])
    return found
