"""PDF, through pypdfium2, which is the engine of Chromium."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from typing import Any

from ragweave.retrievers.loaders import cannot_import, loader, reading
from ragweave.retrievers.loaders.lines import reflowed
from ragweave.retrievers.loaders.texts import name_of
from ragweave.retrievers.sourcetext import Heading, Place, SourceText, Unreadable

MAX_PAGES = 10_000
_DPI = 200
_NAMES = {"Author": "author", "Subject": "subject", "Keywords": "keywords", "CreationDate": "created"}
_DATE = re.compile(r"D:(\d{4})(\d\d)(\d\d)")
_NOTHING = re.compile(r"\s*\(?(?:anonymous|unspecified|untitled|unknown)\)?\s*$", re.IGNORECASE)
_pdfium = threading.Lock()
"""PDFium may be used by one thread at a time."""


def _version() -> str:
    return "1+ocr" if reading.is_installed() else "1"


@loader("pdf", version=_version)
def load_pdf(source: str, data: bytes) -> SourceText:
    """The text of all pages, with their numbers; bookmarks are headings. Scanned pages are read if OCR is installed."""
    try:
        import pypdfium2
    except ImportError as error:
        raise cannot_import("reading PDF", error) from None
    with _pdfium:
        try:
            document = pypdfium2.PdfDocument(data)
        except pypdfium2.PdfiumError as error:
            said = str(error).lower()
            if "password" in said or "security" in said:
                raise Unreadable("protected by a password; save it without one") from None
            raise Unreadable("damaged, or no PDF file") from None
        try:
            return _load(source, document)
        finally:
            document.close()


def _load(source: str, document: Any) -> SourceText:
    texts: list[str] = []
    places: list[Place] = []
    blank: list[int] = []
    notes: list[str] = []
    starts: list[int] = []
    length = 0
    for number in range(1, min(len(document), MAX_PAGES) + 1):
        text, has_picture = _page(document, number - 1)
        starts.append(length)
        if not text.strip():
            blank += [number] if has_picture else []
            continue
        places.append(Place(length, {"page": number}))
        texts.append(text + "\n\n")
        length += len(texts[-1])
    if not texts:
        raise Unreadable(_without_text(len(document), len(blank)))
    if blank:
        few = len(blank) == 1
        said = f"{'page' if few else 'pages'} {_ranges(blank)} {'has' if few else 'have'} no text, only a picture"
        notes.append(said if reading.is_installed() else f"{said}; pip install 'ragweave[ocr]' reads it")
    if len(document) > MAX_PAGES:
        notes.append(f"only the first {MAX_PAGES:,} of its {len(document):,} pages were read")
    whole = "".join(texts)
    title, metadata = _metadata(document)
    headings = tuple(_headings(document, whole, starts))
    return SourceText(
        source, whole, 0, title or name_of(source), metadata, tuple(notes), headings, tuple(places), is_original=False
    )


def _page(document: Any, index: int) -> tuple[str, bool]:
    """The text of a page, and whether there is a picture on one that has none."""
    import pypdfium2

    try:
        page = document[index]
    except pypdfium2.PdfiumError:
        return "", False  # a damaged page does not take the others with it
    try:
        textpage = page.get_textpage()
        text = reflowed(textpage.get_text_bounded())
        textpage.close()
        if text.strip():
            return text, False
        has_picture = any(page.get_objects(filter=[pypdfium2.raw.FPDF_PAGEOBJ_IMAGE], max_depth=3))
        if has_picture and reading.is_installed():
            # A page of a poster's size would be a picture of gigabytes.
            scale = min(_DPI / 72, 4_000 / max(*page.get_size(), 1))
            text = reading.text_in(page.render(scale=scale).to_numpy())
        return text, has_picture
    except pypdfium2.PdfiumError:
        return "", False
    finally:
        page.close()


def _without_text(pages: int, pictures: int) -> str:
    where = "its only page" if pages == 1 else f"any of its {pages:,} pages"
    if not pages or not pictures:
        return f"no text on {where}" if pages else "it has no pages"
    if reading.is_installed():
        return f"no text on {where}, and none that could be read in the pictures there"
    return f"no text on {where}, it is probably scanned; pip install 'ragweave[ocr]' reads it"


def _metadata(document: Any) -> tuple[str, dict[str, Any]]:
    found = document.get_metadata_dict(skip_empty=True)
    found = {key: value for key, value in found.items() if not _NOTHING.match(value)}
    metadata: dict[str, Any] = {new: " ".join(found[old].split()) for old, new in _NAMES.items() if found.get(old)}
    if date := _DATE.match(metadata.pop("created", "")):
        metadata["created"] = "-".join(date.groups())
    title = " ".join(found.get("Title", "").split())
    # What programs write there where nobody wrote a title.
    is_made = re.match(r"(?i)microsoft word|document\d*$|.*\.(docx?|dvi|tex|indd|pptx?|xlsx?|qxd|pdf)$", title)
    return "" if is_made else title, metadata


def _headings(document: Any, text: str, starts: list[int]) -> Iterator[Heading]:
    """The bookmarks, each where its words stand on its page, else where the page begins."""
    import pypdfium2

    found: list[Heading] = []
    try:
        for bookmark in document.get_toc(max_depth=6):
            target = bookmark.get_dest()
            page = target.get_index() if target is not None else None
            title = " ".join((bookmark.get_title() or "").split())
            if page is None or not title or page >= len(starts):
                continue
            begin = starts[page]
            end = starts[page + 1] if page + 1 < len(starts) else len(text)
            words = r"\s+".join(map(re.escape, title.split()))
            match = re.compile(rf"^[ \t]*(?:[\dIVX]+[.\d]*\s+)?{words}", re.MULTILINE | re.IGNORECASE).search(
                text, begin, end
            )
            found.append(Heading(match.start() if match else begin, bookmark.level + 1, title))
    except (pypdfium2.PdfiumError, RecursionError):
        return
    yield from sorted(found, key=lambda heading: heading.start)


def _ranges(numbers: list[int]) -> str:
    """`1, 3-5`; of many only the first."""
    ranges: list[list[int]] = []
    for number in numbers:
        if ranges and number == ranges[-1][1] + 1:
            ranges[-1][1] = number
        else:
            ranges.append([number, number])
    shown = [f"{first}" if first == last else f"{first}-{last}" for first, last in ranges]
    return ", ".join(shown[:8]) + (", …" if len(shown) > 8 else "")
