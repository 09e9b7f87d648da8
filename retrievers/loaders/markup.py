"""HTML as Markdown: headings, lists, tables, code and links; what is around the text of a page is left out."""

from __future__ import annotations

import re
from typing import Any

from ragweave.retrievers.loaders import cannot_import, tables

_DROPPED = {
    "script", "style", "noscript", "template", "svg", "iframe", "object", "canvas", "audio", "video", "select",
    "button", "head", "nav", "aside", "footer", "input", "textarea", "math",
}  # fmt: skip
_DROPPED_ROLES = {"navigation", "banner", "contentinfo", "complementary", "search", "menu", "menubar", "dialog"}
_BLOCKS = {
    "address", "article", "blockquote", "body", "center", "dd", "details", "dialog", "div", "dl", "dt", "fieldset",
    "figcaption", "figure", "footer", "form", "header", "hgroup", "hr", "html", "legend", "main", "p", "section",
    "summary", "td", "th", "tr", "tbody", "thead", "tfoot", "caption",
}  # fmt: skip
_HEADINGS = {f"h{level}": level for level in range(1, 7)}
_HIDDEN = re.compile(r"display\s*:\s*none|visibility\s*:\s*hidden", re.IGNORECASE)
_SPACE = re.compile(r"[ \t\r\n\f\v\u00a0\u200b]+")
_FORGED = re.compile(r"^(#{1,6}[ \t])", re.MULTILINE)
_LEAST = 200
"""A <main> or <article> with less text than this is not the page."""


def parse_html(text: str) -> Any:
    """The root element of a page, however broken; None if there is none. Raises MissingExtra."""
    try:
        from lxml import etree, html
    except ImportError as error:
        raise cannot_import("reading HTML", error) from None
    parser = html.HTMLParser(encoding="utf-8", recover=True, huge_tree=False, remove_comments=True, remove_pis=True)
    try:
        return html.document_fromstring(text.encode("utf-8", "replace"), parser)
    except etree.ParserError:
        return None


def markdown(root: Any, *, whole: bool = False) -> str:
    """The text of a page as Markdown: of its <main> or only <article> if it has one, unless `whole`."""
    page = _Page()
    page.walk(root if whole else _content(root))
    page.end_block()
    return page.text()


def _content(root: Any) -> Any:
    for query in (".//main", ".//*[@role='main']", ".//article"):
        found = root.findall(query)
        if len(found) == 1 and len(_SPACE.sub(" ", "".join(found[0].itertext()))) >= _LEAST:
            return found[0]
    return root


