"""The check `links`: addresses by which a text that is shown could carry something out, or lead somebody on."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Sequence
from typing import ClassVar, Literal, NamedTuple
from urllib.parse import urlsplit

from pydantic import Field

from ragweave.orchestrator.guardrails.check import Action, Check, Finding, Subject
from ragweave.orchestrator.guardrails.undecided import last_word

_LONGEST = 4_096
"""Characters of an address with the syntax around it that are looked at."""
_IGNORED = re.compile(r"[\x00-\x20\x7f\u00ad\u180e\u200b-\u200f\u2028-\u202e\u2060-\u2064\ufeff]")
"""What browsers leave out of an address, and what cannot be seen in one."""
_ATTRIBUTE = (
    r"(?:(?:xlink:)?href|src|srcset|action|formaction|background|poster|data|ping|cite|code|codebase|manifest|content)"
)
_QUOTED = r"\"[^\"]{0,800}\"|'[^']{0,800}'"
_URL = r"[^\s<>\"'`)\]}]{1,2083}"
_IMAGE = re.compile(
    r"(?P<image>!?)\[[^\[\]\n]{0,600}\]\([ \t\n]{0,8}<?(?P<at>[^\s<>()]{1,2083}(?:\([^\s<>()]{0,500}\))?)"
)
"""[text](address) and ![image](address) of Markdown."""
_DEFINED = re.compile(r"^[ >\t]{0,8}\[[^\]\n]{1,300}\]:[ \t]{0,8}\n?[ \t]{0,8}<?(?P<at>[^\s<>]{1,2083})", re.MULTILINE)
"""[name]: address, which an image may go by."""
_TAG = re.compile(
    rf"<(?P<tag>[a-z][a-z0-9:-]{{0,20}})\b(?:[^<>\"']|{_QUOTED}){{0,800}}?[\s/\"']{_ATTRIBUTE}\s{{0,8}}=\s{{0,8}}"
    r"(?:\"(?P<at>[^\"]{1,2083})|'(?P<at2>[^']{1,2083})|(?P<at3>[^\s\"'<>]{1,2083}))",
    re.IGNORECASE,
)
_STYLE = re.compile(
    r"\burl\(\s{0,8}[\"']?(?P<at>[^\s\"')]{1,2083})|@import\s{1,8}[\"'](?P<at2>[^\"']{1,2083})", re.IGNORECASE
)
_BARE = re.compile(
    rf"(?<![A-Za-z0-9])(?:[a-z][a-z0-9+.-]{{1,12}}:(?://|\\\\){_URL}|(?:data|javascript|vbscript):{_URL}|www\.{_URL})",
    re.IGNORECASE,
)
_WRITTEN = ((_IMAGE, ("](",)), (_DEFINED, ("]:",)), (_TAG, ("<",)), (_STYLE, ("url(", "@import")))
"""Each with what stands, in lower case, in every text that has one: looking for that takes no time."""
_SCHEMES = ("://", ":\\\\", "data:", "script:", "www.")
_TRAIL = ".,;:!?*_"
_FOLLOWED = frozenset(("a", "area", "form", "button", "blockquote", "q"))
"""HTML elements whose address is followed only when somebody clicks; any other may load it at once."""


class Place(NamedTuple):
    """An address in a text, as it is written there, and whether a reader's program loads it without being asked."""

    begin: int
    end: int
    target: str
    loaded: bool


