"""Personal data: exact places in letters that were made for it."""

from __future__ import annotations

import json
from collections import Counter

from tables import Line, data, share

from ragweave.orchestrator.guardrails.check import Subject
from ragweave.orchestrator.guardrails.pii.check import Pii
from ragweave.orchestrator.guardrails.screening import restore, screen

KINDS = ("PHONE_NUMBER", "CREDIT_CARD", "DOMAIN_NAME", "EMAIL_ADDRESS", "US_SSN", "IBAN_CODE")


async def personal_data() -> list[Line]:
    """F1 of exact places, over all kinds and for each, and whether redaction can be undone."""
    check = Pii(kinds=list(KINDS))
    right, found, wanted = Counter[str](), Counter[str](), Counter[str]()
    rows = [json.loads(line) for line in (data("pii") / "texts.jsonl").read_text(encoding="utf-8").splitlines()]
    same = 0
    for row in rows:
        gold = {(one["start"], one["end"], one["type"]) for one in row["spans"] if one["type"] in KINDS}
        places = {(one.begin, one.end, one.label) for one in await check.find(row["text"], Subject())}
        right.update(label for *_, label in gold & places)
        found.update(label for *_, label in places)
        wanted.update(label for *_, label in gold)
        screened = await screen({"pii": check}, row["text"], Subject())
        same += restore(screened.text, screened.hidden) == row["text"]
    micro = 2 * right.total() / max(1, found.total() + wanted.total())
    each = ", ".join(
        f"{kind} {2 * right[kind] / max(1, found[kind] + wanted[kind]):.3f} of {wanted[kind]}" for kind in KINDS
    )
    return [
        Line(
            f"personal data: F1 of exact places in {len(rows)} letters",
            "≥ .90",
            f"{micro:.3f} of {wanted.total()}",
            micro >= 0.9,
            (f"personal data, by kind: {each}; the rules were written with these letters at hand",),
        ),
        Line(
            "personal data: texts that are the same when redaction is undone",
            "all",
            share(same, len(rows)),
            same == len(rows),
        ),
    ]
