"""Images, sounds and files in messages: which model reads them, and their bytes as wires want them."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING

from ragweave.orchestrator.errors import InputError
from ragweave.orchestrator.values import BlobPart, Message

if TYPE_CHECKING:
    from ragweave.orchestrator.resources import Resources


def blob_parts(messages: Sequence[Message]) -> list[BlobPart]:
    """The images, sounds and files of all messages."""
    return [part for message in messages for part in message.parts if isinstance(part, BlobPart)]


def refuse_parts(messages: Sequence[Message], reads: Collection[str], model: str, hint: str = "") -> None:
    """Raise InputError, naming the part, if a message holds one of a kind that is not in `reads`."""
    for message in messages:
        for part in message.parts:
            if isinstance(part, BlobPart) and part.type not in reads:
                kinds = ", ".join(["text", *(kind for kind in reads if kind != "text")])
                raise InputError(
                    f"a {message.role} message holds the {part.type} {part.label!r}, but model {model!r} reads {kinds}",
                    hint=hint
                    or f"name a model that reads it, or say so of this one with takes: [{kinds}, {part.type}]",
                )


def unsendable(part: BlobPart, wire: str, sorts: str) -> InputError:
    """The error of a part whose media type a wire format has no place for."""
    return InputError(
        f"the {part.type} {part.label!r} is {part.media_type}, which {wire} cannot carry; it takes {sorts}",
        hint="convert it, or leave it out of the message",
    )


async def encoded(messages: Sequence[Message], resources: Resources | None) -> Mapping[str, str]:
    """The bytes of all parts in base64, by their hash. Raises InputError for bytes that are not there."""
    wanted = {part.blob: part for part in blob_parts(messages)}
    if not wanted:
        return {}
    return await asyncio.to_thread(_encode, wanted, resources)


def _encode(wanted: Mapping[str, BlobPart], resources: Resources | None) -> Mapping[str, str]:
    found = {}
    for digest, part in wanted.items():
        if resources is None:
            raise InputError(
                f"the bytes of the {part.type} {part.label!r} are not here: the model was opened without a graph"
            )
        found[digest] = base64.b64encode(resources.blob(digest, part.label)).decode("ascii")
    return found
