"""Bytes as text: UTF-8, UTF-16, else what the letters make likely."""

from __future__ import annotations

import re

from ragweave.retrievers.sourcetext import Unreadable

_CONTROL = re.compile(r"[\x01-\x08\x0e-\x1a\x1c-\x1f\x7f]")
_LOOKED_AT = 64 * 1024
_FOREIGN = 0.2
# What a charset is called by Python and by people; in the order in which they are tried.
_CHARSETS = {
    "cp932": "Shift-JIS", "euc_jp": "EUC-JP", "gb18030": "GB 18030", "big5": "Big5", "euc_kr": "EUC-KR",
    "cp1251": "Windows-1251", "koi8_r": "KOI8-R", "cp1253": "Windows-1253", "cp1255": "Windows-1255",
    "cp1256": "Windows-1256",
}  # fmt: skip


def decode(data: bytes) -> tuple[str, tuple[str, ...]]:
    """The text, and a note where it is not UTF-8. Raises Unreadable if these bytes are no text.

    Bytes that are mostly ASCII are Windows-1252; where a fifth or more of them are not, charset-normalizer says, if it
    is installed, which script they are of.
    """
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        try:
            return data.decode("utf-16"), ("read as UTF-16",)
        except UnicodeDecodeError:
            raise _no_text() from None
    if b"\0" in data:
        raise _no_text()
    try:
        return data.decode("utf-8-sig"), ()
    except UnicodeDecodeError:
        pass
    found = _foreign(data) or _western(data)
    if found is None:
        raise _no_text()
    return found


def _western(data: bytes) -> tuple[str, tuple[str, ...]] | None:
    try:
        text = data.decode("cp1252")
    except UnicodeDecodeError:
        return None
    if len(_CONTROL.findall(text)) > len(text) / 100:
        return None
    return text, ("not UTF-8; read as Latin-1 (Windows-1252)",)


def _foreign(data: bytes) -> tuple[str, tuple[str, ...]] | None:
    start = data[:_LOOKED_AT]
    share = sum(byte > 127 for byte in start) / len(start)
    if share < _FOREIGN or len(start) < 16:
        return None
    try:
        from charset_normalizer import from_bytes
    except ImportError:
        return None
    best = from_bytes(start, cp_isolation=[*_CHARSETS, "cp1252"]).best()
    if best is None or best.encoding not in _CHARSETS:
        return None
    try:
        return data.decode(best.encoding), (f"not UTF-8; read as {_CHARSETS[best.encoding]}",)
    except UnicodeDecodeError:
        return None


def _no_text() -> Unreadable:
    return Unreadable("binary, or in an encoding that is neither UTF-8, UTF-16 nor Latin-1")
