"""What readers of documents find, in which time: `python benchmarks/ingest.py`.

Every reader that is installed reads every file of `../shared/data/ingest_formats` that it claims, in a process of its
own. `recall` is the share of words found: of the gold text where a file has one, else of the words that two or more of
the readers agree on. `import` is the time until the first file, `MB` what the reader's packages take on the disk.
Readers of other projects may live elsewhere: `--python OTHER/bin/python`.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from collections import Counter, defaultdict
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).resolve().parents[1]
DATA = ROOT.parent / "shared" / "data" / "ingest_formats"

# What is run for each: `read(path)` gives a text. The packages are those whose size is counted.
READERS: dict[str, tuple[str, list[str], str]] = {
    "ragweave": (
        "*",
        ["pypdfium2", "pypdfium2_raw", "mammoth", "cobble", "pptx", "PIL", "xlsxwriter", "openpyxl", "et_xmlfile",
         "lxml", "olefile", "charset_normalizer"],
        """
from pathlib import Path
from ragweave.retrievers.loaders import load
def read(path):
    return load(Path(path).name, Path(path).read_bytes()).text
""",
    ),
    "markitdown": (
        "pdf docx pptx xlsx epub html ipynb csv md msg",
        ["markitdown", "magika", "onnxruntime", "pandas", "mammoth", "pdfminer", "pdfplumber", "bs4", "markdownify",
         "lxml", "pptx", "openpyxl"],
        """
from markitdown import MarkItDown
tool = MarkItDown()
def read(path):
    return tool.convert(path).text_content
""",
    ),
    "pypdfium2": ("pdf", ["pypdfium2", "pypdfium2_raw"], """
import pypdfium2
def read(path):
    return "\\n".join(page.get_textpage().get_text_bounded() for page in pypdfium2.PdfDocument(path))
"""),
    "pypdf": ("pdf", ["pypdf"], """
from pypdf import PdfReader
def read(path):
    return "\\n".join(page.extract_text() for page in PdfReader(path).pages)
"""),
    "pdfplumber": ("pdf", ["pdfplumber", "pdfminer", "pypdfium2", "pypdfium2_raw", "PIL"], """
import pdfplumber
def read(path):
    with pdfplumber.open(path) as pdf:
        return "\\n".join(page.extract_text() for page in pdf.pages)
"""),
    "pdf_oxide": ("pdf", ["pdf_oxide"], """
import pdf_oxide
def read(path):
    document = pdf_oxide.PdfDocument(path)
    return "\\n".join(document.extract_text(page) for page in range(document.page_count()))
"""),
    "python-docx": ("docx", ["docx", "lxml"], """
import docx
def read(path):
    found = []
    for block in docx.Document(path).iter_inner_content():
        if hasattr(block, "rows"):
            found += [" ".join(cell.text for cell in row.cells) for row in block.rows]
        else:
            found.append(block.text)
    return "\\n".join(found)
"""),
    "mammoth": ("docx", ["mammoth", "cobble"], """
import mammoth
def read(path):
    without = mammoth.images.img_element(lambda image: {"src": ""})
    with open(path, "rb") as file:
        return mammoth.convert_to_markdown(file, convert_image=without).value
"""),
    "docx2python": ("docx", ["docx2python", "lxml", "paragraphs"], """
from docx2python import docx2python
def read(path):
    with docx2python(path) as document:
        return document.text
"""),
    "python-pptx": ("pptx", ["pptx", "lxml", "PIL", "xlsxwriter"], """
from pptx import Presentation
def read(path):
    found = []
    for slide in Presentation(path).slides:
        for shape in slide.shapes:
            if shape.has_text_frame:
                found.append(shape.text_frame.text)
            if shape.has_table:
                found += [" ".join(cell.text for cell in row.cells) for row in shape.table.rows]
    return "\\n".join(found)
"""),
    "openpyxl": ("xlsx", ["openpyxl", "et_xmlfile"], """
import openpyxl
def read(path):
    book = openpyxl.load_workbook(path, read_only=True, data_only=True)
    return "\\n".join(" ".join(str(cell) for cell in row if cell is not None) for sheet in book for row in sheet.values)
"""),
    "calamine": ("xlsx", ["python_calamine"], """
from python_calamine import CalamineWorkbook
def read(path):
    book = CalamineWorkbook.from_path(path)
    return "\\n".join(
        " ".join(map(str, row)) for name in book.sheet_names for row in book.get_sheet_by_name(name).to_python()
    )
"""),
    "trafilatura": (
        "html", ["trafilatura", "lxml", "justext", "courlan", "htmldate", "dateparser", "babel", "tld", "regex"],
        """
import trafilatura
def read(path):
    return trafilatura.extract(open(path, "rb").read(), include_links=True) or ""
""",
    ),
    "selectolax": ("html", ["selectolax"], """
