"""The bytes of a row: what they say of themselves, so that a damaged one is told from a good one."""

from __future__ import annotations

import zlib
from typing import Protocol

from ragweave.orchestrator.errors import JournalError

PLAIN, SQUEEZED, SEALED = 0, 1, 2
SQUEEZE_FROM = 512
"""Bytes below which compressing costs more time than the room is worth."""
SHORT = 8192
"""Bytes up to which a small window does: getting a large one ready takes six times as long as a text of 1 KB."""
_UNFOLDED = 4
"""Times the bytes of a row that it unfolds to, for most: room is taken for so many at once."""
LARGEST = 1 << 27
"""Bytes that a row, and a value with all that it names, may unfold to: a forged one must not fill the memory."""
_SURELY = LARGEST // 1032
"""Bytes that cannot unfold to more than the largest, for deflate makes each no more than 1032."""
SAMPLE = 16384
"""Bytes of a large row by which it is told whether compressing helps: with images it does not."""


UNREADABLE = (JournalError, ValueError, TypeError, LookupError, AttributeError, RecursionError)
"""What reading bytes raises that are not what was packed."""


class Cipher(Protocol):
    """Encryption at rest. `bound` is what else has to be as it was when the bytes were sealed."""

    secret: bytes
    """For naming values: without it nobody can tell what a name stands for."""

    def seal(self, data: bytes, bound: bytes) -> bytes:
        """The bytes, unreadable without the key."""

    def unseal(self, data: bytes, bound: bytes) -> bytes:
        """The bytes as they were. Raises JournalError if they or `bound` are not."""


def pack(data: bytes, bound: bytes, cipher: Cipher | None = None) -> bytes:
    """The bytes of a row: compressed if that helps, encrypted if there is a cipher, else with a checksum."""
    kind = PLAIN
    if len(data) >= SQUEEZE_FROM and (len(data) < 8 * SAMPLE or _helps(data)):
        squeezed = squeeze(data)
        if len(squeezed) < 0.9 * len(data):
            kind, data = SQUEEZED, squeezed
    if cipher is not None:
        return bytes([kind | SEALED]) + cipher.seal(data, bytes([kind]) + bound)
    return bytes([kind]) + zlib.crc32(data, zlib.crc32(bound)).to_bytes(4, "big") + data


def unpack(row: bytes, bound: bytes, cipher: Cipher | None = None) -> bytes:
    """What was packed. Raises JournalError for bytes that are not what they were, or that lack their key."""
    kind = row[0] if row else -1
    if kind not in (PLAIN, SQUEEZED, PLAIN | SEALED, SQUEEZED | SEALED):
        raise JournalError("the journal is damaged: a row of it is of no known form")
    if kind & SEALED:
        if cipher is None:
            raise JournalError("the journal is encrypted", hint="set encrypt to the key that it was written with")
        data = cipher.unseal(row[1:], bytes([kind & ~SEALED]) + bound)
    elif cipher is not None:
        raise JournalError("a row of the encrypted journal is not encrypted: somebody else has written it")
    else:
        data = row[5:]
        if zlib.crc32(data, zlib.crc32(bound)).to_bytes(4, "big") != row[1:5]:
            raise JournalError("the journal is damaged: the checksum of a row does not fit")
    if not kind & SQUEEZED:
        return data
    return unsqueeze(data)


def row_bytes(value: object) -> bytes:
    """The bytes that a database gave for a row. Raises JournalError if it holds something else there."""
    if isinstance(value, (bytes, memoryview)):
        return bytes(value)
    raise JournalError(f"the journal is damaged: a row of it holds {str(value)[:40]!r} in the place of bytes")


def _helps(data: bytes) -> bool:
    middle = len(data) // 2
    return len(squeeze(data[middle : middle + SAMPLE])) < 0.9 * SAMPLE


def squeeze(data: bytes) -> bytes:
    """The bytes, compressed (raw deflate)."""
    short = len(data) <= SHORT
    squeezing = zlib.compressobj(1, zlib.DEFLATED, -12 if short else -15, 4 if short else 8)
    return squeezing.compress(data) + squeezing.flush()


def unsqueeze(data: bytes) -> bytes:
    """What was compressed. Raises JournalError for what was not, or unfolds to more than anybody stores."""
    unfolding = zlib.decompressobj(-15)
    try:
        if len(data) <= _SURELY:  # in one step, which needs no window beside what it gives
            return zlib.decompress(data, -15, _UNFOLDED * len(data) + 1)
        unfolded = unfolding.decompress(data, LARGEST)
    except zlib.error as error:
        raise JournalError(f"the journal is damaged: {error}") from None
    if unfolding.unconsumed_tail or not unfolding.eof:
        raise JournalError("the journal is damaged: a row of it is cut off, or too large")
    return unfolded
