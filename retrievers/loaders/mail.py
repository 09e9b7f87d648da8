"""E-mail: single messages and mailboxes, through the standard library."""

from __future__ import annotations

import re
from collections.abc import Iterator
from email import policy
from email.message import EmailMessage
from email.parser import BytesParser
from email.utils import parsedate_to_datetime
from typing import Any

from ragweave.orchestrator.errors import MissingExtra
from ragweave.retrievers.loaders import loader
from ragweave.retrievers.loaders.markup import markdown, parse_html
from ragweave.retrievers.loaders.texts import name_of
from ragweave.retrievers.sourcetext import Heading, Place, SourceText, Unreadable

_PARSER = BytesParser(policy=policy.default)
_FROM = re.compile(rb"^From \S+[ \t][^\n]*\d:\d\d[^\n]*\n", re.MULTILINE)
_QUOTED = re.compile(rb"^>(>*From )", re.MULTILINE)


@loader("eml", version="1")
def load_mail(source: str, data: bytes) -> SourceText:
    """One message: its text (of HTML if it has no other), who wrote it to whom, when, and the names of attachments."""
    if b"\0" in data[:4096]:
        raise Unreadable("binary, no e-mail")
    subject, metadata, text = _message(data)
    if not metadata and not subject:
        raise Unreadable("no e-mail: it has no header")
    return SourceText(source, text, 0, subject or name_of(source), metadata, (), (), is_original=False)


@loader("mbox", version="1")
def load_mailbox(source: str, data: bytes) -> SourceText:
    """A mailbox: each message under its subject."""
    parts: list[str] = []
    headings: list[Heading] = []
    places: list[Place] = []
    length = 0
    for number, raw in enumerate(_split(data), start=1):
        subject, metadata, text = _message(raw)
        if not text.strip():
            continue
        headings.append(Heading(length, 1, subject or f"Message {number}"))
        places.append(Place(length, {"message": number, **metadata}, is_document=True))
        parts.append(text + "\n\n")
        length += len(parts[-1])
    if not parts:
        raise Unreadable("no text in it")
    return SourceText(
        source, "".join(parts), 0, name_of(source), {}, (), tuple(headings), tuple(places), is_original=False
    )


def _split(data: bytes) -> Iterator[bytes]:
    """The messages of a mailbox; `From`, an address and a date begin one, at the top or after a blank line."""
    starts = [
        (match.start(), match.end())
        for match in _FROM.finditer(data)
        if match.start() == 0 or data[max(0, match.start() - 4) : match.start()].endswith((b"\n\n", b"\n\r\n"))
    ]
    if not starts:
        raise Unreadable("no mailbox: no message begins with a 'From ' line")
    for (_, begin), (end, _) in zip(starts, [*starts[1:], (len(data), 0)], strict=True):
        yield _QUOTED.sub(rb"\1", data[begin:end])


def written(subject: str, metadata: dict[str, Any], body: str) -> str:
    """A message as text: what a reader sees above it, then the body."""
    names = {"from": "From", "to": "To", "cc": "Cc", "date": "Date", "attachments": "Attachments"}
    lines = [f"Subject: {subject}"] if subject else []
    for key, name in names.items():
        if value := metadata.get(key):
            lines.append(f"{name}: {', '.join(value) if isinstance(value, list) else value}")
    return "\n".join(lines) + "\n\n" + body.strip() + "\n"


def _message(data: bytes) -> tuple[str, dict[str, Any], str]:
    message = _PARSER.parsebytes(data)
    assert isinstance(message, EmailMessage)
    subject = _header(message, "subject")
    metadata: dict[str, Any] = {name: value for name in ("from", "to", "cc") if (value := _header(message, name))}
    if date := _date(message):
        metadata["date"] = date
    attached = [name for part in message.iter_attachments() if (name := part.get_filename())]
    if attached:
        metadata["attachments"] = attached
    return subject, metadata, written(subject, metadata, _body(message))


def _body(message: EmailMessage) -> str:
    part = message.get_body(("plain", "html"))
    if part is None:
        return ""
    try:
        text = str(part.get_content())
    except (LookupError, ValueError, KeyError):  # a charset that nobody knows
        payload = part.get_payload(decode=True)
        text = payload.decode("utf-8", "replace") if isinstance(payload, bytes) else ""
    if part.get_content_type() == "text/html":
        try:
            root = parse_html(text)
        except MissingExtra:
            return re.sub(r"<[^<>]*>", " ", text)
        return markdown(root, whole=True) if root is not None else ""
    return text.replace("\r\n", "\n")


def _header(message: EmailMessage, name: str) -> str:
    try:
        return " ".join(str(message.get(name, "")).split())
    except (ValueError, IndexError, AttributeError):  # the parser of the standard library fails on some addresses
        return " ".join(str(dict(message.raw_items()).get(name.title(), "")).split())


def _date(message: EmailMessage) -> str:
    try:
        return parsedate_to_datetime(_header(message, "date")).isoformat()
    except (ValueError, TypeError, IndexError):
        return ""
