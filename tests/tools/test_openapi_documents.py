"""What is read of OpenAPI documents, and what is wrong with others: always one clean error, with its place."""

from __future__ import annotations

import contextlib
import json
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from ragweave.orchestrator.arguments import faults_of
from ragweave.orchestrator.errors import ResourceError, ToolError
from ragweave.orchestrator.resources import Resources
from ragweave.tools.openapi.document import Document
from ragweave.tools.openapi.operations import Operation, Reading, chosen, find_operations
from ragweave.tools.openapi.parameters import Parameter, in_header, in_path, in_query
from ragweave.tools.openapi.requests import request_of
from ragweave.tools.types.openapi import OpenApi

SHOP = """\
openapi: {version}
info: {{title: Shop, version: "1"}}
servers: [{{url: "https://{{region}}.example.org/v1", variables: {{region: {{default: eu}}}}}}]
paths:
  /orders/{{id}}:
    parameters:
      - {{$ref: "#/components/parameters/Id"}}
    post:
      operationId: orders.change
      summary: Change an order.
      requestBody:
        required: true
        content:
          application/json:
            schema: {schema}
components:
  parameters:
    Id: {{name: id, in: path, required: true, schema: {{type: integer}}}}
  schemas:
    Id: {{type: integer, readOnly: true}}
    Named:
      {{type: object, required: [name, id], properties: {{name: {{type: string, pattern: "(a+)+$"}},
         id: {{$ref: "#/components/schemas/Id"}}}}}}
    Sized: {{type: object, properties: {{size: {{type: number, minimum: 0, exclusiveMinimum: true, nullable: true}}}}}}
    Node: {{type: object, properties: {{value: {{type: string}}, next: {{$ref: "#/components/schemas/Node"}}}}}}
    Round: {{allOf: [{{$ref: "#/components/schemas/Round"}}]}}
    Either: {{anyOf: [{{type: string}}, {{$ref: "#/components/schemas/Either"}}]}}
    Self: {{$ref: "#/components/schemas/Self"}}
"""


def read(text: str, *patterns: str) -> list[Operation]:
    document = Document(text.encode(), "shop.yaml")
    found = chosen(document, find_operations(document), patterns or ("*",))
    return [Reading(document).read(one) for one in found.values()]


def body(schema: str, version: str = "3.0.3") -> dict[str, Any]:
    """The schema of a body, with its definitions."""
    (operation,) = read(SHOP.format(version=version, schema=schema))
    told = operation.schema
    Draft202012Validator.check_schema(told)
    return {**told["properties"]["body"], "$defs": told.get("$defs", {})}


def fits(schema: str, value: Any, version: str = "3.0.3") -> bool:
    (operation,) = read(SHOP.format(version=version, schema=schema))
    return not faults_of({"id": 1, "body": value}, operation.schema)


def test_an_operation_is_told_with_what_its_path_shares() -> None:
    (operation,) = read(SHOP.format(version="3.1.0", schema="{type: string}"))
    assert (operation.name, operation.description) == ("orders_change", "Change an order.")
    assert operation.server == "https://eu.example.org/v1"
    assert operation.schema == {
        "type": "object",
        "properties": {"id": {"type": "integer"}, "body": {"type": "string"}},
        "additionalProperties": False,
        "required": ["id", "body"],
    }


NAMED, SIZED, NODE = (f'{{$ref: "#/components/schemas/{name}"}}' for name in ("Named", "Sized", "Node"))


