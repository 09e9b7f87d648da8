"""The node types `compliance`, which checks an answer by rules, and `sign_off`, which asks who releases it."""

from __future__ import annotations

import decimal
import re
from collections.abc import Iterable, Iterator, Sequence
from decimal import ROUND_HALF_UP, Decimal
from typing import TypedDict

from pydantic import Field

from ragweave import Answer, Ask, Context, Document, Node, Verdict, node
from ragweave.orchestrator.values import ToolResult

_MARK = re.compile(r"\[\d+(?:[,;–\- ]+\d+)*\]")
_NUMBER = re.compile(r"\d+(?:,\d{3})*(?:\.\d+)?|\.\d+")

_LONG = decimal.Context(prec=2_000)  # the calculator's numbers have up to 1,233 digits


class Checked(TypedDict):
    """What `compliance` writes."""

    verdict: Verdict


class Compliance(Node, type="compliance"):
    """Let an answer pass only if every number in it, and in what was computed, can be traced.

    Numbers are read as digits, without their sign and unit. One of the answer has to stand in a source that the answer
    cites, or be the calculator's result, rounded or not; one of the expression in a cited source, or be a constant.
    """

    constants: list[Decimal] = Field([], description="Numbers that an expression may use although no source has them.")
    forbidden: list[str] = Field([], description="Words that no answer may hold, in upper or lower case.")

    def __call__(
        self, answer: Answer, documents: list[Document], expression: str, tool_results: list[ToolResult]
    ) -> Checked:
        cited = {citation.document for citation in answer.citations}
        sources = [f"{document.title} {document.text}" for document in documents if document.id in cited]
        reasons = [*self._of(answer.text, sources, expression, [result.content for result in tool_results])]
        return {"verdict": Verdict(passed=not reasons, action="block" if reasons else "allow", reasons=tuple(reasons))}

    def _of(self, said: str, sources: Sequence[str], expression: str, results: Sequence[str]) -> Iterator[str]:
        """Why the answer does not pass."""
        if not sources:
            yield "it cites no source"
        known = {number for text in sources for number in numbers([text])}
        computed = [number for text in results for number in numbers([text.split("(")[0]])]
        spoken = _MARK.sub(" ", said)
        for number in numbers([spoken]):
            if number not in known and not any(_rounded(result, number) == number for result in computed):
                yield f"the number {number} is in no source that it cites, and was not computed"
        for number in numbers([expression]):
            if number not in known and number not in self.constants:
                yield f"the number {number} of the calculation is in no source that it cites"
        for result in computed:
            if not any(_rounded(result, number) == number for number in numbers([spoken])):
                yield f"it does not give the result of the calculation, {result}"
        for word in self.forbidden:
            if re.search(rf"(?<!\w){re.escape(word)}(?!\w)", said, re.IGNORECASE):
                yield f"it says {word!r}"


def numbers(texts: Iterable[str]) -> list[Decimal]:
    """The numbers of texts, each once: `1,206.50` is 1206.5."""
    found = (Decimal(match[0].replace(",", "")) for text in texts for match in _NUMBER.finditer(text))
    return list(dict.fromkeys(found))


def _rounded(result: Decimal, like: Decimal) -> Decimal:
    """A result with as many decimals as a number that is said."""
    place = Decimal((0, (1,), int(like.as_tuple().exponent)))
    return result.quantize(place, ROUND_HALF_UP, _LONG)


class Released(TypedDict):
    """What `sign_off` writes."""

    released_by: str


@node
def sign_off(answer: Answer, ctx: Context) -> Released | Ask:
    """Ask a person to release an answer under their name; without a yes, nobody has."""
    if not ctx.answers:
        who = {"type": "string", "minLength": 1, "description": "Your name, for the record."}
        schema = {"type": "object", "properties": {"release": {"type": "boolean"}, "by": who}}
        return Ask(question=f"Release this answer?\n{answer.text}", schema={**schema, "required": ["release", "by"]})
    given = ctx.answers[-1]
    return {"released_by": given["by"] if given["release"] else "nobody"}
