"""Wrong graph files: each gives exactly the problems, at exactly the places, that its first lines say."""

from __future__ import annotations

from pathlib import Path

import pytest

from ragweave.orchestrator.codes import codes
from ragweave.orchestrator.language.fixes import apply
from tests.language.reading import opened, places

FILES = sorted((Path(__file__).parent / "wrong").glob("*.yaml"))


def expected(text: str) -> list[str]:
    return [line.removeprefix("#:").strip() for line in text.splitlines() if line.startswith("#:")]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_each_fault_is_found_at_its_place_and_no_other(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    _, _, problems = opened(text)
    assert places(problems) == expected(text), "\n".join(str(problem) for problem in problems)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_repair_mends_its_problem(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    _, _, before = opened(text)
    mended, applied = apply(text, before)
    _, _, after = opened(mended)
    assert len(after) <= len(before) - len(applied), "\n".join(str(problem) for problem in after)


def test_the_files_cover_every_code_of_the_language() -> None:
    found = {line.split()[1] for path in FILES for line in expected(path.read_text(encoding="utf-8"))}
    wanted = {code for code in codes() if code[2] in "13"}
    # Given where the graph file itself cannot be read, and for the .env file beside it.
    assert sorted(wanted - found) == ["RW129", "RW306"]


def test_a_problem_says_what_was_meant() -> None:
    text = "schema: ragweave/v1\nnodes:\n  greet: {type: say, txet: Hello.}\nedges: [start -> greet -> end]\n"
    _, _, problems = opened(text)
    assert [str(problem) for problem in problems] == [
        "graph:3:22  RW103  nodes.greet: unknown setting 'txet'; did you mean 'text'?"
    ]


def message(text: str) -> str:
    """What is said about a text that has one problem."""
    [problem] = opened(text)[2]
    return problem.message


@pytest.mark.parametrize(
    ("line", "said", "mended"),
    [
        ("inputs: {question: list[str]}", 'put it in quotes: question: "list[str]"', 'inputs: {question: "list[str]"}'),
        ("inputs: {a: str, b: Optional[str]}", 'b: "Optional[str]"', 'inputs: {a: str, b: "Optional[str]"}'),
        ("description: Note: cold", 'put it in quotes: description: "Note: cold"', 'description: "Note: cold"'),
        ("description: a: b  # c", 'description: "a: b"', 'description: "a: b"  # c'),
        ('description: say "hi": you', "description: 'say \"hi\": you'", "description: 'say \"hi\": you'"),
        ('description: it\'s "hi": x', 'description: "it\'s \\"hi\\": x"', 'description: "it\'s \\"hi\\": x"'),
        (
            "x: {type: say, text: hi: there, times: 2}",
            'text: "hi: there"',
            'x: {type: say, text: "hi: there", times: 2}',
        ),
    ],
)
def test_text_that_yaml_takes_apart_is_shown_in_quotes(line: str, said: str, mended: str) -> None:
    text = f"schema: ragweave/v1\n{line}\n"
    problem = opened(text)[2][0]
    assert (problem.code, problem.line) == ("RW100", 2)
    assert said in problem.message
    assert apply(text, [problem])[0] == f"schema: ragweave/v1\n{mended}\n"


@pytest.mark.parametrize(
    "line", ["x: {text: hi: there, you}", "x: {type: say text: hi}", "description: a: b\n  and so on"]
)
def test_text_whose_end_is_not_sure_is_not_repaired(line: str) -> None:
    [problem] = opened(f"schema: ragweave/v1\n{line}\n")[2]
    assert (problem.code, problem.fix) == ("RW100", None)


@pytest.mark.parametrize(
    ("word", "said", "mended"),
    [
        ("dict", "did you mean 'map[json]'?", '"map[json]"'),
        ("array", "did you mean 'list[json]'?", '"list[json]"'),
        ("'List[str]'", "did you mean 'list[str]'?", "'list[str]'"),
        ("'Dict[str, Document]'", "did you mean 'map[Document]'?", "'map[Document]'"),
        ("'typing.Sequence[integer]'", "did you mean 'list[int]'?", "'list[int]'"),
        ("boolean", "did you mean 'bool'?", "bool"),
        ("Any", "did you mean 'json'?", "json"),
        ("string", "did you mean 'str'?", "str"),
        ("number", "did you mean 'float'?", "float"),
        ("object", "did you mean 'map[json]' or 'json'?", None),
        ("'Optional[List[str]]'", "did you mean 'list[str]' with a default, for what may be left out?", None),
        ("str | None", "did you mean 'str' with a default", None),
        ("strin", "did you mean 'str'?", "str"),
    ],
)
def test_a_type_word_of_another_language_is_translated(word: str, said: str, mended: str | None) -> None:
    text = f"schema: ragweave/v1\ninputs: {{question: {word}}}\nnodes: {{}}\nedges: []\n"
    [problem] = [problem for problem in opened(text)[2] if problem.code == "RW110"]
    assert (problem.line, problem.column) == (2, 20)
    assert said in problem.message
    assert apply(text, [problem])[0] == (text if mended is None else text.replace(word, mended))


def test_a_key_that_was_meant_but_is_there_already_is_named() -> None:
    text = (FILES[0].parent / "near_and_given.yaml").read_text(encoding="utf-8")
    assert [problem.message for problem in opened(text)[2]] == [
        "nodes.greet: unknown setting 'txet'; did you mean 'text', which is given already?",
        "limits: unknown key 'dedline'; did you mean 'deadline', which is given already?",
    ]


def test_a_misspelt_setting_is_told_before_what_its_absence_breaks() -> None:
    text = "schema: ragweave/v1\nprompts:\n  short: {txet: Hi.}\nnodes: {}\nedges: []\n"
    assert message(text) == "prompts.short: unknown setting 'txet'; did you mean 'text'?"


def test_an_unknown_type_near_to_none_says_how_a_plugin_is_named() -> None:
    text = "schema: ragweave/v1\nnodes: {a: {type: enrich}}\nedges: [start -> a -> end]\n"
    hint = "; one of a plugin needs --plugin my_nodes.py, or [tool.ragweave] plugins in pyproject.toml"
    assert message(text).endswith(hint)
    assert "plugin" not in message(text.replace("enrich", "sayy, text: Hi."))
