"""Encryption at rest: AES-256-GCM with the key that the user gives, and the mark by which a store knows its key.

Rows are encrypted; what a store has to search and sort by is not: ids of runs and threads, users, tenants, names of
graphs, status, times, sizes, and which rows belong together.
"""

from __future__ import annotations

import hashlib
import hmac
import os
from base64 import b64decode
from typing import Any

from ragweave.orchestrator.errors import JournalError, MissingExtra, ResourceError
from ragweave.orchestrator.stores.database import Cursor
from ragweave.orchestrator.stores.packing import Cipher, pack, row_bytes, unpack

KEY = 32
"""Bytes of a key."""
NONCE = 12
MAKE = "python -c 'import secrets; print(secrets.token_hex(32))'"
"""A command that prints a new key."""
_LIKELY = 8
"""Different bytes that a random key has at least, but for one in 10**25."""
_MARK = b"ragweave journal"
_PLACE = b"seal"
_HOLDING = (
    "SELECT 1 WHERE EXISTS (SELECT 1 FROM runs) OR EXISTS (SELECT 1 FROM stored) OR EXISTS (SELECT 1 FROM cached) "
    "OR EXISTS (SELECT 1 FROM segments)"
)


def cipher_of(key: str) -> Cipher:
    """The cipher of a key: 32 random bytes, in hexadecimal or base64. Raises ResourceError for anything else, and never
    shows it; MissingExtra without cryptography."""
    given = _bytes_of("".join(key.split()))
    hint = f"make one with: {MAKE}"
    if not key.strip():
        raise ResourceError("encrypt is empty: the runs would be kept as they are", hint=f"leave it out, or {hint}")
    if len(given) != KEY:
        raise ResourceError(
            f"the key given as encrypt is not {KEY} random bytes in hexadecimal or base64: "
            f"its length is {len(key.strip())}",
            hint=f"{hint}; a password is not enough, for whoever has the file can try millions of them",
        )
    if len(set(given)) < _LIKELY:
        raise ResourceError("the key given as encrypt is not random: it is one byte again and again", hint=hint)
    return AesGcm(given)


def _bytes_of(text: str) -> bytes:
    try:
        if len(text) == 2 * KEY:
            return bytes.fromhex(text)
        plain = text.replace("-", "+").replace("_", "/").rstrip("=")
        return b64decode(plain + "=" * (-len(plain) % 4), validate=True)
    except ValueError:
        return b""


class AesGcm:
    """A `Cipher`: AES-256 in Galois/counter mode (NIST SP 800-38D), each row with a random nonce of 96 bits, so that a
    key is good for 2**32 rows. Encryption and naming have keys of their own, made of the one that is given."""

    def __init__(self, key: bytes) -> None:
        try:
            from cryptography.hazmat.primitives.ciphers.aead import AESGCM
        except ImportError:
            raise MissingExtra("the setting 'encrypt' of a store", "cryptography", "encrypt") from None
        self.secret = _derived(key, b"names")
        self._aead: Any = AESGCM(_derived(key, b"rows"))

    def seal(self, data: bytes, bound: bytes) -> bytes:
        """The nonce, and the bytes, 16 longer, unreadable without the key."""
        nonce = os.urandom(NONCE)
        return nonce + bytes(self._aead.encrypt(nonce, data, bound))

    def unseal(self, data: bytes, bound: bytes) -> bytes:
        """The bytes as they were. Raises JournalError."""
        from cryptography.exceptions import InvalidTag

        try:
            return bytes(self._aead.decrypt(data[:NONCE], data[NONCE:], bound))
        except (InvalidTag, ValueError):
            raise JournalError(
                "the journal is damaged: a row cannot be decrypted, for it was changed, moved or cut off",
                hint="restore it from a copy, or delete the run",
            ) from None


def _derived(key: bytes, use: bytes) -> bytes:
    """A key for one use: HMAC-SHA256 of a random key tells nothing of it."""
    return hmac.new(key, b"ragweave journal 1: " + use, hashlib.sha256).digest()


def admit(cursor: Cursor, cipher: Cipher | None, shown: str) -> bool:
    """True if a store is encrypted with this key, or holds something and is not encrypted and there is no key; False if
    it holds nothing yet. Raises JournalError if store and key do not fit."""
    marks = cursor.rows("SELECT mark FROM seals")
    if marks:
        if cipher is None:
            raise JournalError(
                f"the runs in {shown!r} are encrypted, and no key was given",
                hint="set encrypt of the store to the key that they were written with",
            )
        try:
            if unpack(row_bytes(marks[0][0]), _PLACE, cipher) == _MARK:
                return True
        except JournalError:
            pass
        raise JournalError(
            f"the runs in {shown!r} are encrypted with another key than the one given as encrypt",
            hint="give the key that they were written with; without it nobody can read them",
        )
    holding = bool(cursor.rows(_HOLDING))
    if holding and cipher is not None:
        raise JournalError(
            f"the runs in {shown!r} are not encrypted, but a key was given as encrypt",
            hint="leave encrypt out, or keep new runs in another store (another path, another database)",
        )
    return holding


def enter(cursor: Cursor, cipher: Cipher | None, shown: str) -> None:
    """Before anything is written: the same, and a store that holds nothing yet is sealed with the key."""
    if not admit(cursor, cipher, shown) and cipher is not None:
        cursor.run("INSERT INTO seals (mark) VALUES (?)", pack(_MARK, _PLACE, cipher))
        # Workers without the key, that have found nothing here, must look again.
        cursor.run("UPDATE facts SET value = value + 1 WHERE name = 'generation'")