class Links(Check, type="links"):
    """Addresses of other hosts than those that are allowed: links, images, what HTML loads, scripts in addresses.

    An image is loaded as soon as the text is shown, so an address that a model was talked into can carry out what it
    knows; images are taken out unless their host is allowed. A link may also stand letter by letter in the sources.
    """

    needs: ClassVar[Sequence[Literal["question", "documents"]]] = ("documents",)

    action: Action = Field("redact", description="What is done about an address.")
    hosts: list[str] = Field(
        [], description="Hosts that may be linked to and loaded from; *.example.org for all below."
    )
    cited: bool = Field(True, description="Whether links (not images) may pass that stand in the sources as they are.")

    @property
    def window(self) -> int | None:
        """That of an address with the syntax around it."""
        return _LONGEST

    def decided(self, text: str) -> int:
        """All but the last word, and syntax that is not at its end."""
        cut, first = last_word(text, _LONGEST), max(0, len(text) - _LONGEST)
        for opened, closed in (("<", ">"), ("](", ")"), ("[", "]"), ("url(", ")"), ("@import", ";")):
            at = text.rfind(opened, first)
            if at >= 0 and text.find(closed, at + len(opened)) < 0:
                cut = min(cut, at)
        tail = text.rfind("[", first, cut)
        if tail >= 0 and text.find("]", tail) >= len(text) - 12:  # [text] of which ( or : may come
            cut = min(cut, tail)
        return max(first, cut - 1 if 0 < cut <= len(text) and text[cut - 1] == "!" else cut)

    async def find(self, text: str, subject: Subject) -> Sequence[Finding]:
        """The addresses that may not pass."""
        sources = " ".join(document.text for document in subject.documents) if self.cited else ""
        found: list[Finding] = []
        for place in sorted(_places(text)):
            label = self._label(place, sources)
            if label and (not found or place.begin >= found[-1].end):
                found.append(Finding(place.begin, place.end, label, _REASONS[label]))
        return found

    def _label(self, place: Place, sources: str) -> str:
        target = _IGNORED.sub("", html.unescape(place.target)).replace("\\", "/")
        scheme = re.match(r"([a-z][a-z0-9+.-]*):", target, re.IGNORECASE)
        if scheme is None and not target.startswith("//"):
            if not target.lower().startswith("www."):
                return ""  # a place in the same document, or beside it
            target = f"//{target}"
        kind = scheme[1].lower() if scheme is not None else "https"
        if kind in ("mailto", "tel", "sms"):
            return ""
        if kind not in ("http", "https", "ftp"):
            return "SCRIPT_ADDRESS"
        try:
            parts = urlsplit(target)
            host = (parts.hostname or "").rstrip(".")
        except ValueError:
            host, parts = "", None
        if parts is not None and parts.username is None and any(_matches(host, allowed) for allowed in self.hosts):
            return ""
        if place.loaded:
            return "REMOTE_IMAGE"
        return "" if sources and _stands(place.target, sources) else "LINK"


_REASONS = {
    "SCRIPT_ADDRESS": "an address runs a program or holds a file instead of leading to a host",
    "REMOTE_IMAGE": "something would be loaded from a host that is not allowed, as soon as it is shown",
    "LINK": "a link leads to a host that is not allowed, and is in no source",
}


def _places(text: str) -> Iterator[Place]:
    taken: list[tuple[int, int]] = []
    lowered = text.lower()
    for shape, hints in _WRITTEN:
        for match in shape.finditer(text) if any(hint in lowered for hint in hints) else ():
            named = match.groupdict()
            group = next((name for name in ("at", "at2", "at3") if named.get(name)), None)
            if group is not None:
                clicked = named.get("image") == "" or (named.get("tag") or "").lower() in _FOLLOWED
                taken.append(match.span(group))
                yield Place(*match.span(group), match[group], not clicked)
    for match in _BARE.finditer(text) if any(hint in lowered for hint in _SCHEMES) else ():
        target = match[0].rstrip(_TRAIL)
        if not any(begin < match.end() and match.start() < end for begin, end in taken):
            yield Place(match.start(), match.start() + len(target), target, False)


def _matches(host: str, allowed: str) -> bool:
    host, allowed = host.lower(), allowed.lower()
    return host == allowed or (allowed.startswith("*.") and host.endswith(allowed[1:]))


def _stands(target: str, sources: str) -> bool:
    """True if a source has this very address, and not only the beginning of it in a longer one."""
    at = sources.find(target)
    while at >= 0:
        behind = sources[at + len(target) : at + len(target) + 1]
        if not behind or behind.isspace() or behind in "<>\"'`)]}.,;:!?*_":
            return True
        at = sources.find(target, at + 1)
    return False
