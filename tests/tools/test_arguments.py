"""Arguments held against schemas; functions and docstrings read into schemas."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import date
from typing import Annotated, Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field

from ragweave.orchestrator import registry
from ragweave.orchestrator.arguments import faults_of, standard
from ragweave.orchestrator.context import Context
from ragweave.orchestrator.errors import PluginError, ToolError
from ragweave.tools.docstrings import read_docstring
from ragweave.tools.function import tool_type


@pytest.fixture(autouse=True)
def _registry() -> Iterator[None]:
    with registry.scope():
        yield


class Address(BaseModel):
    """Where to."""

    street: str
    number: int = 1


def ship(
    order: Annotated[int, Field(gt=0)],
    to: Address,
    how: Literal["fast", "cheap"] = "cheap",
    until: date | None = None,
    *,
    ctx: Context,
) -> str:
    """Ship an order.

    It cannot be called back.

    Args:
        order (int): The number
            on the bill.
        to: Where it goes.

    Returns:
        What was done.
    """
    return f"{order} to {to.street} {to.number}, {how}, {until!r}, {ctx.path}"


def test_a_function_is_told_by_its_docstring_and_its_types() -> None:
    made = tool_type(ship, effects="external")()
    (spec,) = made.specs()
    assert spec.description == "Ship an order.\n\nIt cannot be called back."
    assert spec.parameters["required"] == ["order", "to"]
    assert spec.parameters["properties"]["order"] == {
        "type": "integer",
        "exclusiveMinimum": 0,
        "description": "The number on the bill.",
    }
    assert "ctx" not in spec.parameters["properties"]
    given = {"order": 7, "to": {"street": "Elm"}, "until": "2026-01-31"}
    assert faults_of(given, spec.parameters) == []
    shipped = asyncio.run(made.call("", given, Context(node="act")))
    assert shipped == "7 to Elm 1, cheap, datetime.date(2026, 1, 31), act#1"


@pytest.mark.parametrize(
    ("given", "fault"),
    [
        ({"order": 7}, "to: it is missing"),
        ({"order": "7", "to": {"street": "Elm"}}, 'order: expected integer, found "7"'),
        ({"order": 7, "to": {"street": 5}}, "to.street: expected string, found 5"),
        (
            {"order": 7, "to": {"street": "Elm", "numbr": 5}},
            "to.numbr: there is no such argument; did you mean 'number'?",
        ),
        ({"order": 7, "to": {"street": "Elm"}, "how": "slow"}, 'how: expected one of "fast", "cheap", found "slow"'),
        ({"order": -7, "to": {"street": "Elm"}}, "order: -7 is less than or equal to the minimum of 0"),
    ],
)
def test_a_fault_names_the_argument(given: dict[str, Any], fault: str) -> None:
    (spec,) = tool_type(ship)().specs()
    assert faults_of(given, spec.parameters) == [fault]


def test_what_only_the_types_refuse_is_told_too() -> None:
    with pytest.raises(ToolError, match="until: input should be a valid date"):
        asyncio.run(tool_type(ship)().call("", {"order": 7, "to": {"street": "Elm"}, "until": "soon"}, Context()))


def untyped(order) -> str:  # type: ignore[no-untyped-def]
    """Has no type."""
    return ""


def many(*orders: int) -> str:
    """Takes any number."""
    return ""


class Opaque:
    """Nothing that pydantic knows."""


def opaque(thing: Opaque) -> str:
    """Takes what JSON cannot say."""
    return ""


@pytest.mark.parametrize(
    ("function", "said"),
    [
        (untyped, "the parameter 'order' of the tool 'untyped' has no type"),
        (many, "cannot be given by name"),
        (opaque, "the tool 'opaque' has parameters that JSON cannot say"),
    ],
)
def test_a_function_that_a_model_could_not_call_is_refused(function: Any, said: str) -> None:
    with pytest.raises(PluginError, match=said):
        tool_type(function)


def test_a_generator_streams_its_pieces() -> None:
    async def count(to: int):  # type: ignore[no-untyped-def]
        """Count."""
        for number in range(to):
            yield f"{number} "

    assert asyncio.run(tool_type(count)().call("", {"to": 3}, Context())) == "0 1 2 "


NUMPY = """Count things.

    Parameters
    ----------
    things : list of str
        What to count.
    twice
        Whether to count again.

    Returns
    -------
    int
    """
SPHINX = """Count things.

    :param things: What to count.
    :param bool twice: Whether to
        count again.
    :returns: the number
    """


@pytest.mark.parametrize("text", [NUMPY, SPHINX], ids=["numpy", "sphinx"])
def test_docstrings_of_all_styles_are_read(text: str) -> None:
    said, parameters = read_docstring(text, ["things", "twice"])
    assert said == "Count things."
    assert parameters == {"things": "What to count.", "twice": "Whether to count again."}


@given(st.text(), st.lists(st.from_regex(r"[a-z]{1,5}", fullmatch=True)))
def test_any_docstring_is_read(text: str, names: list[str]) -> None:
    said, parameters = read_docstring(text, names)
    assert isinstance(said, str)
    assert set(parameters) <= set(names)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text(max_size=5), JSON, max_size=4))
def test_any_arguments_are_judged(given: dict[str, Any]) -> None:
    (spec,) = tool_type(ship)().specs()
    faults = faults_of(given, spec.parameters)
    assert faults  # none of them has the two that are needed, with a map that has a street
    assert all(":" in fault for fault in faults)


@given(JSON)
def test_what_is_no_schema_is_left_as_it_is_or_refused(schema: Any) -> None:
    try:
        faults_of({}, {"properties": {"x": schema}} if isinstance(schema, (dict, bool)) else {"required": schema})
    except PluginError as error:
        assert "schema" in str(error)  # noqa: PT017
    standard(schema)
