"""What each loader makes of its format: text, headings, places, tables, links, title and metadata."""

from __future__ import annotations

import json
import re
import sys
from collections import Counter
from email.message import EmailMessage
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragweave.orchestrator import registry
from ragweave.orchestrator.values import Document
from ragweave.retrievers.chunking import Chunks, passages
from ragweave.retrievers.loaders import loader, parse, suffixes, tables
from ragweave.retrievers.loaders.lines import reflowed
from ragweave.retrievers.loading import digest, find_files
from ragweave.retrievers.sourcetext import Skipped, SourceText
from tests.retrievers import office
from tests.retrievers.folders import SHARED, needs_shared, write

FORMATS = SHARED / "ingest_formats"


def loaded(source: str, data: str | bytes) -> SourceText:
    """The text of this file, which must be readable."""
    text = parse(source, data if isinstance(data, bytes) else data.encode())
    assert isinstance(text, SourceText), text
    return text


def cut(source: str, data: str | bytes, **settings: object) -> list[Document]:
    """The passages of this file."""
    return passages(loaded(source, data), Chunks(**settings))  # type: ignore[arg-type]


def test_a_web_page_is_markdown_without_what_is_around_it() -> None:
    page = (
        """<html lang="en"><head><title>Tea | Site</title><meta name="author" content="Ada">
    <script>var x = "no";</script></head><body><nav>Home About</nav><main><h1>Tea</h1><p>Black tea
    steeps for <b>four</b> minutes, see <a href="green.html">green tea</a>.</p><ul><li>hot water<li>leaves<ul><li>two
    spoons</ul></ul><table><tr><th>Tea<th>Minutes<tr><td>Green<td>2<tr><td>A | B<td>3</table><pre>boil()
  pour()</pre><p hidden>secret</p>"""
        + "<p>Much more is to be said of it.</p>" * 8
        + "</main><footer>Legal</footer>"
    )
    text = loaded("tea.html", page)
    assert (text.title, text.metadata) == ("Tea | Site", {"author": "Ada", "language": "en"})
    assert text.text.startswith(
        "# Tea\n\nBlack tea steeps for four minutes, see [green tea](green.html).\n\n- hot water\n"
    )
    assert "- leaves\n  - two spoons\n\n| Tea | Minutes |\n| --- | --- |\n| Green | 2 |\n| A \\| B | 3 |\n" in text.text
    assert "```\nboil()\n  pour()\n```" in text.text
    assert not re.search("Home|Legal|secret|var x", text.text)
    assert not text.is_original


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ('<meta charset="iso-8859-1"><p>Crème'.encode("latin-1"), "Crème"),
        ("<p>Crème".encode(), "Crème"),
        ('<?xml version="1.0" encoding="utf-8"?><html><body><p>Crème</p></body></html>'.encode(), "Crème"),
        (b'<meta charset="no-such"><p>tea', "tea"),
        (b"plain words", "plain words"),
        (b"<p># no heading", "\\# no heading"),
    ],
)
def test_a_web_page_is_read_in_its_charset(data: bytes, words: str) -> None:
    assert loaded("a.html", data).text == f"{words}\n"


def test_a_page_without_text_says_what_to_do() -> None:
    skipped = parse("app.html", b"<html><body><div id=root></div><script>render()</script>")
    assert isinstance(skipped, Skipped)
    assert "a page that a script writes" in skipped.reason


def test_pages_of_a_pdf_and_its_bookmarks_travel_with_the_passages() -> None:
    filler = "The kettle is filled with fresh water and set on the stove for a while.\n" * 12
    data = office.pdf(["All about tea.\n" + filler, "Green tea\n" + filler], [(0, "Basics"), (1, "Green tea")], "Tea")
    text = loaded("tea.pdf", data)
    assert text.title == "Tea"
    first, second = cut("tea.pdf", data, by="heading")
    assert (first.title, first.metadata, first.place, first.line) == ("Tea > Basics", {"page": 1}, "page 1", None)
    assert (second.title, second.metadata["page"], second.place) == ("Tea > Green tea", 2, "page 2")
    (whole,) = cut("tea.pdf", data, by="whole")
    assert (whole.metadata, whole.place) == ({"page": 1, "last_page": 2}, "pages 1-2")