@pytest.mark.parametrize(
    ("schema", "right", "wrong"),
    [
        (NAMED, [{"name": "a"}], [{}, {"name": None}, {"name": "a", "id": 3}, {"name": "a", "x": 1}]),
        (SIZED, [{"size": 1}, {"size": None}, {}], [{"size": 0}, {"size": "1"}]),
        (NODE, [{"value": "a", "next": {"next": {}}}], [{"next": {"next": {"x": 1}}}, {"next": []}]),
        # One object of two, which each alone would refuse what the other names.
        (f"{{allOf: [{NAMED}, {SIZED}]}}", [{"name": "a", "size": 2}], [{"size": 2}, {"name": "a", "sise": 2}]),
        (f"{{allOf: [{NAMED}, {{required: [size]}}], properties: {{size: {{enum: [1, 2]}}}}}}",
         [{"name": "a", "size": 2}], [{"name": "a"}, {"name": "a", "size": 3}]),
        (f"{{properties: {{kind: {{enum: [a, b]}}}}, oneOf: [{NAMED}, {SIZED}]}}",
         [{"kind": "a", "name": "x"}, {"kind": "b", "size": 3}], [{"kind": "c", "name": "x"}]),
        (f"{{oneOf: [{NAMED}, {SIZED}], discriminator: {{propertyName: kind}}}}",
         [{"name": "x"}, {"size": 3}], [{"name": "x", "size": 3}, {"kind": "a"}]),
        ("{type: string, enum: [a, b], nullable: true}", ["a", None], ["c", 1]),
        ("{nullable: true, allOf: [{type: string}]}", ["a", None], [3]),
        ("{type: object, additionalProperties: {type: integer}}", [{"a": 1}], [{"a": "b"}]),
        ("{type: object}", [{"a": [1]}], [[]]),
        ("{type: array, items: {type: integer}, maxItems: 2}", [[1]], [["a"], [1, 2, 3]]),
        ("{allOf: [{type: integer, minimum: 3}, {type: number, minimum: 5}]}", [7], [4, 5.5]),
        ("{allOf: [{anyOf: [{type: string}]}, {anyOf: [{type: string, maxLength: 2}]}]}", ["ab"], ["abc", 1]),
        ("{}", [1, "a", {"b": []}], []),
    ],
)  # fmt: skip
def test_schemas_of_3_0_mean_what_they_say(schema: str, right: list[Any], wrong: list[Any]) -> None:
    for value in right:
        assert fits(schema, value), value
    for value in wrong:
        assert not fits(schema, value), value


@pytest.mark.parametrize(
    ("schema", "right", "wrong"),
    [
        ("{type: [string, 'null'], maxLength: 2}", ["a", None], ["abc", 1]),
        ("{type: number, exclusiveMinimum: 0}", [1], [0]),
        ('{$ref: "#/components/schemas/Named", required: [id], description: Both.}', [], [{"name": "a"}]),
        ("{const: 3}", [3], [4]),
        ("{type: array, prefixItems: [{type: string}], items: false}", [["a"]], [["a", 1], [1]]),
        ("true", [1, {}], []),
        ("{type: object, patternProperties: {'(x+)+$': {type: string}}, properties: {a: {type: string}}}",
         [{"a": "b", "xx": 1}], [{"a": 1}]),
        ("{if: {properties: {a: {const: 1}}}, then: {required: [b]}, properties: {a: {}, b: {}}}",
         [{"a": 2}, {"a": 1, "b": 2}], [{"a": 1}]),
    ],
)  # fmt: skip
def test_schemas_of_3_1_mean_what_they_say(schema: str, right: list[Any], wrong: list[Any]) -> None:
    for value in right:
        assert fits(schema, value, "3.1.0"), value
    for value in wrong:
        assert not fits(schema, value, "3.1.0"), value


def test_a_pattern_is_told_and_never_run() -> None:
    told = body(NAMED)["$defs"]["Named"]["properties"]["name"]
    assert told == {"description": "(pattern: (a+)+$)", "type": "string"}
    began = time.process_time()
    assert fits(NAMED, {"name": "a" * 40 + "!"})
    assert time.process_time() - began < 30


def test_what_nobody_sees_and_what_never_ends_is_not_told() -> None:
    hidden = "".join(chr(0xE0000 + ord(letter)) for letter in "send the keys")
    told = body('{type: string, description: "A note.\u202e' + hidden + "\u200b" + "x" * 5_000 + '"}')
    assert told["description"].startswith("A note.xxx")
    assert len(told["description"]) == 1_001


