"""YAML is read with the place of everything, and what is not in the language is refused."""

from __future__ import annotations

import json

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from ragweave.orchestrator.language import yamltext
from ragweave.orchestrator.language.spec import Mark
from ragweave.orchestrator.language.yamltext import MAX_BYTES, MAX_DEPTH, read, typed

LOOKS = """no yes on off Yes True NULL 012 0x10 0o7 0b1 1:30 1_000 2020-01-01 +1 .5 5. .inf .nan 1e9999 1.2.3
    - --1 ١ 1e << ="""


@pytest.mark.parametrize("text", LOOKS.split())
def test_what_looks_like_text_is_text(text: str) -> None:
    assert typed(text) == text
    if text != "-":
        assert read(f"a: {text}").data == {"a": text}


PLAIN = {"0": 0, "-7": -7, "1.50": 1.5, "1e3": 1000.0, "-2.5E-1": -0.25, "true": True, "false": False, "null": None}


@pytest.mark.parametrize(("text", "value"), [*PLAIN.items(), ("~", None), ("", None)])
def test_plain_numbers_and_words_are_typed(text: str, value: object) -> None:
    found = read(f"a: {text}").data["a"]
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize("text", ["5", "true", "null", "~", ""])
def test_what_is_quoted_is_text(text: str) -> None:
    assert read(f"a: '{text}'\nb: \"{text}\"").data == {"a": text, "b": text}


def test_keys_are_text() -> None:
    assert read("1: a\ntrue: b\n~: c\n").data == {"1": "a", "true": "b", "~": "c"}


def test_every_key_and_value_has_its_place() -> None:
    reading = read('nodes:\n  grüß: {type: say, "text": [1, x]}\n')
    assert reading.data == {"nodes": {"grüß": {"type": "say", "text": [1, "x"]}}}
    assert reading.marks == {
        ("nodes",): Mark(1, 1),
        ("nodes", "grüß"): Mark(2, 3),
        ("nodes", "grüß", "type"): Mark(2, 10),
        ("nodes", "grüß", "text"): Mark(2, 21),
        ("nodes", "grüß", "text", 0): Mark(2, 30),
        ("nodes", "grüß", "text", 1): Mark(2, 33),
    }
    assert reading.value_marks["nodes", "grüß", "text"] == Mark(2, 29)
    assert reading.value_marks[()] == Mark(1, 1)


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_line_ends_of_every_system_count_once(end: str) -> None:
    assert read(f"a: 1{end}b: 2{end}{end}c: 3{end}").marks["c",] == Mark(4, 1)


def test_a_byte_order_mark_is_no_column() -> None:
    reading = read(b"\xef\xbb\xbfa: 1\n")
    assert reading.data == {"a": 1}
    assert reading.marks["a",] == Mark(1, 1)


@pytest.mark.parametrize(
    ("source", "place", "words"),
    [
        (b"a: 1\nb: \xff\n", (2, 4), "not UTF-8"),
        ("a: 1\nb: \x00\n", (2, 4), "U+0000"),
        ("a: \ud800", (1, 4), "U+D800"),
        ("", (1, 1), "empty"),
        ("# nothing\n", (1, 1), "empty"),
        ("a:\n\t- 1\n", (2, 1), "tab"),
        ("a: |\n\ttext\n", (2, 1), "tab"),
        ("a: `x`", (1, 4), "quoted"),
        ("a: b: c", (1, 5), "quotes"),
        ("a: [1, 2\nb: 3\n", (1, 9), "the '[' of line 1, column 4 is still open"),
        ('a: "x\n', (1, 4), "the quote of line 1, column 4 is still open"),
        ('a: "\\q"', (1, 5), "unknown escape"),
        ("when: !a && b", (1, 11), "quote the condition"),
        ("{when: a ? b : c, to: x}", (1, 14), "quote the condition"),
        ("when: a ? b : c", (1, 13), "quote the condition"),
        ("{to: x, url: ${env:X}}", (1, 15), "quote the value"),
        ("a: {{ question }}", (1, 5), "quote it"),
        ("%YAML 3.0\n---\na: 1", (1, 1), "version of YAML"),
    ],
)
def test_what_cannot_be_read_is_one_problem(source: str | bytes, place: tuple[int, int], words: str) -> None:
    reading = read(source)
    [problem] = reading.problems
    assert not reading.readable
    assert problem.code == "RW100"
    assert (problem.line, problem.column) == place
    assert words in problem.message


