"""Word documents, through mammoth, which knows their styles, lists, notes and text boxes."""

from __future__ import annotations

import io

from ragweave.retrievers.loaders import archives, cannot_import, loader
from ragweave.retrievers.loaders.markup import markdown, parse_html
from ragweave.retrievers.loaders.texts import name_of
from ragweave.retrievers.sourcetext import SourceText, Unreadable

_LARGEST = 32 * 1024 * 1024
_STYLES = """
p[style-name='Title'] => h1:fresh
p[style-name='Subtitle'] => p:fresh
comment-reference => sup
"""


@loader("docx", "docm", version="1")
def load_docx(source: str, data: bytes) -> SourceText:
    """A Word document as Markdown: headings, lists, tables, links, notes and comments."""
    archive = archives.open_archive(data, "DOCX", _LARGEST)
    if "word/document.xml" not in archive.namelist():
        raise Unreadable("no DOCX file: it has no document in it")
    try:
        import mammoth
    except ImportError as error:
        raise cannot_import("reading DOCX", error) from None
    done = mammoth.convert_to_html(
        io.BytesIO(data),
        style_map=_STYLES,
        include_embedded_style_map=False,
        convert_image=mammoth.images.img_element(lambda image: {"src": ""}),
    )
    root = parse_html(f"<body>{done.value}</body>")
    text = markdown(root, whole=True) if root is not None else ""
    if not text.strip():
        raise Unreadable("no text in it")
    metadata: dict[str, str] = archives.core_properties(archive)
    first = text.split("\n", 1)[0]
    title = metadata.pop("title", "") or (first[2:] if first.startswith("# ") else name_of(source))
    return SourceText(source, text, 0, title, metadata, is_original=False)