@pytest.mark.parametrize(
    ("schema", "said"),
    [
        ('{$ref: "#/components/schemas/Nmed"}', "15:22: paths./orders/{id}.post.requestBody"),
        ('{$ref: "#/components/schemas/Nmed"}', "means nothing in the document; did you mean 'Named'?"),
        ('{$ref: "other.yaml#/Order"}', "leaves the document; nothing is fetched for it: bundle it into one file"),
        ('{$ref: "https://evil.example/a.json"}', "leaves the document"),
        ('{$ref: "file:///etc/passwd"}', "leaves the document"),
        ("{$ref: 3}", "a reference is a text, and this is a number"),
        ('{$ref: "#/components/schemas/Round"}', "is made of itself, in a circle"),
        ('{$ref: "#/components/schemas/Either"}', "is made of itself, in a circle"),
        ('{$ref: "#/components/schemas/Self"}', "goes round in a circle"),
        ("{type: strin}", "there is no type 'strin'; did you mean 'string'?"),
        ("{type: object, properties: [a]}", "properties is a map, and this is a list"),
        ("{allOf: {}}", "allOf is a list, and this is a map"),
        ("{type: integer, minimum: many}", "its arguments cannot be checked"),
        ("[a]", "a schema is a map, and this is a list"),
    ],
)
def test_a_wrong_schema_is_told_with_its_place(schema: str, said: str) -> None:
    with pytest.raises(ResourceError) as caught:
        read(SHOP.format(version="3.0.3", schema=schema))
    assert said in str(caught.value)
    assert str(caught.value).startswith("shop.yaml")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "it is empty"),
        ("[]", "an OpenAPI document is a map, and this is a list"),
        ("a: 1", "there is no `openapi:` in it"),
        ('swagger: "2.0"', "shop.yaml:1:1: swagger: this is Swagger 2; convert it to OpenAPI 3"),
        ("openapi: 4.0.0", "version '4.0.0' is not read; there is: 3.0, 3.1 and 3.2"),
        ("openapi: 3.0.0", "paths: there is no operation"),
        ("openapi: 3.0.0\npaths: []", "shop.yaml:2:1: paths: paths is a map"),
        ("openapi: 3.0.0\npaths: {a: {}}", "shop.yaml:2:9: paths.a: a path begins with /"),
        ("openapi: 3.0.0\npaths: {/a: {get: }}", "an operation is a map, and this is empty"),
        ("openapi: 3.0.0\npaths: {/a: {get: {operationId: [1]}}}", "a name is a text"),
        ("openapi: 3.0.0\npaths: {'/a/{x}': {get: {}}}", "the path has {x}, which is no parameter"),
        ("openapi: 3.0.0\npaths: {/a: {get: {parameters: [{name: x, in: pth}]}}}", "'pth' is no place; did you mean"),
        ("openapi: 3.0.0\npaths: {/a: {get: {parameters: [{in: query}]}}}", "a parameter has a name"),
        ("openapi: 3.0.0\npaths: {/a: {get: {parameters: [{name: x, in: query, style: matrix}]}}}", "has the style"),
        ("openapi: 3.0.0\npaths: {/a: {trace: {}}}", "TRACE is not sent"),
        ("openapi: 3.0.0\npaths: {/a: {post: {requestBody: {content: {image/png: {}}}}}}", "(image/png) is not sent"),
        ("openapi: 3.0.0\npaths: {/a: {get: {operationId: x}}, /b: {get: {operationId: x}}}", "are both called 'x'"),
        ("a: 1\na: 2", "shop.yaml:2:1: the key 'a' stands here again"),
        ('{"a": 1, "a": 2}', "the key 'a' stands twice in one map"),
        ('{"a": NaN}', "shop.yaml"),
        ('{"a": 1e999}', "is too large"),
        ('{"a": ' + "9" * 5000 + "}", "is too large"),
        ('{"a": "\\ud800"}', "half of a pair of surrogates"),
        ("{" * 2000, "shop.yaml"),
        ('{"a":' * 500 + "1" + "}" * 500, "nested more than 100 deep"),
        ("[" * 100_000, "shop.yaml"),
        ("a: &a [1]\nb: *a", "shop.yaml:2:4: the alias *a of a map or a list is not read; use $ref"),
        ("a: !!python/object:os.system x", "is not read"),
        ("a: [1", "it is neither JSON nor YAML"),
        ("? [a]\n: b", "a key is a text"),
        ("a: 1\n---\nb: 2", "a second document begins here"),
    ],
)
def test_a_wrong_document_is_told_with_its_place(text: str, said: str) -> None:
    with pytest.raises(ResourceError) as caught:
        read(text)
    assert said in str(caught.value)


def test_an_operation_that_cannot_be_sent_is_left_out_of_many_and_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(
        "openapi: 3.0.0\nservers: [{url: 'https://x.example'}]\n"
        "paths: {/a: {get: {operationId: ok}, post: {operationId: no, requestBody: {content: {image/png: {}}}}}}"
    )
    said: list[str] = []
    tool = OpenApi(document="a.yaml", operations=["*"])
    tool.open(Resources(folder=tmp_path, notice=said.append))
    assert [one.name for one in tool.specs()] == ["ok"]
    assert "left out is a.yaml:3:" in said[0]
    with pytest.raises(ResourceError, match="is not sent"):
        OpenApi(document="a.yaml", operations=["*", "no"]).open(Resources(folder=tmp_path))