def test_pages_that_are_pictures_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    text = loaded("a.pdf", office.pdf(["Tea.", None, None]))
    assert text.notes == ("pages 2-3 have no text, only a picture; pip install 'ragweave[ocr]' reads it",)
    assert text.text.strip() == "Tea."
    scanned = parse("b.pdf", office.pdf([None]))
    assert isinstance(scanned, Skipped)
    assert scanned.reason == "no text on its only page, it is probably scanned; pip install 'ragweave[ocr]' reads it"
    assert parse("c.pdf", office.pdf(["", ""])) == Skipped("c.pdf", "no text on any of its 2 pages")


def test_installing_ocr_has_pdfs_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    data = office.pdf(["Tea."])
    found = set()
    for is_there in (True, False):
        monkeypatch.setattr("importlib.util.find_spec", lambda name, is_there=is_there: object() if is_there else None)
        found.add(digest("a.pdf", data))
    assert len(found) == 2
    assert digest("a.md", b"x") == digest("b.txt", b"x")


def test_a_word_document_keeps_headings_tables_and_properties() -> None:
    body = (
        office.paragraph("Tea", "Heading1")
        + office.paragraph("It is hot.")
        + office.table([["Tea", "Min"], ["Green", "2"]])
    )
    text = loaded("tea.docx", office.docx(body, "All about tea"))
    assert text.text == "# Tea\n\nIt is hot.\n\n| Tea | Min |\n| --- | --- |\n| Green | 2 |\n"
    assert (text.title, text.metadata) == ("All about tea", {"author": "Ada"})
    assert loaded("my tea.docx", office.docx(office.paragraph("Hot."))).title == "my tea"


def test_slides_and_their_notes() -> None:
    text = loaded("tea.pptx", office.pptx([("Tea", "Is hot.", "Wait here."), ("Milk", "Is cold.", "")]))
    assert text.text == "## Tea\n\nIs hot.\n\nNotes: Wait here.\n\n## Milk\n\nIs cold.\n\n"
    second = passages(text, Chunks("heading"))[1]
    assert (second.title, second.place) == ("Tea > Milk", "slide 2")


def test_each_sheet_is_a_table_whose_columns_travel_with_its_rows() -> None:
    import datetime

    rows: list[list[object]] = [
        ["Region", "Amount", "Day"],
        *([f"Region {place}", place * 1.5, datetime.date(2024, 1, 2)] for place in range(90)),
    ]
    data = office.xlsx({"Sales": rows, "Empty": [], "Notes": [[None, "only"], [None, 3.0]]})
    text = loaded("shop.xlsx", data)
    assert "## Sales\n\n| Region | Amount | Day |\n| --- | --- | --- |\n| Region 0 | 0 | 2024-01-02 |\n" in text.text
    assert text.text.endswith("## Notes\n\n| only |\n| --- |\n| 3 |\n\n")
    found = passages(text, Chunks(tokens=128))
    assert len(found) > 5
    assert found[3].title == "shop > Sales > Region | Amount | Day"
    assert found[3].metadata["sheet"] == "Sales"
    assert all(line.startswith("| ") and line.endswith(" |") for line in found[3].text.splitlines())
    assert found[-1].place == "sheet Notes"


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a.csv", 'name,city\nAnn,Bern\n\nBob,"Ulm, old"\n'),
        ("a.csv", "name;city\r\nAnn;Bern\r\nBob;Ulm, old\r\n"),
        ("a.tsv", "name\tcity\nAnn\tBern\nBob\tUlm, old\n"),
    ],
)  # fmt: skip
def test_rows_of_a_csv_are_one_table(name: str, data: str) -> None:
    text = loaded(name, data)
    assert text.text == "| name | city |\n| --- | --- |\n| Ann | Bern |\n| Bob | Ulm, old |\n"
    assert [place.metadata["line"] for place in text.places][:2] == [1, 2]


def test_json_is_paths_and_values_and_each_record_stands_for_itself() -> None:
    records = [{"title": "Tea", "steps": [{"do": "boil"}, {"do": "pour"}], "tags": ["hot", 1], "none": None}, {"id": 7}]
    text = loaded("a.json", json.dumps(records))
    assert text.text == "title: Tea\nsteps[1].do: boil\nsteps[2].do: pour\ntags: hot, 1\n\nid: 7\n\n"
    second = passages(text, Chunks("heading"))[1]
    assert (second.title, second.place) == ("a > 7", "record 2")
    assert loaded("b.json", '{"name": "Tea", "hot": true}').title == "Tea"
    lines = loaded("c.jsonl", '{"q": 1}\n\nno json\n{"q": 2}\n')
    assert lines.notes == ("1 line is no JSON and left out, the first is line 3",)
    assert lines.places[1].metadata == {"record": 2, "line": 4}


