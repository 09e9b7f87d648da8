"""Passages as JSON that gives them back as they were, with whatever odd texts are in them."""

from __future__ import annotations

import json

from ragweave.orchestrator.errors import IndexUnusable, InputError
from ragweave.orchestrator.values import Document


def sound(text: str) -> str:
    """A text without lone surrogates, which are no text to an embedder."""
    return text.encode("utf-8", "replace").decode("utf-8")


def encoded(document: Document) -> str:
    """A passage without its score as JSON in ASCII. Raises InputError for metadata that are no JSON."""
    whole = document.model_dump(exclude={"score"}, exclude_defaults=True)
    try:
        return json.dumps(whole, ensure_ascii=True)
    except (TypeError, ValueError, RecursionError) as error:
        raise InputError(f"the passage {document.id!r} cannot be kept: its metadata are no JSON ({error})") from None


def decoded(body: str, score: float) -> Document:
    """The passage again. Raises IndexUnusable for what `encoded` has not written."""
    try:
        return Document.model_validate({**json.loads(body), "score": score})
    except (ValueError, TypeError):  # a ValidationError is a ValueError
        raise IndexUnusable("a passage of the index cannot be read", hint="build the index again") from None