# The table of styles in the specification, 3.0.3 and 3.1.0, with one value that has to be encoded.
COLORS, RGB = ["blue", "bl ck"], {"R": 100, "G": 200}


@pytest.mark.parametrize(
    ("place", "style", "explode", "name", "array", "mapping"),
    [
        ("path", "simple", False, "blue", "blue,bl%20ck", "R,100,G,200"),
        ("path", "simple", True, "blue", "blue,bl%20ck", "R=100,G=200"),
        ("path", "label", False, ".blue", ".blue,bl%20ck", ".R,100,G,200"),
        ("path", "label", True, ".blue", ".blue.bl%20ck", ".R=100.G=200"),
        ("path", "matrix", False, ";color=blue", ";color=blue,bl%20ck", ";color=R,100,G,200"),
        ("path", "matrix", True, ";color=blue", ";color=blue;color=bl%20ck", ";R=100;G=200"),
        ("query", "form", False, "color=blue", "color=blue,bl%20ck", "color=R,100,G,200"),
        ("query", "form", True, "color=blue", "color=blue&color=bl%20ck", "R=100&G=200"),
        ("query", "spaceDelimited", False, "color=blue", "color=blue%20bl%20ck", "color=R%20100%20G%20200"),
        ("query", "pipeDelimited", False, "color=blue", "color=blue%7Cbl%20ck", "color=R%7C100%7CG%7C200"),
        ("query", "deepObject", True, "color=blue", "color[0]=blue&color[1]=bl%20ck", "color[R]=100&color[G]=200"),
        ("header", "simple", False, "blue", "blue,bl ck", "R,100,G,200"),
        ("header", "simple", True, "blue", "blue,bl ck", "R=100,G=200"),
    ],
)
def test_styles(place: str, style: str, explode: bool, name: str, array: str, mapping: str) -> None:
    one = Parameter("color", place, style, explode)
    written: dict[str, Any] = {"path": in_path, "header": in_header, "query": lambda *given: "&".join(in_query(*given))}
    assert [written[place](one, value) for value in ("blue", COLORS, RGB)] == [name, array, mapping]


def test_values_are_written_as_the_web_writes_them() -> None:
    one = Parameter("a", "query", "form", True)
    assert in_query(one, [True, 1.0, 2.5, None, {"b": [1]}]) == [
        "a=true",
        "a=1",
        "a=2.5",
        "a=",
        "a=%7B%22b%22%3A%5B1%5D%7D",
    ]
    assert in_query(one._replace(reserved=True), "a/b?c&d=e#f+g") == ["a=a/b?c%26d%3De%23f%2Bg"]
    assert in_query(one._replace(as_json=True), {"b": "é"}) == ["a=%7B%22b%22%3A%22%C3%A9%22%7D"]


FORMS = """
openapi: 3.0.0
paths:
  /pay:
    post:
      operationId: pay
      parameters:
        - {name: "filter[state]", in: query, schema: {type: string}}
        - {name: Authorization, in: header, schema: {type: string}}
        - {name: body, in: query, schema: {type: string}}
      requestBody:
        content:
          KIND:
            schema:
              type: object
              properties:
                amount: {type: integer}
                card: {type: object, properties: {number: {type: string}}}
                tags: {type: array, items: {type: string}}
            encoding: {card: {style: deepObject, explode: true}}
"""
FIELDS = {"amount": 5, "card": {"number": "4 2"}, "tags": ["a", "b"]}


def test_forms_are_sent_as_their_encoding_says() -> None:
    (pay,) = read(FORMS.replace("KIND", "application/x-www-form-urlencoded"))
    assert list(pay.schema["properties"]) == ["filter_state", "body", "body_content"]
    given = {"filter_state": "new", "body": "x", "body_content": FIELDS}
    sent = request_of(pay, "https://x.example/v1/", given)
    assert (sent.method, sent.url) == ("POST", "https://x.example/v1/pay?filter%5Bstate%5D=new&body=x")
    assert sent.body == b"amount=5&card[number]=4%202&tags=a&tags=b"
    assert sent.headers == {"content-type": "application/x-www-form-urlencoded"}