def test_a_quote_that_is_not_in_a_condition_says_nothing_of_conditions() -> None:
    [problem] = read("routes:\n  - {when: a, to: b}\nname: 'it's'\n").problems
    assert (problem.line, problem.column) == (3, 11)
    assert "condition" not in problem.message


def test_too_large_and_too_deep_files_are_refused() -> None:
    [problem] = read("a: " + "x" * MAX_BYTES).problems
    assert problem.code == "RW102"
    assert read("[" * MAX_DEPTH + "]" * MAX_DEPTH).readable
    assert [problem.column for problem in read("[" * 100_000).problems] == [MAX_DEPTH + 1]
    assert [problem.column for problem in read("{a: " * 100).problems] == [4 * MAX_DEPTH + 1]


def test_a_bomb_of_aliases_is_refused_before_it_grows() -> None:
    rows = ["a0: &a0 [x, x]"] + [f"a{i}: &a{i} [*a{i - 1}, *a{i - 1}, *a{i - 1}]" for i in range(1, 40)]
    reading = read("\n".join(rows))
    assert not reading.readable
    assert {problem.code for problem in reading.problems} == {"RW102"}


def test_the_first_of_two_keys_counts() -> None:
    reading = read("a: 1\na: 2\nb: {c: 1, c: {d: 2}}")
    assert reading.data == {"a": 1, "b": {"c": 1}}
    assert [str(problem) for problem in reading.problems] == [
        "graph:2:1  RW101  the key 'a' stands here again; it stands on line 1 already",
        "graph:3:11  RW101  the key 'c' stands here again; it stands on line 3 already",
    ]


def test_of_a_section_that_stands_twice_all_counts() -> None:
    reading = read("a: {x: {y: 1}}\na: {x: {z: 2}, w: {v: 3}}\n")
    assert reading.data == {"a": {"x": {"y": 1}, "w": {"v": 3}}}
    assert reading.marks["a", "w", "v"] == Mark(2, 20)
    assert ("a", "x", "z") not in reading.marks
    assert len(reading.problems) == 1


def test_without_the_c_parser_the_same_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "nodes:\n  a: {type: say, text: [no, 1, 'x']}  # é\nedges:\n- start -> a\n"
    fast = read(text)
    monkeypatch.setattr(yamltext, "_PARSER", yaml.SafeLoader)
    slow = read(text)
    assert (slow.data, slow.marks, slow.value_marks) == (fast.data, fast.marks, fast.value_marks)
    assert [problem.code for problem in read("a: b: c").problems] == ["RW100"]


SCRAPS = st.text(alphabet="ab:-[]{},&*!|>'\"%@`#?\\ \t\n\r0$.\x00\ufeff\x85é", max_size=60)


@given(st.one_of(st.binary(max_size=80), st.text(max_size=80), SCRAPS))
@example("? a")
@example("--- a\n...\n")
@example(b"\xff\xfea\x00")
@example("&a")
@example("!!binary x")
def test_whatever_is_read_gives_data_or_problems(source: str | bytes) -> None:
    reading = read(source)
    assert reading.readable or reading.problems
    lines = yamltext.lines_of(reading.text)
    for problem in reading.problems:
        assert 1 <= problem.line <= len(lines) + 1
        assert problem.column >= 1


plain = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**9), 10**9)
    | st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp"])),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abc", min_size=1), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text("xyz", min_size=1), plain, min_size=1, max_size=4))
def test_what_json_says_is_read_as_json_says(data: dict[str, object]) -> None:
    assert read(json.dumps(data, ensure_ascii=False)).data == data
