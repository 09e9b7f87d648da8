"""Files of many formats, made byte by byte or by the libraries that read them."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping, Sequence
from typing import Any

_TYPES = """<?xml version="1.0"?><Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">
<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>
<Default Extension="xml" ContentType="application/xml"/>
<Override PartName="/word/document.xml"
 ContentType="application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml"/></Types>"""
_RELS = """<?xml version="1.0"?><Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">
<Relationship Id="r1" Target="word/document.xml"
 Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument"/></Relationships>"""
_CORE = """<?xml version="1.0"?><cp:coreProperties xmlns:dc="http://purl.org/dc/elements/1.1/"
 xmlns:cp="http://schemas.openxmlformats.org/package/2006/metadata/core-properties">
<dc:title>{title}</dc:title><dc:creator>Ada</dc:creator></cp:coreProperties>"""
_WORD = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"


def zipped(parts: Mapping[str, str | bytes]) -> bytes:
    """A zip file of these parts."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in parts.items():
            archive.writestr(name, data)
    return file.getvalue()


def docx(body: str, title: str = "", more: Mapping[str, str | bytes] | None = None) -> bytes:
    """A Word document; `body` is WordprocessingML, see `paragraph` and `table`."""
    document = f'<?xml version="1.0"?><w:document xmlns:w="{_WORD}"><w:body>{body}</w:body></w:document>'
    parts: dict[str, str | bytes] = {
        "[Content_Types].xml": _TYPES, "_rels/.rels": _RELS, "word/document.xml": document,
        "docProps/core.xml": _CORE.format(title=title), **(more or {}),
    }  # fmt: skip
    return zipped(parts)


def paragraph(text: str, style: str = "") -> str:
    """A paragraph; of a style such as Heading1."""
    properties = f'<w:pPr><w:pStyle w:val="{style}"/></w:pPr>' if style else ""
    return f"<w:p>{properties}<w:r><w:t>{text}</w:t></w:r></w:p>"


def table(rows: Sequence[Sequence[str]]) -> str:
    """A table of plain cells."""
    cells = ("".join(f"<w:tc>{paragraph(cell)}</w:tc>" for cell in row) for row in rows)
    return f"<w:tbl>{''.join(f'<w:tr>{row}</w:tr>' for row in cells)}</w:tbl>"


def epub(chapters: Sequence[str], more: Mapping[str, str | bytes] | None = None) -> bytes:
    """A book of these chapters, each the body of a page."""
    items = "".join(f'<item id="c{place}" href="c%20{place}.xhtml"/>' for place in range(len(chapters)))
    spine = "".join(f'<itemref idref="c{place}"/>' for place in range(len(chapters)))
    package = f"""<?xml version="1.0"?><package xmlns="http://www.idpf.org/2007/opf"
 xmlns:dc="http://purl.org/dc/elements/1.1/"><metadata><dc:title>The Book</dc:title>
<dc:creator>Ada</dc:creator></metadata>
<manifest>{items}</manifest><spine>{spine}</spine></package>"""
    container = '<container><rootfiles><rootfile full-path="OEBPS/book.opf"/></rootfiles></container>'
    parts: dict[str, str | bytes] = {
        "META-INF/container.xml": container,
        "OEBPS/book.opf": package,
        **(more or {}),
    }
    for place, chapter in enumerate(chapters):
        parts[f"OEBPS/c {place}.xhtml"] = f"<html><head><title/></head><body>{chapter}</body></html>"
    return zipped(parts)


def xlsx(sheets: Mapping[str, Sequence[Sequence[Any]]]) -> bytes:
    """A workbook."""
    from openpyxl import Workbook

    book = Workbook()
    book.remove(book.active)
    for name, rows in sheets.items():
        sheet = book.create_sheet(name)
        for row in rows:
            sheet.append(list(row))
    file = io.BytesIO()
    book.save(file)
    return file.getvalue()


def pptx(slides: Sequence[tuple[str, str, str]]) -> bytes:
    """A presentation of slides with a title, a text and a note."""
    from pptx import Presentation

    show = Presentation()
    for title, text, note in slides:
        slide = show.slides.add_slide(show.slide_layouts[1])
        slide.shapes.title.text = title
        slide.placeholders[1].text = text
        slide.notes_slide.notes_text_frame.text = note
    file = io.BytesIO()
    show.save(file)
    return file.getvalue()


def pdf(
    pages: Sequence[str | None], bookmarks: Sequence[tuple[int, str]] = (), title: str = "", trailer: str = ""
) -> bytes:
    """A PDF; each page holds the lines of a text, or a picture and no text where it is None."""
    objects = [
        "<< /Type /Catalog /Pages 2 0 R /Outlines 5 0 R >>",
        "",
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    ]
    objects += [f"<< /Title ({title}) >>", ""]
    objects.append("<< /Type /XObject /Subtype /Image /Width 1 /Height 1 /ColorSpace /DeviceGray /BitsPerComponent 8 "
                   "/Length 1 >>\nstream\nA\nendstream")  # fmt: skip
    numbers = []
    for text in pages:
        lines = (text or "").split("\n")
        shown = " ".join(f"({line.replace('(', '').replace(')', '')}) Tj T*" for line in lines)
        content = f"BT /F1 11 Tf 14 TL 50 780 Td {shown} ET" if text is not None else "q 500 0 0 700 50 50 cm /Im Do Q"
        objects.append(f"<< /Length {len(content)} >>\nstream\n{content}\nendstream")
        resources = "/Resources << /Font << /F1 3 0 R >> /XObject << /Im 6 0 R >> >>"
        objects.append(
            f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] {resources} /Contents {len(objects)} 0 R >>"
        )
        numbers.append(len(objects))
    objects[1] = f"<< /Type /Pages /Count {len(numbers)} /Kids [{' '.join(f'{number} 0 R' for number in numbers)}] >>"
    first = len(objects) + 1
    for place, (page, words) in enumerate(bookmarks):
        following = f"/Next {first + place + 1} 0 R" if place + 1 < len(bookmarks) else ""
        objects.append(f"<< /Title ({words}) /Parent 5 0 R /Dest [{numbers[page]} 0 R /Fit] {following} >>")
    last = first + len(bookmarks) - 1
    objects[4] = f"<< /Type /Outlines /First {first} 0 R /Last {last} 0 R >>" if bookmarks else "<< /Type /Outlines >>"
    data = "%PDF-1.4\n"
    places = []
    for number, body in enumerate(objects, start=1):
        places.append(len(data))
        data += f"{number} 0 obj\n{body}\nendobj\n"
    table = "".join(f"{place:010d} 00000 n \n" for place in places)
    end = f"trailer << /Size {len(objects) + 1} /Root 1 0 R /Info 4 0 R {trailer} >>\nstartxref\n{len(data)}\n%%EOF\n"
    return f"{data}xref\n0 {len(objects) + 1}\n0000000000 65535 f \n{table}{end}".encode("latin-1")


def locked_pdf() -> bytes:
    """A PDF that opens with a password only."""
    key = "00" * 32
    encryption = f"/Encrypt << /Filter /Standard /V 1 /R 2 /O <{key}> /U <{key}> /P -4 >> /ID [<00> <00>]"
    return pdf(["Secret"], trailer=encryption)


def locked_docx() -> bytes:
    """The start of a Word document with a password: a container of the kind that Office had before 2007."""
    return b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(1016) + "EncryptedPackage".encode("utf-16-le") + bytes(512)
