"""`inputs`, `outputs` and `state`: the keys that a graph declares, with their types and defaults."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ragweave.orchestrator import registry
from ragweave.orchestrator.language.report import Report, path
from ragweave.orchestrator.language.spec import KeySpec, Place
from ragweave.orchestrator.types import SCALARS, Type, parse_type, texts_of, type_of, value_models

INPUT_KEYS = ("type", "choices", "default", "description")
STATE_KEYS = ("type", "default", "merge", "accumulate", "description")
_CHOSEN = ("str", "list[str]")
"""The types of inputs that may have choices."""
_ID = re.compile(r"[a-z][a-z0-9_]*")


def is_id(name: Any) -> bool:
    """True if this can be the name of a node, a state key or a resource."""
    return isinstance(name, str) and _ID.fullmatch(name) is not None


def read_inputs(report: Report, data: Any) -> None:
    """Read `inputs` into the Spec."""
    if data is None:
        return
    if not isinstance(data, Mapping):
        names = data if isinstance(data, (list, tuple)) else [data]
        hint = "write {" + ", ".join(f"{name}: str" for name in names if isinstance(name, str)) + "}"
        report.wrong_kind(("inputs",), "a map of names and types", data, hint)
        for name in names:
            if isinstance(name, str):
                report.spec.inputs[name] = KeySpec(name)
        return
    for name, entry in data.items():
        report.spec.inputs[str(name)] = _key(report, ("inputs", str(name)), entry, INPUT_KEYS)


def read_state(report: Report, data: Any) -> None:
    """Read `state` into the Spec."""
    if data is None:
        return
    if not isinstance(data, Mapping):
        report.wrong_kind(("state",), "a map of keys", data, "such as documents: {merge: rrf}")
        return
    for name, entry in data.items():
        report.spec.state[str(name)] = _key(report, ("state", str(name)), entry, STATE_KEYS)


def read_outputs(report: Report, data: Any) -> None:
    """Read `outputs` into the Spec."""
    if data is None:
        return
    if isinstance(data, (str, Mapping)) or not isinstance(data, (list, tuple)):
        names = ", ".join(map(str, data)) if isinstance(data, Mapping) else data
        hint = f"write [{names}]" if isinstance(names, str) and names else "such as [answer]"
        report.wrong_kind(("outputs",), "a list of keys", data, hint)
        return
    found: dict[str, None] = {}
    for index, name in enumerate(data):
        place: Place = ("outputs", index)
        if not isinstance(name, str):
            report.wrong_kind(place, "the name of a state key", name)
        elif name in found:
            report.value(place, "RW101", f"outputs: {name!r} stands twice")
        else:
            found[name] = None
    report.spec.outputs = tuple(found)


def _key(report: Report, place: Place, entry: Any, allowed: tuple[str, ...]) -> KeySpec:
    name = str(place[-1])
    mark = report.spec.mark(*place)
    if not is_id(name):
        report.key(place, "RW109", f"{path(place)}: a name is of a-z, 0-9 and _, and starts with a letter")
    if not isinstance(entry, Mapping):
        if entry is None and "merge" in allowed:
            return KeySpec(name, mark=mark)
        kind = _type(report, place, entry)
        return KeySpec(name, kind, mark=mark, choices=_literal(report, entry, kind, allowed))
    entry = report.known_keys(place, entry, allowed)
    kind = _type(report, (*place, "type"), entry["type"]) if "type" in entry else None
    if "type" not in entry and "merge" not in allowed:
        report.key(place, "RW122", f"{path(place)}: 'type' is missing, such as str or list[Document]")
    accumulate = _flag(report, place, entry)
    if accumulate and kind is not None and kind.word not in ("list", "json"):
        message = f"{path(place)}: a key that accumulates is a list; write type: list[{kind}]"
        report.value((*place, "type"), "RW106", message)
        kind = None
    merge = _merge(report, place, entry)
    if merge is not None and accumulate:
        report.key((*place, "merge"), "RW125", f"{path(place)}: a key that accumulates keeps every write; delete merge")
        merge = None
    default = entry.get("default")
    if kind is not None and "default" in entry and not fits(default, kind):
        report.value((*place, "default"), "RW106", f"{path((*place, 'default'))}: the default is not of type {kind}")
    choices = _choices(report, place, entry, kind) if "choices" in entry else ()
    choices = choices or _literal(report, entry.get("type"), kind, allowed)
    for text in default if isinstance(default, (list, tuple)) else [default]:
        if choices and isinstance(text, str) and text not in choices:
            message = f"{path((*place, 'default'))}: {text!r} is none of the choices"
            report.unknown(report.spec.value_mark(*place, "default"), "RW106", message, text, choices)
    return KeySpec(
        name, kind, default, "default" in entry, merge, accumulate, _description(report, place, entry), mark, choices
    )  # fmt: skip


def _choices(report: Report, place: Place, entry: Mapping[str, Any], kind: Type | None) -> tuple[str, ...]:
    where, given = (*place, "choices"), entry["choices"]
    if kind is not None and str(kind) not in _CHOSEN:
        message = f"{path(where)}: choices are texts, so that the type is str or list[str], not {kind}"
        report.key(where, "RW125", message)
        return ()
    if not isinstance(given, (list, tuple)) or not given:
        report.wrong_kind(where, "a list of texts", given, "such as [short, long]")
        return ()
    found: dict[str, None] = {}
    for index, text in enumerate(given):
        if not isinstance(text, str) or not text:
            number = isinstance(text, (int, float)) and not isinstance(text, bool)
            report.wrong_kind((*where, index), "a text", text, "quote it" if number else "")
        elif text in found:
            report.value((*where, index), "RW101", f"{path(where)}: {text!r} stands twice")
        else:
            found[text] = None
    return tuple(found)


def _literal(report: Report, word: Any, kind: Type | None, allowed: tuple[str, ...]) -> tuple[str, ...]:
    """The choices of an input whose type was given in Python, as `Literal["a", "b"]` or a list of it."""
    if report.spec.marks or "choices" not in allowed or isinstance(word, str) or str(kind) not in _CHOSEN:
        return ()
    return tuple(sorted(texts_of(word) or ()))


def _type(report: Report, place: Place, word: Any) -> Type | None:
    if isinstance(word, str):
        try:
            return parse_type(word)
        except ValueError:
            if _foreign(report, place, word):
                return None
            text = re.sub(r"^(?:\s*(?:list|map)\s*\[\s*)+|\s*\]+\s*$", "", word)
            candidates = [*SCALARS, "json", "list", "map", *value_models()]
            message = f"{path(place)}: unknown type {word!r}"
            mark = report.within(report.spec.value_mark(*place), word, max(word.find(text), 0))
            report.unknown(mark, "RW110", message, text, candidates)
            return None
    if not report.spec.marks and word is not None:
        try:
            return type_of(word)
        except TypeError as error:
            report.value(place, "RW110", f"{path(place)}: {error}")
            return None
    report.wrong_kind(place, "a type such as str or list[Document]", word)
    return None


def _foreign(report: Report, place: Place, word: str) -> bool:
    """Say what a type word of another language is in this one; False if it is none."""
    from ragweave.orchestrator.language.typewords import meant  # only for a type that is unknown

    found = meant(word)
    if found is None:
        return False
    message = f"{path(place)}: unknown type {word!r}; did you mean {found.word!r}{found.more}?"
    mark = report.spec.value_mark(*place)
    plain = report.character(mark) not in ("'", '"')
    new = f'"{found.word}"' if plain and "[" in found.word and report.in_brackets(place) else found.word
    report.at(mark, "RW110", message, old=word, new=new if found.sure else None)
    return True


def _flag(report: Report, place: Place, entry: Mapping[str, Any]) -> bool:
    value = entry.get("accumulate", False)
    if isinstance(value, bool):
        return value
    report.wrong_kind((*place, "accumulate"), "true or false", value, "write true" if value in ("yes", "on") else "")
    return False


def _merge(report: Report, place: Place, entry: Mapping[str, Any]) -> str | None:
    name = entry.get("merge")
    if name is None:
        return None
    where = (*place, "merge")
    known = registry.names("merges")
    if not isinstance(name, str):
        report.wrong_kind(where, f"the name of a merge ({', '.join(known)})", name)
    elif name not in known:
        report.unknown(report.spec.value_mark(*where), "RW127", f"{path(where)}: unknown merge {name!r}", name, known)
    else:
        return name
    return None


def _description(report: Report, place: Place, entry: Mapping[str, Any]) -> str:
    text = entry.get("description", "")
    if isinstance(text, str):
        return text
    report.wrong_kind((*place, "description"), "text", text)
    return ""


def fits(value: Any, kind: Type) -> bool:
    """True if a plain value (of YAML or JSON) can be read as this type."""
    if kind.word == "json":
        return True
    if kind.word == "list":
        return isinstance(value, (list, tuple)) and all(fits(item, kind.item or Type("json")) for item in value)
    if kind.word == "map":
        return isinstance(value, Mapping) and all(fits(item, kind.item or Type("json")) for item in value.values())
    scalar = SCALARS.get(kind.word)
    if scalar is not None:
        if isinstance(value, bool):
            return scalar is bool
        return isinstance(value, (int, float) if scalar is float else scalar)
    model = value_models().get(kind.word)
    if model is None or isinstance(value, model):
        return True
    try:
        model.model_validate(value)
    except ValueError:
        return False
    return True
