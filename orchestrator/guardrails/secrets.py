"""The check `secrets`: keys, tokens and passwords."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from pydantic import Field

from ragweave.orchestrator.guardrails.check import Action, Check, Finding, Subject
from ragweave.orchestrator.guardrails.undecided import last_word

_LONGEST = 8_192
"""Characters of the longest secret: a private key with its lines."""
_BEFORE = 260
"""Characters that a name such as `password` and its value in quotes may take."""


def _token(pattern: str) -> re.Pattern[str]:
    return re.compile(rf"(?<![\w-])(?:{pattern})(?![\w-])")


_SHAPES: Mapping[str, re.Pattern[str]] = {
    "PRIVATE_KEY": re.compile(
        r"-----BEGIN (?:[A-Z0-9]{1,12} ){0,3}PRIVATE KEY(?: BLOCK)?-----(?:(?!-----BEGIN)[\s\S]){0,8000}?"
        r"(?:-----END (?:[A-Z0-9]{1,12} ){0,3}PRIVATE KEY(?: BLOCK)?-----|\Z)"
    ),
    "AWS_KEY": _token(r"(?:AKIA|ASIA|ABIA|ACCA)[A-Z2-7]{16}"),
    "GITHUB_TOKEN": _token(r"gh[pousr]_[A-Za-z0-9]{36,255}|github_pat_[A-Za-z0-9_]{60,255}"),
    "GITLAB_TOKEN": _token(r"gl(?:pat|ptt|rt|dt|soat)-[\w-]{20,64}"),
    "SLACK_TOKEN": _token(r"xox[abeoprs]-[A-Za-z0-9-]{10,250}|xapp-\d-[A-Za-z0-9-]{20,250}"),
    "STRIPE_KEY": _token(r"(?:sk|rk|whsec)_(?:live_|test_)?[A-Za-z0-9]{20,250}"),
    "GOOGLE_KEY": _token(r"AIza[\w-]{35}|GOCSPX-[\w-]{28}|ya29\.[\w-]{20,500}"),
    "MODEL_KEY": _token(
        r"sk-(?:ant-|proj-|or-|svcacct-)?[A-Za-z0-9_-]{20,250}|hf_[A-Za-z0-9]{30,60}|gsk_[A-Za-z0-9]{40,60}"
    ),
    "NPM_TOKEN": _token(r"npm_[A-Za-z0-9]{36}"),
    "PYPI_TOKEN": _token(r"pypi-[\w-]{50,500}"),
    "SENDGRID_KEY": _token(r"SG\.[\w-]{16,32}\.[\w-]{16,64}"),
    "TWILIO_KEY": _token(r"(?:SK|AC)[0-9a-f]{32}"),
    "TELEGRAM_TOKEN": _token(r"\d{8,10}:AA[\w-]{33}"),
    "DISCORD_TOKEN": _token(r"[MNO][\w-]{23,25}\.[\w-]{6}\.[\w-]{27,38}"),
    "WEBHOOK": re.compile(r"https://(?:hooks\.slack\.com/services|discord(?:app)?\.com/api/webhooks)/[\w/-]{20,200}"),
    "AZURE_KEY": re.compile(r"(?<=AccountKey=)[A-Za-z0-9+/]{86}=="),
    "JWT": _token(r"eyJ[\w-]{10,2000}\.eyJ[\w-]{10,3000}\.[\w-]{10,1000}"),
    "PASSWORD_IN_URL": re.compile(r"(?<=://)[^\s/:@'\"<>]{1,64}:[^\s/@'\"<>]{1,128}(?=@[\w.\[-])"),
}
_HINTS: Mapping[str, Sequence[str]] = {
    "PRIVATE_KEY": ("-----BEGIN",),
    "AWS_KEY": (
        "AKIA",
        "ASIA",
        "ABIA",
        "ACCA",
    ),
    "GITHUB_TOKEN": ("ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_"),
    "GITLAB_TOKEN": ("glpat-", "glptt-", "glrt-", "gldt-", "glsoat-"),
    "SLACK_TOKEN": (
        "xox",
        "xapp-",
    ),
    "STRIPE_KEY": (
        "sk_",
        "rk_",
        "whsec_",
    ),
    "GOOGLE_KEY": (
        "AIza",
        "GOCSPX-",
        "ya29.",
    ),
    "MODEL_KEY": (
        "sk-",
        "hf_",
        "gsk_",
    ),
    "NPM_TOKEN": ("npm_",),
    "PYPI_TOKEN": ("pypi-",),
    "SENDGRID_KEY": ("SG.",),
    "TWILIO_KEY": (
        "SK",
        "AC",
    ),
    "TELEGRAM_TOKEN": (":AA",),
    "DISCORD_TOKEN": (
        "M",
        "N",
        "O",
    ),
    "WEBHOOK": (
        "https://hooks.",
        "https://discord",
    ),
    "AZURE_KEY": ("AccountKey=",),
    "JWT": ("eyJ",),
    "PASSWORD_IN_URL": ("://",),
}
"""What stands in every text that has such a secret, of which looking for it takes no time."""
_END = re.compile(r"-----END (?:[A-Z0-9]{1,12} ){0,3}PRIVATE KEY(?: BLOCK)?-----")
_NAME = (
    r"(?<![A-Za-z])(?:password|passwd|passphrase|pwd|secret(?:[_-]?key)?|api[_-]?key|access[_-]?key|auth[_-]?token"
    r"|access[_-]?token|client[_-]?secret|private[_-]?key|bearer)"
)
_NAMED = re.compile(
    rf"{_NAME}[\"']?(?:\s{{0,4}}(?::=|=>|=|:)\s{{0,4}}|\s{{1,4}}is\s{{1,4}}|(?<=bearer)\s{{1,4}})"
    r"(?:\"(?P<a>[^\"\n]{6,200})\"|'(?P<b>[^'\n]{6,200})'|(?P<c>[^\s\"'`,;(){}<>\[\]]{6,200}))",
    re.IGNORECASE,
)
_NAMES = re.compile(_NAME, re.IGNORECASE)
_NAMING = ("passw", "passphrase", "pwd", "secret", "key", "token", "bearer")
_PLAIN = re.compile(r"[a-z]+|[A-Z][a-z]+|[\W_]+|\$\{?\w+\}?|x{3,}|\*{3,}", re.ASCII)
"""A word of a sentence, a reference to a variable, or a mask: no secret, though it follows the word `password`."""


class Secrets(Check, type="secrets"):
    """Keys of cloud services and models, tokens, private keys, passwords in addresses and behind their name."""

    action: Action = Field("redact", description="What is done about a secret.")

    @property
    def window(self) -> int | None:
        """That of a private key."""
        return _LONGEST + _BEFORE

    def decided(self, text: str) -> int:
        """All but a private key that is not at its end, the last word, and what may name it."""
        opened = text.rfind("-----BEGIN", max(0, len(text) - _LONGEST))
        cut = last_word(text, _LONGEST)
        if opened >= 0 and _END.search(text, opened) is None:
            cut = min(cut, opened)
        named = _NAMES.search(text, max(0, cut - _BEFORE))
        cut = cut if named is None else min(cut, named.start())
        return max(0, cut, len(text) - _LONGEST - _BEFORE)

    async def find(self, text: str, subject: Subject) -> Sequence[Finding]:
        """The secrets, by kind."""
        found = [
            (match.start(), match.end(), label)
            for label, shape in _SHAPES.items()
            if any(hint in text for hint in _HINTS[label])
            for match in shape.finditer(text)
        ]
        lowered = text.lower()
        for match in _NAMED.finditer(text) if any(name in lowered for name in _NAMING) else ():
            group = match.lastgroup or "c"
            if not _PLAIN.fullmatch(match[group]):
                found.append((*match.span(group), "PASSWORD"))
        kept: list[Finding] = []
        for begin, end, label in sorted(found):
            if not kept or begin >= kept[-1].end:
                kept.append(Finding(begin, end, label, f"a {label.lower().replace('_', ' ')} stands in it"))
        return kept
