"""Web pages."""

from __future__ import annotations

import re
from typing import Any

from ragweave.retrievers.loaders import loader
from ragweave.retrievers.loaders.decoding import decode
from ragweave.retrievers.loaders.markup import markdown, parse_html
from ragweave.retrievers.loaders.texts import name_of
from ragweave.retrievers.sourcetext import SourceText, Unreadable

_CHARSET = re.compile(rb"""<meta[^>]{0,200}charset\s*=\s*["']?\s*([\w-]{1,40})""", re.IGNORECASE)
_XML = re.compile(rb"""<\?xml[^>]{0,100}encoding\s*=\s*["']([\w-]{1,40})""", re.IGNORECASE)
_META = {
    "author": "author", "article:author": "author", "description": "description", "og:description": "description",
    "date": "date", "article:published_time": "date", "article:modified_time": "modified", "keywords": "keywords",
    "dc.date": "date", "dc.creator": "author",
}  # fmt: skip


@loader("html", "htm", "xhtml", version="1")
def load_html(source: str, data: bytes) -> SourceText:
    """A web page as Markdown, without navigation, scripts and what is hidden."""
    text, notes = decode_html(data)
    root = parse_html(text)
    body = markdown(root) if root is not None else ""
    if not body.strip():
        raise Unreadable("no text in it; a page that a script writes has to be saved from a browser")
    title, metadata = head_of(root)
    heading = re.search(r"^# (.+)$", body, re.MULTILINE)
    title = title or (heading[1] if heading else name_of(source))
    return SourceText(source, body, 0, title, metadata, notes, is_original=False)


def decode_html(data: bytes) -> tuple[str, tuple[str, ...]]:
    """The text of a page, in the charset that it names if that is right."""
    named = _CHARSET.search(data[:4096]) or _XML.match(data[:200])
    if named and not data.startswith((b"\xff\xfe", b"\xfe\xff", b"\xef\xbb\xbf")):
        try:
            return data.decode(named[1].decode("ascii")), ()
        except (LookupError, ValueError):
            pass
    return decode(data)


def head_of(root: Any) -> tuple[str, dict[str, Any]]:
    """The title of a page and what its head says of it."""
    metadata: dict[str, Any] = {}
    title = " ".join((root.findtext(".//head/title") or "").split())
    for meta in root.iter("meta"):
        key = (meta.get("name") or meta.get("property") or "").lower()
        content = " ".join((meta.get("content") or "").split())
        if key == "og:title" and content:
            title = content
        if key in _META and content:
            metadata.setdefault(_META[key], content[:500])
    if language := root.get("lang"):
        metadata["language"] = language
    link = root.find(".//head/link[@rel='canonical']")
    if link is not None and link.get("href"):
        metadata["url"] = link.get("href")
    return title, metadata