def test_the_chapters_of_a_book() -> None:
    text = loaded("b.epub", office.epub(["<h1>One</h1><p>First.</p>", "<h1>Two</h1><p>Second.</p>"]))
    assert text.text == "# One\n\nFirst.\n\n# Two\n\nSecond.\n\n"
    assert (text.title, text.metadata, text.places[1].metadata) == ("The Book", {"author": "Ada"}, {"chapter": 2})


def test_a_notebook_has_its_text_code_and_outputs() -> None:
    cells = [
        {"cell_type": "markdown", "source": ["# Tea\n", "Hot."]},
        {
            "cell_type": "code",
            "source": "boil()",
            "outputs": [{"output_type": "stream", "text": ["\x1b[31mok\x1b[0m\n"]}],
        },
    ]
    text = loaded("n.ipynb", json.dumps({"cells": cells}))
    assert text.text == "# Tea\nHot.\n\n```python\nboil()\n```\n\n```\nok\n```\n\n"
    assert (text.title, text.places[1].metadata) == ("Tea", {"cell": 2})


def message(subject: str, body: str, html: str = "") -> EmailMessage:
    """An e-mail, with an attachment."""
    made = EmailMessage()
    made["Subject"], made["From"], made["To"] = subject, "Ann <ann@example.com>", "bob@example.com"
    made["Date"] = "Mon, 02 Sep 2024 10:00:00 +0200"
    if body:
        made.set_content(body)
    if html:
        made.set_content(html, subtype="html")
    made.add_attachment(b"x", maintype="application", subtype="pdf", filename="tea.pdf")
    return made


@pytest.mark.parametrize(
    "made", [message("Tea – now", "It is ready."), message("Tea – now", "", "<p>It is <b>ready</b>.</p>")]
)
def test_a_mail_has_its_header_and_body(made: EmailMessage) -> None:
    text = loaded("m.eml", bytes(made))
    assert text.title == "Tea – now"
    assert text.metadata == {
        "from": "Ann <ann@example.com>", "to": "bob@example.com", "date": "2024-09-02T10:00:00+02:00",
        "attachments": ["tea.pdf"],
    }  # fmt: skip
    assert text.text.startswith("Subject: Tea – now\nFrom: Ann <ann@example.com>\n")
    assert text.text.endswith("\n\nIt is ready.\n")


def test_a_mailbox_is_its_messages() -> None:
    data = b"".join(
        b"From x Mon Sep  2 10:00:00 2024\n" + bytes(message(f"No {number}", "From here on.")) + b"\n"
        for number in (1, 2)
    )
    text = loaded("m.mbox", data)
    assert [(heading.title, text.text[heading.start :][:13]) for heading in text.headings or ()] == [
        ("No 1", "Subject: No 1"), ("No 2", "Subject: No 2"),
    ]  # fmt: skip
    assert passages(text, Chunks("heading"))[1].place == "message 2"


@pytest.mark.parametrize(
    ("name", "code", "titles"),
    [
        ("a.py", "import os\n\n\nclass Tea:\n    # not a heading\n    def boil(self):\n        pass\n", "Tea > boil"),
        ("a.go", "package a\n\nfunc (t *Tea) Boil() {\n}\n", "Boil"),
        ("a.ts", "export class Tea {\n}\nexport const boil = async (x) => {\n}\n", "Tea|boil"),
        (
            "a.java",
            "public class Tea {\n    public static void boil(int x) {\n        return;\n    }\n}\n",
            "Tea > boil",
        ),
        ("a.rs", "impl<T> Tea<T> {\n    pub fn boil(&self) {}\n}\n", "Tea > boil"),
        ("a.sql", "CREATE TABLE tea (id INT);\n", "tea"),
    ],
)
def test_definitions_are_the_headings_of_code(name: str, code: str, titles: str) -> None:
    text = loaded(name, code)
    assert text.text == code
    found: list[str] = []
    path: list[str] = []
    for heading in text.headings or ():
        path = [*path[: heading.level - 1], heading.title]
        found.append(" > ".join(path))
    assert found[-1] == titles.rsplit("|", maxsplit=1)[-1]
    assert len(found) == len(re.split(r" > |\|", titles))
    assert passages(text)[0].line == 1