from selectolax.lexbor import LexborHTMLParser
def read(path):
    tree = LexborHTMLParser(open(path, "rb").read())
    tree.strip_tags(["script", "style", "noscript"])
    return tree.body.text(separator=" ")
"""),
}  # fmt: skip

_RUN = """
import json, sys, time, warnings
warnings.simplefilter("ignore")
began = time.perf_counter()
{code}
imported = time.perf_counter() - began
rows = {{}}
for path in sys.argv[1:]:
    best = None
    for _ in range(3):
        began = time.process_time()
        try:
            text = read(path)
        except Exception as error:
            text = None
            rows[path] = [None, 0, f"{{type(error).__name__}}: {{error}}"[:100]]
            break
        best = min(best or 9e9, time.process_time() - began)
        rows[path] = [text, best, ""]
import importlib.util, pathlib
files = set()
for name in {packages!r}:
    spec = importlib.util.find_spec(name)
    for place in map(pathlib.Path, (spec.submodule_search_locations or [spec.origin]) if spec else []):
        files |= {{place}} if place.is_file() else {{one for one in place.rglob("*") if one.is_file()}}
size = sum(file.stat().st_size for file in files if file.suffix != ".pyc")
print("\\n" + json.dumps([imported, size, rows]))
"""


def main(
    python: Annotated[list[str] | None, typer.Option(help="Other interpreters that have readers installed.")] = None,
    details: Annotated[bool, typer.Option(help="Also print each file.")] = False,
) -> None:
    """Print the table."""
    files = sorted((DATA / "files").iterdir())
    results = {}
    for name in READERS:
        for interpreter in [sys.executable, *(python or [])]:
            found = _run(name, interpreter, files)
            if found is not None:
                results[name] = found
                break
    gold = _gold(files, results)
    console = Console(width=140)
    table = Table("format", "reader", "files", "recall", "lowest", "CPU ms", "failed")
    for suffix in sorted({file.suffix for file in files}):
        for name, (_, _, rows) in results.items():
            mine = {path: row for path, row in rows.items() if path.endswith(suffix)}
            if not mine:
                continue
            recalls = {path: recall(row[0] or "", gold[path]) for path, row in mine.items()}
            failed = [Path(path).name for path, row in mine.items() if row[2]]
            mean = sum(recalls.values()) / len(recalls)
            cpu = sum(row[1] for row in mine.values()) * 1000
            table.add_row(
                suffix, name, str(len(mine)), f"{mean:.3f}", f"{min(recalls.values()):.3f}", f"{cpu:.1f}",
                ", ".join(failed),
            )  # fmt: skip
            if details:
                for path, value in recalls.items():
                    table.add_row(
                        "", "", Path(path).name, f"{value:.3f}", "", f"{mine[path][1] * 1000:.1f}", mine[path][2]
                    )
    console.print(table)
    weights = Table("reader", "import s", "MB")
    for name, (imported, size, _) in results.items():
        weights.add_row(name, f"{imported:.2f}", f"{size / 1e6:.1f}")
    console.print(weights)


def words(text: str) -> Counter[str]:
    """The words of a text, without the marks of Markdown."""
    text = re.sub(r"\]\([^)\s]*\)|<[^>\n]*>", " ", text)
    return Counter(re.findall(r"\w+", text.lower().replace("_", " ")))


def recall(text: str, gold: Counter[str]) -> float:
    """The share of the gold words that the text has, each as often as there."""
    return (words(text) & gold).total() / max(1, gold.total())


def _gold(files: list[Path], results: dict[str, tuple[float, int, dict[str, Any]]]) -> dict[str, Counter[str]]:
    gold = {}
    for file in files:
        expected = DATA / "expected" / f"{file.stem}.md"
        if expected.exists():
            gold[str(file)] = words(expected.read_text(encoding="utf-8"))
            continue
        counts: dict[str, list[int]] = defaultdict(list)
        for _, _, rows in results.values():
            for word, count in words((rows.get(str(file)) or [""])[0] or "").items():
                counts[word].append(count)
        # The second highest count: what two readers found.
        gold[str(file)] = Counter({word: sorted(found)[-2] for word, found in counts.items() if len(found) > 1})
    return gold


def _run(name: str, interpreter: str, files: list[Path]) -> tuple[float, int, dict[str, Any]] | None:
    suffixes, packages, code = READERS[name]
    mine = [str(file) for file in files if suffixes == "*" or file.suffix[1:] in suffixes.split()]
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "read.py"
        script.write_text(_RUN.format(code=code, packages=packages), encoding="utf-8")
        done = subprocess.run([interpreter, script, *mine], check=False, capture_output=True, text=True, cwd=ROOT)
    if done.returncode:
        return None
    imported, size, rows = json.loads(done.stdout.splitlines()[-1])
    return imported, size, rows


if __name__ == "__main__":
    typer.run(main)
