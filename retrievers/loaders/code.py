"""Source code: the text as it is, its classes and functions as headings."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ragweave.retrievers.loaders.decoding import decode
from ragweave.retrievers.sourcetext import Heading, SourceText

# A line that begins a definition in most languages; what follows the word is its name.
_NAMED = re.compile(
    r"^([ \t]*)(?:(?:export|default|public|private|protected|internal|static|final|abstract|async|sealed|open|override|"
    r"inline|unsafe|pub(?:\([a-z]+\))?|data|case|partial|declare|virtual|readonly)[ \t]+)*"
    r"(?:class|def|fn|func|fun|function\*?|interface|struct|enum|trait|impl(?:<[^>\n]*>)?|module|namespace|object|record|"
    r"protocol|extension|message|service|sub|defmodule|defp?|CREATE[ \t]+(?:TABLE|VIEW|FUNCTION|PROCEDURE))[ \t]+"
    r"(?:\([^()\n]*\)[ \t]*)?([A-Za-z_$][\w$]*+(?:(?:\.|::)[A-Za-z_$][\w$]*+)*)",
    re.MULTILINE,
)
# `Type name(arguments) {` of the C family and `const name = (arguments) =>` of JavaScript.
_TYPED = re.compile(
    r"^([ \t]*+)(?:[A-Za-z_][\w:<>,*&\[\]]*+[ \t]++)++[*&]*+([A-Za-z_]\w*+)\([^;{}\n]*\)[^;\n]*$", re.MULTILINE
)
_ARROW = re.compile(
    r"^([ \t]*+)(?:export[ \t]+)?(?:const|let)[ \t]+([A-Za-z_$][\w$]*+)[ \t]*=[^=\n]*(?:=>|function)", re.MULTILINE
)
_TYPED_LANGUAGES = {"c", "cc", "cpp", "cxx", "h", "hpp", "java", "cs", "dart", "php"}
_ARROW_LANGUAGES = {"js", "jsx", "ts", "tsx", "mjs"}
_NO_NAMES = {"return", "else", "new", "throw", "if", "for", "while", "switch", "catch", "do", "using", "await", "yield"}
_DEEPEST = 3


def load_code(source: str, data: bytes) -> SourceText:
    """Source code of any language. Definitions are found by their first line and nested by their indentation."""
    text, notes = decode(data)
    return SourceText(source, text, 0, source, {}, notes, tuple(_definitions(text, source.rpartition(".")[2].lower())))


def _definitions(text: str, language: str) -> Iterator[Heading]:
    patterns = [_NAMED]
    patterns += [_TYPED] if language in _TYPED_LANGUAGES else []
    patterns += [_ARROW] if language in _ARROW_LANGUAGES else []
    found = {
        match.start(): (len(match[1].expandtabs(4)), match[2])
        for pattern in reversed(patterns)
        for match in pattern.finditer(text)
        if match[2] not in _NO_NAMES and match[0].split()[0] not in _NO_NAMES
    }
    above: list[int] = []
    for start, (indent, name) in sorted(found.items()):
        above = [one for one in above if one < indent]
        if len(above) < _DEEPEST:
            above.append(indent)
            yield Heading(start, len(above), name)