class _Page:
    """Collects blocks; `line` is what is being written of the current one."""

    def __init__(self) -> None:
        self.blocks: list[tuple[str, str]] = []
        self.line: list[str] = []
        self.lists: list[tuple[str, int]] = []
        self.marker = ""
        self.quotes = 0

    def text(self) -> str:
        """The blocks, with a blank line between them; items of a list stand together."""
        parts: list[str] = []
        before = ""
        for kind, block in self.blocks:
            parts += ["" if not parts else "\n" if kind == before == "item" else "\n\n", block]
            before = kind
        return "".join(parts) + "\n" if parts else ""

    def walk(self, element: Any) -> None:
        """Write an element with all that is in it; its tail is the caller's."""
        tag = element.tag if isinstance(element.tag, str) else ""
        if not tag or _is_dropped(tag, element):
            return
        if tag in _HEADINGS:
            self._heading(element, _HEADINGS[tag])
        elif tag == "table":
            self._table(element)
        elif tag == "pre":
            self._code(element)
        elif tag in ("ul", "ol"):
            self._list(element, tag)
        elif tag == "li":
            self._item(element)
        elif tag == "a":
            self._link(element)
        elif tag == "img":
            self.line.append(f" {element.get('alt', '')} ")
        elif tag == "br":
            self.line.append("\n")
        elif tag in _BLOCKS:
            self._block(element, tag)
        else:
            self._inside(element)

    def _inside(self, element: Any) -> None:
        self._say(element.text)
        for child in element:
            self.walk(child)
            self._say(child.tail)

    def _say(self, text: str | None) -> None:
        if text:
            self.line.append(_SPACE.sub(" ", text))

    def _block(self, element: Any, tag: str) -> None:
        self.end_block()
        self.quotes += tag == "blockquote"
        if tag == "hr":
            return
        self._inside(element)
        self.end_block()
        self.quotes -= tag == "blockquote"

    def end_block(self) -> None:
        """Put the line that was begun among the blocks."""
        text = "\n".join(" ".join(part.split(" ")).strip() for part in _joined(self.line).split("\n"))
        text = _FORGED.sub(r"\\\1", re.sub(r"\n{2,}", "\n", text).strip())
        self.line = []
        if not text:
            return
        depth = "  " * max(0, len(self.lists) - 1)
        kind = "item" if self.lists else "text"
        if self.marker:
            text, self.marker = f"{depth}{self.marker} {text}", ""
        elif self.lists:
            text = f"{depth}  {text}"
        if self.quotes:
            text = "\n".join("> " * self.quotes + line for line in text.split("\n"))
        self.blocks.append((kind, text))

    def _heading(self, element: Any, level: int) -> None:
        self.end_block()
        title = _plain(element)
        if title:
            self.blocks.append(("heading", f"{'#' * level} {title}"))

    def _list(self, element: Any, tag: str) -> None:
        self.end_block()
        start = element.get("start", "1")
        self.lists.append((tag, int(start) if start.isdecimal() and len(start) < 6 else 1))
        self._inside(element)
        self.end_block()
        self.lists.pop()

    def _item(self, element: Any) -> None:
        self.end_block()
        if self.lists:
            tag, number = self.lists[-1]
            self.marker = "-" if tag == "ul" else f"{number}."
            self.lists[-1] = (tag, number + 1)
        self._inside(element)
        self.end_block()
        self.marker = ""

    def _link(self, element: Any) -> None:
        target = (element.get("href") or "").strip()
        if any(child.tag in _HEADINGS or child.tag in _BLOCKS for child in element):
            self._inside(element)
            return
        words = _plain(element)
        if not words or not target or target.startswith("#") or target.lower().startswith(("javascript:", "data:")):
            self._say(f"{words}")
            return
        target = target.replace(" ", "%20").replace("(", "%28").replace(")", "%29")
        self.line.append(f"[{words.replace('[', '(').replace(']', ')')}]({target})")

    def _code(self, element: Any) -> None:
        self.end_block()
        text = "".join(element.itertext()).strip("\n")
        if text.strip():
            fence = "`" * max(3, 1 + max(map(len, re.findall(r"`{3,}", text)), default=2))
            self.blocks.append(("code", f"{fence}\n{text}\n{fence}"))

    def _table(self, element: Any) -> None:
        self.end_block()
        rows = [row for row in element.iter("tr") if next(row.iterancestors("table")) is element]
        cells = [[cell for cell in row if cell.tag in ("td", "th")] for row in rows]
        if element.find(".//table") is not None or max(map(len, cells), default=0) < 2:
            self._inside(element)  # it lays out the page
            self.end_block()
            return
        caption = element.find("caption")
        if caption is not None and (text := _plain(caption)):
            self.blocks.append(("text", text))
        if text := tables.rendered([[_cell(cell) for cell in row] for row in cells]):
            self.blocks.append(("table", text))


def _is_dropped(tag: str, element: Any) -> bool:
    if tag in _DROPPED or element.get("role") in _DROPPED_ROLES:
        return True
    if tag == "header":
        return next(element.iterancestors("article", "main", "section"), None) is None and element.find(".//h1") is None
    hidden = element.get("hidden") is not None or element.get("aria-hidden") == "true"
    return hidden or bool(_HIDDEN.search(element.get("style", "")))


def _cell(element: Any) -> str:
    """A cell's text with its links, on one line."""
    page = _Page()
    page._inside(element)
    page.end_block()
    return " ".join(block for _, block in page.blocks)


def _plain(element: Any) -> str:
    parts = []
    for found in element.iter():
        if found is not element and found.tag == "img":
            parts.append(found.get("alt", ""))
        is_seen = not (isinstance(found.tag, str) and found.tag in _DROPPED)
        parts += [found.text or "" if is_seen and isinstance(found.tag, str) else ""]
        parts += [found.tail or "" if found is not element else ""]
    return " ".join(_SPACE.sub(" ", "".join(parts)).split())


def _joined(parts: list[str]) -> str:
    return re.sub(r" *\n *", "\n", re.sub(r" {2,}", " ", "".join(parts)))
