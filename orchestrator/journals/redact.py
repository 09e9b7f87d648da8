"""Runs as data for others: what a run was and did, without what was said in it, and never with a secret."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ragweave.orchestrator.language.environment import references
from ragweave.orchestrator.language.spec import Spec
from ragweave.orchestrator.result import plain
from ragweave.orchestrator.running.events import Event
from ragweave.orchestrator.stores import RunRecord
from ragweave.orchestrator.types import value_models
from ragweave.orchestrator.values import Ask

SHORTEST = 4
"""Characters that a value of the environment has at least to be taken for a secret: `1` or `en` would be everywhere."""
_PLACES = ("path", "type", "node")
"""Texts of an event's data that say where, or of what kind, and nothing that anybody said."""


def secrets_of(specs: Iterable[Spec], environ: Mapping[str, str]) -> dict[str, str]:
    """By value, the names of the variables that these graphs refer to, in whatever setting."""
    found: dict[str, str] = {}
    for spec in specs:
        settings = [node.settings for node in spec.nodes.values()] + [one.settings for one in spec.resources.values()]
        for name, _ in references(settings):
            value = environ.get(name, "")
            if len(value) >= SHORTEST:
                found[value] = name
    return found


class Export:
    """Turns runs into data for JSON. Without `values`, a text becomes its length, as do the keys of maps that are no
    fields of a registered value; threads, users and tenants are numbered. With them, only `secrets` are hidden."""

    def __init__(self, *, values: bool = False, secrets: Mapping[str, str] | None = None) -> None:
        self._values = values
        # The longest first: a secret may be a part of another one.
        self._secrets = sorted((secrets or {}).items(), key=lambda item: -len(item[0]))
        models = (*value_models().values(), Ask)
        self._fields = {name for model in models for name in getattr(model, "model_fields", ())}
        self._numbers: dict[str, dict[str, int]] = {}

    def run(self, record: RunRecord, events: Sequence[Event]) -> dict[str, Any]:
        """One run."""
        return {
            "run_id": record.run_id,
            "graph": record.graph,
            "version": record.version,
            "status": record.status,
            "thread": self._whose("thread", record.thread_id),
            "user": self._whose("user", record.user),
            "tenant": self._whose("tenant", record.tenant),
            "parent": record.parent,
            "begun": record.begun,
            "changed": record.changed,
            "events": [self.event(event) for event in events],
        }

    def event(self, event: Event) -> dict[str, Any]:
        """One event; what says nothing of it is left out."""
        data: dict[str, Any] = {"kind": event.kind, "at": round(event.at, 6)}
        if event.path:
            data["path"] = event.path
        if event.kind == "finished":
            data |= {"route": event.route, "origin": event.origin}
        shown = {name: self._datum(event.kind, name, plain(value)) for name, value in event.data.items()}
        return {**data, "data": shown} if shown else data

    def _datum(self, kind: str, name: str, value: Any) -> Any:
        if name in _PLACES and isinstance(value, str) and kind in ("asked", "answered", "forked", "run_failed"):
            return self._hidden(value)
        if kind in ("used", "reserved", "spent", "budget"):
            return value
        if kind in ("guarded", "blocked") and name != "reasons":
            return value
        if kind in ("run_started", "entered", "run_done", "ended", "forked") and isinstance(value, Mapping):
            return {key: self.value(item) for key, item in value.items()}  # its keys are the graph's
        return self.value(value)

    def value(self, value: Any) -> Any:
        """A value of JSON."""
        if isinstance(value, str):
            return self._hidden(value) if self._values else f"<text of {len(value):,}>"
        if isinstance(value, Mapping):
            return {
                self._key(str(key), number): self.value(item) for number, (key, item) in enumerate(value.items(), 1)
            }
        if isinstance(value, (list, tuple)):
            return [self.value(item) for item in value]
        return value if value is None or isinstance(value, (bool, int, float)) else f"<{type(value).__name__}>"

    def _key(self, key: str, number: int) -> str:
        if self._values:
            return self._hidden(key)
        return key if key in self._fields else f"<key {number} of {len(key):,}>"

    def _hidden(self, text: str) -> str:
        for secret, name in self._secrets:
            text = text.replace(secret, f"<secret {name}>")
        return text

    def _whose(self, kind: str, name: str) -> str:
        if self._values or not name:
            return self._hidden(name)
        numbers = self._numbers.setdefault(kind, {})
        return f"{kind} {numbers.setdefault(name, len(numbers) + 1)}"
