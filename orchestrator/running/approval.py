"""`interrupt`: a person is asked before a node is called, and a "no" fails the node (R19)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import TypeAdapter, ValidationError

from ragweave.orchestrator.checking.bound import BoundNode
from ragweave.orchestrator.context import Context
from ragweave.orchestrator.errors import Denied
from ragweave.orchestrator.language.policies import InterruptPolicy
from ragweave.orchestrator.result import plain
from ragweave.orchestrator.running.run import Parked, Runner
from ragweave.orchestrator.running.state import origin_bit
from ragweave.orchestrator.texts.placeholders import filled, readable
from ragweave.orchestrator.types import JSON, Type, annotation_of, converter
from ragweave.orchestrator.values import Ask

LONGEST = 2000
"""Characters of a value that a question shows, unless its text names the key."""
PERSON = origin_bit("user")


def interrupted(call: Runner, bound: BoundNode, policy: InterruptPolicy, keys: Mapping[str, Type]) -> Runner:
    """Ask before the call; what the node itself asks is apart, at the same path, and comes after.

    What an answer changes, the call gets in the place of what is in the state, which stays as it is (R9). A change that
    the type of its key does not allow is asked about again.
    """
    kinds = {key: keys.get(key, kind) for key, kind in bound.read.items()}

    async def run(values: Mapping[str, Any], ctx: Context) -> Any:
        run = ctx.run
        if run is None:
            return await call(values, ctx)
        path, fault = ctx.path, ""
        for answer in run.approvals.get(path, ()):
            changes = _approved(policy, answer)
            try:
                changed = {key: converter(kinds[key])(value) for key, value in changes.items()}
            except ValidationError as error:
                from ragweave.orchestrator.language.reasons import reason_of  # only what is wrong needs it

                fault = reason_of(error, at=("values",))
                continue
            if changed:
                ctx.heard = PERSON
                if path in run.origins:
                    known = run.origins[path]
                    run.origins[path] = {**known, **{key: known.get(key, 0) | PERSON for key in changed}}
            return await call({**values, **changed}, ctx)
        if path in run.pending and run.pending[path].approval:
            return Parked([(path, run.pending[path])])
        shown = {key: kind for key, kind in kinds.items() if key in values}
        asked = _question(policy, bound.name, values, shown, fault)
        return Parked([(path, Ask(question=asked, schema=_schema(policy, values, kinds), approval=True))])

    return run


def _approved(policy: InterruptPolicy, answer: Any) -> Mapping[str, Any]:
    """The values that an answer changes. Raises Denied for a "no", with its reason."""
    at_length = answer if isinstance(answer, Mapping) else {}
    word = at_length.get(policy.word, answer)
    if not (policy.choices.get(str(word), False) if policy.choices else word is True):
        said = f"a person chose {word!r}" if policy.choices else "a person said no"
        reason = at_length.get("reason", "")
        raise Denied(f"{said}: {reason}" if reason else said)
    changes: Mapping[str, Any] = at_length.get("values", {})
    return changes


def _question(
    policy: InterruptPolicy, name: str, values: Mapping[str, Any], kinds: Mapping[str, Type], fault: str
) -> str:
    """What is asked, and below it the values that the call would get and the text does not name."""
    lines = [filled(policy.question, values) if policy.question else f"Shall {name!r} go on?"]
    if fault:
        lines.insert(0, f"This change is not possible: {fault}.")
    for key in kinds:
        if key not in policy.keys:
            text = readable(values[key])
            cut = f"{text[:LONGEST]}… ({len(text):,} characters)" if len(text) > LONGEST else text
            # Indented, so that no line of a value can be taken for another value.
            lines.append(f"{key}: {cut}".replace("\n", "\n    "))
    return "\n".join(lines)


def _schema(policy: InterruptPolicy, values: Mapping[str, Any], kinds: Mapping[str, Type]) -> dict[str, Any]:
    """JSON schema of an answer: the word alone, or a map of it with a reason and with what is changed."""
    word: dict[str, Any] = {"type": "boolean"}
    if policy.choices:
        word = {"type": "string", "enum": list(policy.choices)}
    properties: dict[str, Any] = {policy.word: word, "reason": {"type": "string"}}
    definitions: dict[str, Any] = {}
    if policy.edit:
        fields = {key: _field(kinds[key], definitions) for key in policy.edit}
        for key in values.keys() & fields.keys():
            fields[key]["default"] = plain(values[key])
        properties["values"] = _map(fields)
    found = {"anyOf": [word, {**_map(properties), "required": [policy.word]}]}
    return found | ({"$defs": definitions} if definitions else {})


def _field(kind: Type, definitions: dict[str, Any]) -> dict[str, Any]:
    if kind == JSON:
        return {}
    schema = TypeAdapter(annotation_of(kind)).json_schema()
    definitions |= schema.pop("$defs", {})
    return schema


def _map(properties: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": dict(properties), "additionalProperties": False}