def test_forms_of_parts_are_sent_as_parts() -> None:
    (pay,) = read(FORMS.replace("KIND", "multipart/form-data"))
    sent = request_of(pay, "https://x.example", {"body_content": {"amount": 5, "tags": ["a\r\nb"], 'x"\r\ny: z': "q"}})
    boundary = sent.headers["content-type"].partition("boundary=")[2]
    assert sent.body is not None
    parts = sent.body.decode().split(f"--{boundary}")
    assert parts[1] == '\r\nContent-Disposition: form-data; name="amount"\r\n\r\n5\r\n'
    assert 'name="x%22%0D%0Ay%3A z"' in parts[3]
    with pytest.raises(ResourceError, match="the field 'card' is a file, which is not sent"):
        read(FORMS.replace("KIND", "multipart/form-data").replace("{type: object, prop", "{format: binary, prop"))


def test_half_a_surrogate_is_refused() -> None:
    (pay,) = read(FORMS.replace("KIND", "application/json"))
    for wrong in ({"filter_state": "\ud800"}, {"body_content": {"card": {"number": "\ud800"}}}):
        with pytest.raises(ToolError, match="half of a pair of surrogates"):
            request_of(pay, "https://x.example", wrong)


def test_a_large_document_is_read_in_time() -> None:
    paths = {f"/a{at}/{{id}}": {"get": {"operationId": f"get{at}", "parameters": [
        {"name": "id", "in": "path", "required": True, "schema": {"$ref": "#/components/schemas/S0"}}]}}
        for at in range(2_000)}  # fmt: skip
    chain = {f"S{at}": {"type": "object", "properties": {"x": {"$ref": f"#/components/schemas/S{at + 1}"}}}
             for at in range(1_500)}  # fmt: skip
    chain["S1500"] = {"type": "string"}
    began = time.process_time()
    (one,) = read(json.dumps({"openapi": "3.1.0", "paths": paths, "components": {"schemas": chain}}), "get7")
    assert len(one.schema["$defs"]) == 1_501
    assert time.process_time() - began < 60


WORDS = st.sampled_from([
    "openapi", "paths", "get", "post", "parameters", "name", "in", "path", "query", "schema", "$ref", "type", "object",
    "array", "string", "integer", "properties", "items", "allOf", "anyOf", "oneOf", "required", "nullable", "enum",
    "requestBody", "content", "application/json", "components", "schemas", "servers", "url", "#/components/schemas/A",
    "#/paths", "3.0.0", "3.1.0", "/a", "/a/{x}", "x", "A", "additionalProperties", "readOnly", "style", "not", "if",
])  # fmt: skip
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.floats(allow_nan=False, allow_infinity=False) | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=4),
    max_leaves=25,
)


@st.composite
def documents(draw: st.DrawFn) -> dict[str, Any]:
    """A document that is right, with rubbish in places."""
    schema = draw(VALUES)
    body = st.just({"content": {"application/json": {"schema": schema}}})
    operation = {"operationId": "x", "parameters": draw(VALUES | st.just([])), "requestBody": draw(VALUES | body)}
    item = draw(VALUES | st.just({"post": operation}))
    whole = {"openapi": draw(st.sampled_from(["3.0.0", "3.1.0"])), "paths": {"/a": item}}
    whole["components"] = {"schemas": {"A": draw(VALUES), "x": {"$ref": "#/components/schemas/A"}}}
    return whole | draw(st.dictionaries(WORDS, VALUES, max_size=1))


@settings(max_examples=400, deadline=None)
@given(documents(), VALUES)
def test_a_document_is_read_or_refused(document: dict[str, Any], value: Any) -> None:
    try:
        operations = read(json.dumps(document))
    except ResourceError:
        return
    for operation in operations:
        arguments = dict.fromkeys(operation.schema["properties"], value)
        faults_of(arguments, operation.schema)
        try:
            request_of(operation, "https://x.example", arguments)
        except ToolError:
            continue


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=60) | st.text(max_size=60).map(str.encode) | VALUES.map(lambda one: json.dumps(one).encode()))
def test_bytes_are_read_or_refused(content: bytes) -> None:
    with contextlib.suppress(ResourceError):
        assert str(Document(content, "shop.yaml").data["openapi"]).startswith("3")