def test_outlandish_encodings_are_recognised() -> None:
    text = loaded("a.txt", "今日は良い天気ですね。明日も晴れるでしょう。".encode("shift-jis"))
    assert (text.text[:2], text.notes) == ("今日", ("not UTF-8; read as Shift-JIS",))
    text = loaded("a.txt", "Сегодня хорошая погода, завтра тоже будет солнечно.".encode("cp1251"))
    assert (text.text[:7], text.notes) == ("Сегодня", ("not UTF-8; read as Windows-1251",))


def test_a_plugin_registers_a_loader(tmp_path: Path) -> None:
    with registry.scope():

        @loader("log", version="7")
        def load_log(source: str, data: bytes) -> SourceText:
            return SourceText(source, data.decode().lower(), title="Log")

        write(tmp_path, {"a.log": "TEA"})
        assert [file.source for file in find_files(tmp_path)] == ["a.log"]
        assert loaded("a.log", "TEA").text == "tea"
        assert digest("a.log", b"TEA") != digest("a.txt", b"TEA")
    assert "log" not in suffixes()


@pytest.mark.parametrize(
    ("name", "module"),
    [("a.pdf", "pypdfium2"), ("a.docx", "mammoth"), ("a.pptx", "pptx"), ("a.xlsx", "openpyxl"), ("a.html", "lxml"),
     ("a.msg", "olefile")],
)  # fmt: skip
def test_a_missing_library_is_named_with_the_extra(name: str, module: str, monkeypatch: pytest.MonkeyPatch) -> None:
    data = {"docx": office.docx(office.paragraph("x")), "xlsx": office.xlsx({"a": [["x"]]}), "pptx": office.zipped({})}
    monkeypatch.setitem(sys.modules, module, None)
    skipped = parse(name, data.get(name[2:], b"x"))
    assert isinstance(skipped, Skipped)
    assert re.fullmatch(
        rf"reading [A-Z]+ needs the package '{module}', which is not installed; pip install 'ragweave\[documents\]'",
        skipped.reason,
    )


@given(st.lists(st.text(st.characters(codec="utf-8"), max_size=60), max_size=30).map("\n".join))
def test_reflowing_loses_no_letter(text: str) -> None:
    def letters(one: str) -> str:
        return "".join(letter for letter in one if letter.isalnum())

    assert letters(reflowed(text)) == letters(text)


def test_lines_of_a_paragraph_are_joined_and_rows_stay() -> None:
    page = (
        "The kettle is filled with fresh water and then it is set on\nthe stove, where it boils within a few min-\n"
        "utes and whistles loudly enough for all who wait for it to\nhear.\nTotal 12.50\nTax 1.20\n1. Pour."
    )
    paragraph = (
        "The kettle is filled with fresh water and then it is set on the stove, where it boils within a few minutes "
        "and whistles loudly enough for all who wait for it to hear."
    )
    assert reflowed(page).split("\n") == [paragraph, "Total 12.50", "Tax 1.20", "1. Pour."]


@given(
    st.lists(st.lists(st.one_of(st.text(max_size=10), st.integers(), st.floats(), st.none()), max_size=5), max_size=6)
)
def test_a_table_has_one_line_for_each_row(rows: list[list[object]]) -> None:
    text = tables.rendered(rows)
    lines = text.split("\n") if text else []
    filled = [row for row in rows if any(tables.cell(value) for value in row)]
    assert len(lines) == (len(filled) + 1 if filled else 0)
    assert len({len(re.findall(r"(?<!\\)\|", line)) for line in lines}) <= 1
    assert not lines or tables.header(text) is not None


@needs_shared
@pytest.mark.parametrize("name", ["RECEIPT-2024-TXN-98765_retail_purchase", "REPAIR-2022-INV-001_multipage",
                                  "SPARSE-2024-INV-1234_borderless_table", "movie-theater-booking-2024"])  # fmt: skip
def test_the_words_of_a_pdf_are_found(name: str) -> None:
    def words(text: str) -> Counter[str]:
        return Counter(re.findall(r"\w+", text.lower()))

    gold = words((FORMATS / "expected" / f"{name}.md").read_text(encoding="utf-8"))
    found = words(loaded(f"{name}.pdf", (FORMATS / "files" / f"{name}.pdf").read_bytes()).text)
    assert (gold & found).total() >= 0.98 * gold.total()


@needs_shared
def test_every_file_of_the_collection_is_read_twice_alike() -> None:
    for file in sorted((FORMATS / "files").iterdir()):
        text = loaded(file.name, file.read_bytes())
        assert text == loaded(file.name, file.read_bytes())
        for passage in passages(text):
            assert passage.offsets is not None
            assert text.text[slice(*passage.offsets)] == passage.text
