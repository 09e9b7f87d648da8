"""As much English grammar as questions need: their subjects, what pronouns in them stand for, verbs that they share."""

from __future__ import annotations

import re
from collections.abc import Sequence

from ragweave.orchestrator.models.extraction.words import stem, weight

WH = r"(?:how|what|which|who|whom|whose|when|where|why)"
AUX = (
    r"(?:is|are|was|were|am|be|been|do|does|did|can|could|should|shall|must|may|might|will|would|has|have|had"
    r"|isn't|aren't|wasn't|weren't|don't|doesn't|didn't|can't|won't|shouldn't)"
)
PREPOSITION = (
    r"(?:in|on|at|for|with|from|to|by|into|onto|of|about|during|before|after|until|per|over|under|between|through|as"
    r"|than|if|while|when|that|which|who|where|because|and|or|but|again|exactly|originally|actually|together|up|down"
    r"|off|out)"
)
PRONOUN = r"(?:it|its|they|them|their|theirs|he|him|his|she|her|hers|this|these|those|one|ones|each)"

_UNTIL = rf"(?=\s+(?!of\b|and\b|or\b){PREPOSITION}\b|\s+\w+ing\b|\s*[,;:?.!]|\s*$)"
_SUBJECT = re.compile(rf"\b(?P<aux>{AUX})\s+(?P<run>.+?){_UNTIL}", re.IGNORECASE)
# "do I dry beef jerky in", "does it take to make croissants from": what is done something to.
_ACTED_ON = re.compile(
    rf"\b(?:{AUX}\s+(?:i|we|you|one)\s+\w+|it take(?: \w+)? to \w+)\s+(?P<object>.+?)"
    rf"(?=\s+(?!of\b|and\b){PREPOSITION}\b|\s*[,;?]|\s*$)",
    re.IGNORECASE,
)
_ASKED_FOR = re.compile(
    rf"(?:which|what)\s+((?:\w+\s+){{1,3}}?){AUX}\s+(?!(?:the|an?)\s)(\w+(?:ed|en|wn|ne|id|ft|de)\b.*)", re.IGNORECASE
)
_PARTICIPLE = re.compile(r"(?:ed|en|ing|wn|ne)$")
_NO_SUBJECT = re.compile(rf"{PRONOUN}|i|we|you|there|be", re.IGNORECASE)
_POSSESSIVE = re.compile(r"\b(?:its|their|his|her)\b(?=\s+\w)", re.IGNORECASE)
_STANDS_FOR = re.compile(
    r"\b(?:it|they|them|he|him|she|(?<=have )one|(?<=get )one|(?<=make )one)\b(?!')", re.IGNORECASE
)
_TAIL = re.compile(rf"\b{AUX}\b.*$", re.IGNORECASE | re.DOTALL)
_VERBLESS = re.compile(
    rf"^{WH}(?:\s+(?:many|much|long|old|often|far|hot|strong|big|large|tall|high))?(?:\s+(?:of\s+)?[\w'-]+){{0,3}}\??$",
    re.IGNORECASE,
)
_BARE = re.compile(rf"(?:{WH}|for how long|how (?:long|much|many|often))\??", re.IGNORECASE)
_WHICH_ONE = re.compile(r"(?:which|what) ones?", re.IGNORECASE)


def share_verbs(parts: Sequence[str]) -> list[str]:
    """Clauses that lack a verb, each with that of its neighbour.

    `how many eggs` before `how much milk does it take` becomes `how many eggs does it take`; a lone `why` takes all of
    the clause before it.
    """
    shared = list(parts)
    for place in range(len(shared) - 2, -1, -1):
        tail = _TAIL.search(shared[place + 1])
        lacks = _VERBLESS.match(shared[place]) and not _TAIL.search(shared[place])
        if tail and lacks and not _WHICH_ONE.fullmatch(shared[place]):
            shared[place] = f"{shared[place]} {tail[0]}"
    for place in range(1, len(shared)):
        tail = _TAIL.search(shared[place - 1])
        if tail and _BARE.fullmatch(shared[place]):
            shared[place] = f"{shared[place].rstrip('?')} {tail[0]}"
    return shared


def subject(clause: str) -> str:
    """The subject of a question, by its place behind the auxiliary: `the dough` in `how long must the dough rest`.

    Where what is asked for is the subject itself (`which sauce is served with lamb`), that with all that is said of it;
    where a person acts (`how long do I bake bread`), what is acted on.
    """
    asked_for = _ASKED_FOR.match(clause)
    if asked_for:
        return f"the {asked_for[1].strip()} {asked_for[2].rstrip('?').strip()}"
    match = _SUBJECT.search(clause)
    if not match:
        return ""
    acted_on = _ACTED_ON.search(clause)
    if acted_on and not re.match(rf"(?:{PRONOUN}|{PREPOSITION})\b", acted_on["object"], re.IGNORECASE):
        return acted_on["object"]
    run = match["run"].split()
    copula = match["aux"].lower() in ("is", "are", "was", "were")
    if len(run) > 1 and (not copula or _PARTICIPLE.search(run[-1])):
        run = run[:-1]
    return "" if any(_NO_SUBJECT.fullmatch(word) for word in run) else " ".join(run)


def stands_before(statement: str, frame: str) -> str:
    """What a pronoun means that has nothing before it in its sentence.

    That is what stands before a colon (`lasagna` in `For lasagna: how long …`), else what a statement says is missing
    (`I have no starter yet.`), else the last thing that it names (`It leaves me with egg whites.`).
    """
    topic = re.sub(r"^(?:for|in|with|about|per|as for|regarding)\s+", "", frame.strip(" ,.:;"), flags=re.IGNORECASE)
    if topic and len(topic.split()) <= 6:
        return topic
    missing = re.search(r"\b(?:no|any|without)\s+(?:an?\s+|more\s+)?([\w-]+)", statement, re.IGNORECASE)
    if missing and weight(stem(missing[1])) == 1.0:
        return f"the {missing[1]}"
    last = re.search(r"(?:[\w-]+\s+)?[\w-]+(?=\W*$)", statement)
    named = [word for word in last[0].split() if weight(stem(word)) == 1.0] if last else []
    return f"the {' '.join(named)}" if named and len(statement.split()) > 2 else ""


def resolve(clause: str, antecedent: str) -> str:
    """The clause with its first pronoun replaced by what it stands for."""
    if not antecedent:
        return clause
    pronoun = _STANDS_FOR.search(clause)
    if pronoun:
        return clause[: pronoun.start()] + antecedent + clause[pronoun.end() :]
    possessive = _POSSESSIVE.search(clause)
    if possessive:
        return f"{clause[: possessive.start()]}{antecedent}'s{clause[possessive.end() :]}"
    return clause
