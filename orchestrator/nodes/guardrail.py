"""The nodes that check what goes on in a graph, and that show a user again what was hidden from a model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal, TypedDict

from pydantic import Field

from ragweave.orchestrator.context import Context
from ragweave.orchestrator.guardrails.check import Check, CheckName, Subject
from ragweave.orchestrator.guardrails.screening import STRENGTH, restore, screen
from ragweave.orchestrator.node import Node, Read, Signature, Write
from ragweave.orchestrator.resources import Resources
from ragweave.orchestrator.types import parse_type
from ragweave.orchestrator.values import Answer, Ask, Document, Verdict

_TYPES = {"question": "str", "text": "str", "answer": "Answer", "documents": "list[Document]"}
LONGEST = 4000
"""Characters of a text that a question shows."""
_VERDICT, _HIDDEN = parse_type("Verdict"), parse_type("map[str]")


class Guardrail(Node, type="guardrail"):
    """Hold a text against checks; `verdict` says whether it passed, what was done, and why.

    Routes go by `verdict.passed`. What is redacted or rewritten goes on in the place of the text; the values behind the
    tags are in `hidden`, for a `reveal` node to show again. Of `documents`, those that are blocked are left out. A
    check that fails counts as one that blocks.
    """

    example: ClassVar[str] = "screen: {type: guardrail, checks: [pii, secrets]}"

    checks: list[CheckName] = Field(
        min_length=1, description="What to look for, by the names of checks or their types."
    )
    of: Literal["question", "answer", "documents", "text"] = Field(
        "question", description="What is checked: a question, an answer, passages, or any text."
    )

    clears: list[Literal["retrieved", "tool", "memory"]] = Field(
        [], description="Whose words count as trusted once they have passed, for write and external effects."
    )

    def cleared(self) -> Sequence[str]:
        """What the author says that these checks suffice for."""
        return self.clears

    def signature(self, resources: Resources) -> Signature:
        """Reads and writes what is checked, writes the verdict, and reads what its checks hold an answer against."""
        kind = parse_type(_TYPES[self.of])
        reads = {self.of: Read(kind, True), "hidden": Read(_HIDDEN, False)}
        needed = {name for check in self.checks for name in _needs(resources, check)} - {self.of}
        reads |= {name: Read(parse_type(_TYPES[name]), False) for name in sorted(needed)}
        return Signature(reads, {self.of: Write(kind), "verdict": Write(_VERDICT), "hidden": Write(_HIDDEN)})

    async def __call__(self, ctx: Context, **state: Any) -> Mapping[str, Any] | Ask:
        """The verdict, and what may go on."""
        checks: dict[str, Check] = {name: await ctx.resource("checks", name) for name in self.checks}
        given, question = state[self.of], state.get("question") or ""
        hidden: Mapping[str, str] = state.get("hidden") or {}
        screened: tuple[Any, Verdict, Mapping[str, str]]
        if self.of == "documents":
            screened = await _documents(checks, given, question, hidden)
        elif self.of == "answer":
            screened = await _answer(checks, given, Subject(question, state.get("documents") or ()), hidden)
        else:
            screened = await screen(checks, given, Subject(given if self.of == "question" else question), hidden)
        passed, verdict, hidden = screened
        if verdict.action == "ask":
            if not ctx.answers:
                return _asked(self.of, given, verdict)
            approved = ctx.answers[-1] is True
            verdict = verdict.model_copy(update={"passed": approved, "action": "allow" if approved else "block"})
        if self.clears and not verdict.passed:  # no route that goes on all the same may take it for cleared
            passed = _nothing(passed)
        return {self.of: passed, "verdict": verdict, "hidden": dict(hidden)}


async def _answer(
    checks: Mapping[str, Check], answer: Answer, subject: Subject, hidden: Mapping[str, str]
) -> tuple[Answer, Verdict, Mapping[str, str]]:
    """The answer; what its citations quote may show no more than its text."""
    text, verdict, hidden = await screen(checks, answer.text, subject, hidden)
    cited = []
    for citation in answer.citations:
        quote, quoted, hidden = await screen(checks, citation.quote, subject, hidden)
        cited.append(citation.model_copy(update={"quote": quote if quoted.passed else ""}))
    return answer.model_copy(update={"text": text, "citations": tuple(cited)}), verdict, hidden


async def _documents(
    checks: Mapping[str, Check], documents: Sequence[Document], question: str, hidden: Mapping[str, str]
) -> tuple[list[Document], Verdict, Mapping[str, str]]:
    """Those that may go on; passed if one of them may, or there was none."""
    kept: list[Document] = []
    verdicts: list[Verdict] = []
    for document in documents:
        title, titled, hidden = await screen(checks, document.title, Subject(question), hidden)
        text, verdict, hidden = await screen(checks, document.text, Subject(question), hidden)
        both = (titled, verdict)
        verdicts += [
            one.model_copy(update={"reasons": tuple(f"{document.id}: {why}" for why in one.reasons)}) for one in both
        ]
        if all(one.passed for one in both):
            changed = {"title": title, "text": text} if (title, text) != (document.title, document.text) else None
            kept.append(document.model_copy(update=changed) if changed else document)
    strongest = max((one.action for one in verdicts), key=STRENGTH.index, default="allow")
    reasons = tuple(reason for one in verdicts for reason in one.reasons)
    return kept, Verdict(passed=bool(kept) or not documents, action=strongest, reasons=reasons), hidden


def _nothing(given: Any) -> Any:
    """What stands in the place of what was blocked."""
    if isinstance(given, Answer):
        return Answer(text="", confidence=0.0)
    return [] if isinstance(given, (list, tuple)) else ""


def _asked(of: str, given: Any, verdict: Verdict) -> Ask:
    """Whether what was found may pass; the text is shown, since who decides has to read it."""
    why = "".join(f"\n- {reason}" for reason in verdict.reasons)
    return Ask(question=f"May this {of} pass?{why}\n{_shown(given)}", schema={"type": "boolean"})


def _shown(given: Any) -> str:
    texts = [one.text for one in given] if isinstance(given, (list, tuple)) else [str(given)]
    text = "\n".join(texts)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}… ({len(text):,} characters)"


def _needs(resources: Resources, name: str) -> Sequence[str]:
    """What a check holds a text against; nothing of one whose settings are wrong, which is told of elsewhere."""
    check = resources.as_declared("checks", name)
    return check.needs if isinstance(check, Check) else ()


class Revealed(TypedDict):
    """What a reveal writes."""

    answer: Answer


class Reveal(Node, type="reveal"):
    """Show the values again that a guardrail hid from the model: tags in the answer become what they stood for."""

    inline = True
    example = "reveal: {type: reveal}"

    def __call__(self, answer: Answer, hidden: dict[str, str]) -> Revealed:
        """The answer as its reader should see it."""
        cited = tuple(one.model_copy(update={"quote": restore(one.quote, hidden)}) for one in answer.citations)
        return {"answer": answer.model_copy(update={"text": restore(answer.text, hidden), "citations": cited})}
