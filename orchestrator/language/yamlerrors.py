"""What a YAML syntax error means, in words that help: where it is, what was expected, what to quote."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from ragweave.orchestrator.errors import Fix
from ragweave.orchestrator.language.yamlquotes import bare_text
from ragweave.orchestrator.language.yamltext import Complaint

_WHEN = re.compile(r"\bwhen\s*:\s*(?=\S)")
_TEMPLATE = re.compile(r"\$\{|\{\{|\{%")

_MEANINGS = {
    "mapping values are not allowed in this context": "a ': ' where no key can be; a text that has one needs quotes",
    "block sequence entries are not allowed in this context": "a '- ' stands where no list item can be",
    "did not find expected key": "a key was expected here",
    "did not find expected ',' or ']'": "a ',' or ']' was expected here",
    "did not find expected ',' or '}'": "a ',' or '}' was expected here",
    "did not find expected '-' indicator": "a '- ' was expected here, in line with the items above",
    "did not find expected node content": "a value was expected here",
    "found unexpected end of stream": "the file ends inside a quoted text",
    "found unexpected document indicator": "a document mark stands inside a quoted text",
    "could not find expected ':'": "a ':' is missing after this key",
    "found unknown escape character": "an unknown escape; in double quotes a backslash is written \\\\",
    "found a tab character where an indentation space is expected": "a tab; YAML is indented with spaces",
    "found undefined alias": "a word that starts with '*' needs quotes",
    "did not find expected alphabetic or numeric character": "a word that starts with '&' or '*' needs quotes",
    "did not find expected whitespace or line break": "a word that starts with '!' needs quotes",
    "did not find expected comment or line break": "after '|' or '>' the text starts on the next line",
    "found incompatible YAML document": "this version of YAML is not read; delete the line",
    "did not find expected <document start>": "only one value can stand at the top of the file",
}
_OPENERS = {
    "while parsing a flow sequence": "'['",
    "while parsing a flow mapping": "'{'",
    "while scanning a quoted scalar": "quote",
    "while parsing a quoted scalar": "quote",
}


def explain(error: Any, lines: Sequence[str]) -> Complaint:
    """A parser's error (a MarkedYAMLError) as one readable complaint."""
    mark = error.problem_mark or error.context_mark
    line, column = (mark.line, mark.column) if mark is not None else (0, 0)
    context = error.context_mark
    here = lines[line] if line < len(lines) else ""
    character = here[column : column + 1]
    message = _meaning(str(error.problem), character)
    opener = _OPENERS.get(error.context or "")
    if (
        opener is not None
        and context is not None
        and "escape" not in message
        and (context.line, context.column) != (line, column)
    ):
        message += f"; the {opener} of line {context.line + 1}, column {context.column + 1} is still open"
    following = lines[line + 1] if line + 1 < len(lines) else ""
    bare = bare_text(str(error.problem), here, column, following)
    if bare is not None and _WHEN.search(here[: column + 1]) is None and _TEMPLATE.search(here) is None:
        if character == "[":
            column = bare.start
            message = "a '[' starts a list here, and this text has one"
        else:
            message = "a ': ' where no key can be, and this text has one"
        fix = Fix(line + 1, bare.start + 1, bare.text, bare.quoted) if bare.sure else None
        return Complaint("RW100", f"{message}; put it in quotes: {bare.shown}", line + 1, column + 1, fix)
    hint = _quoting(lines, line, column, None if context is None else context.line)
    if not hint:
        place = _culprit(str(error.problem), opener, context, lines, line, column)
        if place[0] < line and opener is None:
            message = "a ':' is missing here"
        line, column = place
    return Complaint("RW100", f"{message}{hint}", line + 1, column + 1)


def _culprit(
    problem: str, opener: str | None, context: Any, lines: Sequence[str], line: int, column: int
) -> tuple[int, int]:
    """Where the text has to change, if the parser noticed it only on a later line."""
    if problem == "could not find expected ':'" and context is not None:
        return context.line, context.column
    if opener == "quote" and context is not None and problem.startswith("found unexpected"):
        return context.line, context.column
    if opener is not None and context is not None:
        depth = _indent(lines[context.line])
        for number in range(context.line + 1, min(line, len(lines) - 1) + 1):
            if lines[number].strip() and _indent(lines[number]) <= depth and lines[number].strip()[0] not in "]}#":
                return _end_before(lines, number)
        if not any(text.strip() for text in lines[line:]):
            return _end_before(lines, line)
    if problem.startswith("mapping values are not allowed") and line:
        number, end = _end_before(lines, line)
        if end and not re.search(r":(\s|$)|->", lines[number]):
            return number, end
    return line, column


def _indent(text: str) -> int:
    return len(text) - len(text.lstrip())


def _end_before(lines: Sequence[str], line: int) -> tuple[int, int]:
    """The end of the last line before this one that is not blank or a comment."""
    number = line - 1
    while number > 0 and (not lines[number].strip() or lines[number].lstrip().startswith("#")):
        number -= 1
    return number, len(lines[number].rstrip())


def _meaning(problem: str, character: str) -> str:
    if "cannot start any token" in problem:
        if character == "\t":
            return "a tab; YAML is indented with spaces"
        return f"a value cannot start with {character!r} unless it is quoted"
    return _MEANINGS.get(problem, problem)


def _quoting(lines: Sequence[str], line: int, column: int, context_line: int | None) -> str:
    """Advice to quote, if the error is in a condition or a template: on the line of the error, or of what it is in."""
    for number in dict.fromkeys((line, line - 1, context_line)):
        if number is None or not 0 <= number < len(lines):
            continue
        text = lines[number]
        before = text[: column + 1] if number == line else text
        if _WHEN.search(before) is not None:
            return "; quote the condition, as in when: 'size(documents) > 0 ? a : b'"
        if _TEMPLATE.search(before) is not None:
            return '; quote the value, as in "${env:NAME}" or "{{ question }}"'
        if number == line and before.strip():
            break
    return ""
