"""The checks `markup` and `invisible`: what a program that shows a text would run, and what nobody sees in it."""

from __future__ import annotations

import html
import re
from collections.abc import Sequence

from pydantic import Field, field_validator

from ragweave.orchestrator.guardrails.check import Action, Check, Finding, Subject

_LONGEST = 4_096
"""Characters of a tag that are looked at; a longer one is cut there."""
_TAG = re.compile(r"<(?:!--|(?P<close>/?)(?P<name>[A-Za-z][A-Za-z0-9:-]{0,40})(?P<rest>[^<>]{0,4000})(?P<end>>?)|[!?])")
_RUNS = frozenset(
    (
        "script", "iframe", "frame", "object", "embed", "applet", "form", "input", "button", "meta", "base", "link",
        "style", "svg", "math", "template", "audio", "video", "img",
    )
)  # fmt: skip
_HANDLER = re.compile(r"[\s/\"']on[a-z]{3,30}\s{0,8}=|[\s/\"']style\s{0,8}=|javascript:|vbscript:", re.IGNORECASE)
_INVISIBLE = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\u3164\ufeff\uffa0"
    "\ufff9-\ufffb\U0001d173-\U0001d17a\U000e0000-\U000e0fff]+|(?<=[\ufe00-\ufe0f])[\ufe00-\ufe0f]+"
)
"""Without the joiners U+200C and U+200D, which scripts and emoji need, and single variation selectors."""


class Markup(Check, type="markup"):
    """HTML: tags are shown as text instead of being obeyed, so that no script, form or frame of a model's is run."""

    action: Action = Field("rewrite", description="What is done about a tag; rewrite shows it as text.")
    allowed: list[str] = Field(
        [], description="Elements that may stay, if they have no handler and no style: b, em, table."
    )

    @field_validator("allowed")
    @classmethod
    def _harmless(cls, allowed: list[str]) -> list[str]:
        for name in allowed:
            if name.lower() in _RUNS:
                raise ValueError(f"{name!r} cannot be allowed: it loads or runs something")
        return [name.lower() for name in allowed]

    @property
    def window(self) -> int | None:
        """That of a tag."""
        return _LONGEST

    def decided(self, text: str) -> int:
        """All but a tag that is not at its end."""
        at = text.rfind("<", max(0, len(text) - _LONGEST))
        return at if at >= 0 and ">" not in text[at:] else len(text)

    async def find(self, text: str, subject: Subject) -> Sequence[Finding]:
        """The tags that are not allowed; of a comment, its beginning."""
        found = []
        for match in _TAG.finditer(text):
            name = (match["name"] or "").lower()
            runs = name in _RUNS or _HANDLER.search(match["rest"] or "") is not None
            if name in self.allowed and match["end"] and not runs:
                continue
            label = "SCRIPT" if runs else "HTML"
            why = "HTML that loads or runs something" if runs else "HTML that is not allowed"
            found.append(Finding(*match.span(), label, why, instead=html.escape(match[0])))
        return found


class Invisible(Check, type="invisible"):
    """Characters that nobody sees, in which a text can tell a model what its reader does not: taken out.

    Zero-width characters, marks of direction, tag characters. The joiners of scripts and emoji stay.
    """

    action: Action = Field("rewrite", description="What is done about such characters; rewrite takes them out.")

    @property
    def window(self) -> int | None:
        """That of one character."""
        return 1

    async def find(self, text: str, subject: Subject) -> Sequence[Finding]:
        """The runs of such characters."""
        said = "it has characters that cannot be seen"
        return [Finding(*match.span(), "INVISIBLE", said, instead="") for match in _INVISIBLE.finditer(text)]
