"""Messages saved by Outlook (.msg), through olefile. Names of the streams: Microsoft's [MS-OXMSG] and [MS-OXPROPS]."""

from __future__ import annotations

import io
from typing import Any

from ragweave.retrievers.loaders import cannot_import, loader
from ragweave.retrievers.loaders.mail import written
from ragweave.retrievers.loaders.markup import markdown, parse_html
from ragweave.retrievers.loaders.texts import name_of
from ragweave.retrievers.loaders.web import decode_html
from ragweave.retrievers.sourcetext import SourceText, Unreadable

_SUBJECT, _BODY, _HTML, _SENDER, _ADDRESS, _TO, _CC = "0037", "1000", "1013", "0C1A", "0C1F", "0E04", "0E03"
_LONG_NAME, _SHORT_NAME = "3707", "3704"


@loader("msg", version="1")
def load_msg(source: str, data: bytes) -> SourceText:
    """One message: subject, sender, receivers, body, names of attachments."""
    try:
        import olefile
    except ImportError as error:
        raise cannot_import("reading MSG", error) from None
    if not olefile.isOleFile(io.BytesIO(data)):
        raise Unreadable("no Outlook message")
    with olefile.OleFileIO(io.BytesIO(data)) as file:
        subject = _text(file, [], _SUBJECT)
        sender = [_text(file, [], _SENDER), _text(file, [], _ADDRESS)]
        metadata: dict[str, Any] = {
            "from": " ".join(part for part in dict.fromkeys(sender) if part),
            "to": _text(file, [], _TO),
            "cc": _text(file, [], _CC),
            "attachments": _attachments(file),
        }
        body = _text(file, [], _BODY) or _html(file)
    if not subject and not body:
        raise Unreadable("no Outlook message: it has neither subject nor body")
    metadata = {key: value for key, value in metadata.items() if value}
    text = written(subject, metadata, body.replace("\r\n", "\n"))
    return SourceText(source, text, 0, subject or name_of(source), metadata, (), (), is_original=False)


def _text(file: Any, folder: list[str], key: str) -> str:
    """A property that is text, in Unicode or in the sender's code page."""
    for kind, encoding in (("001F", "utf-16-le"), ("001E", "cp1252")):
        name = [*folder, f"__substg1.0_{key}{kind}"]
        if file.exists(name):
            with file.openstream(name) as stream:
                return str(stream.read().decode(encoding, "replace").rstrip("\0").strip())
    return ""


def _html(file: Any) -> str:
    name = f"__substg1.0_{_HTML}0102"
    if not file.exists(name):
        return ""
    with file.openstream(name) as stream:
        root = parse_html(decode_html(stream.read())[0])
    return markdown(root, whole=True) if root is not None else ""


def _attachments(file: Any) -> list[str]:
    folders = sorted({path[0] for path in file.listdir() if path[0].startswith("__attach")})
    names = [_text(file, [folder], _LONG_NAME) or _text(file, [folder], _SHORT_NAME) for folder in folders]
    return [name for name in names if name]
