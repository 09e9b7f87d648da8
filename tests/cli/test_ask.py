"""`ragweave ask`: the answer, its sources, and what happens when there is none."""

from __future__ import annotations

import json
import shutil
import signal
from pathlib import Path

import pytest

from ragweave.cli.answers import write_outputs
from ragweave.orchestrator.values import Answer
from tests.cli.running import GRAPH, on_terminal, ragweave, started, wait_until
from tests.support.openai_server import OpenAIServer, Reply

ENDPOINT = "type: openai, model: test-model, base_url: URL, api_key: sk-test-1234567890"
SCRIPTED = 'type: scripted, replies: ["Tea steeps four minutes [1]."]'
TEA = "How long does black tea steep?"


def written(folder: Path) -> Path:
    """A folder with a graph and two documents."""
    (folder / "docs").mkdir()
    (folder / "docs/tea.md").write_text("# Tea\n\nBlack tea steeps for four minutes.\n")
    (folder / "docs/coffee.md").write_text("# Coffee\n\nA moka pot takes five minutes.\n")
    (folder / "graph.yaml").write_text(GRAPH)
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return written(tmp_path)


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The index of these documents, built once."""
    folder = written(tmp_path_factory.mktemp("indexed"))
    assert ragweave("index", "graph.yaml", cwd=folder).returncode == 0
    return folder / "index"


@pytest.fixture
def indexed(folder: Path, index: Path) -> Path:
    shutil.copytree(index, folder / "index")
    return folder


def with_model(folder: Path, model: str) -> None:
    """Let the graph's model be another one."""
    (folder / "graph.yaml").write_text(GRAPH.replace(SCRIPTED, model))


def test_the_answer_comes_with_its_sources(indexed: Path) -> None:
    done = ragweave("ask", "graph.yaml", TEA, cwd=indexed)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == (
        "Tea steeps four minutes [1].\n"
        "\n"
        "Sources\n"
        "  [1] Tea, docs/tea.md:3\n"
        "      “Black tea steeps for four minutes.”\n"
    )


def test_json_has_the_answer_the_sources_and_the_run(indexed: Path) -> None:
    done = ragweave("ask", "graph.yaml", TEA, "--format", "json", "--thread", "42", cwd=indexed)
    data = json.loads(done.stdout)
    assert data["status"] == "done"
    assert data["thread_id"] == "42"
    assert data["run_id"]
    assert data["outputs"]["answer"]["text"] == "Tea steeps four minutes [1]."
    assert data["outputs"]["answer"]["citations"][0]["source"] == "tea.md"
    assert data["usage"]["calls"] == 1


def test_a_folder_can_be_asked_with_no_graph_and_is_indexed_before(folder: Path) -> None:
    done = ragweave("ask", "--docs", "docs", TEA, cwd=folder)
    assert done.returncode == 0, done.stderr
    assert "four minutes" in done.stdout
    assert "[1] Tea, docs/tea.md:3" in done.stdout
    assert "2 files (2 added)" in done.stderr
    assert "model 'auto' is 'extractive'" in done.stderr
    (folder / "docs/milk.md").write_text("# Milk\n\nMilk boils at about 100 degrees.\n")
    again = ragweave("ask", "--docs", "docs", "At how many degrees does milk boil?", cwd=folder)
    assert "3 files (1 added, 2 unchanged)" in again.stderr
    assert "docs/milk.md:3" in again.stdout


ANSWERS = """\
schema: ragweave/v1
inputs: {questions: "list[str]"}
outputs: [answers]
nodes:
  ask:
    type: graph
    path: one.yaml
    map: {over: questions, as: question}
    writes: {answer: answers}
edges:
  - start -> ask -> end
"""


def test_each_answer_of_a_list_is_shown_with_its_sources(indexed: Path) -> None:
    with_model(indexed, SCRIPTED + ", repeat: true")
    (indexed / "graph.yaml").rename(indexed / "one.yaml")
    (indexed / "graph.yaml").write_text(ANSWERS)
    done = ragweave("ask", "graph.yaml", "--input", f'questions=["{TEA}", "{TEA}"]', cwd=indexed)
    one = (
        "Tea steeps four minutes [1].\n\nSources\n  [1] Tea, docs/tea.md:3\n"
        "      “Black tea steeps for four minutes.”\n"
    )
    assert (done.returncode, done.stdout) == (0, f"answers[0]\n{one}\nanswers[1]\n{one}"), done.stderr


@pytest.mark.parametrize(
    ("outputs", "text"),
    [
        ({"by": {"tea": Answer(text="Four."), "jam": Answer(text="No.", confidence=0)}, "count": 2},
         "by.tea\nFour.\n\nby.jam\nNo.\n\n(no answer: the sources do not say)\n\ncount: 2\n"),
        ({"answer": Answer(text="Four."), "other": Answer(text="Five."), "count": 2},
         "Four.\n\nother\nFive.\n\ncount: 2\n"),
        ({"answers": [Answer(text="Four."), "none"]}, "answers[0]\nFour.\n\nanswers[1]: none\n"),
        ({"answers": []}, "[]\n"),
        ({"answer": Answer(text="")}, "\n(an empty answer)\n"),
    ],
)  # fmt: skip
def test_answers_anywhere_in_outputs_are_readable(
    outputs: dict[str, object], text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    write_outputs(outputs, [], already=False)
    assert capsys.readouterr().out == text


def test_no_answer_is_said_and_is_no_failure(indexed: Path) -> None:
    with_model(indexed, "type: scripted, replies: [{text: I do not know., confidence: 0}]")
    done = ragweave("ask", "graph.yaml", "Who won?", cwd=indexed)
    assert (done.returncode, done.stdout) == (0, "I do not know.\n\n(no answer: the sources do not say)\n")


def test_a_missing_index_is_one_line_with_the_command(folder: Path) -> None:
    done = ragweave("ask", "graph.yaml", TEA, cwd=folder)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "error: there is no index for the retriever 'notes' yet; run `ragweave index graph.yaml`\n"


def test_yes_builds_a_missing_index(folder: Path) -> None:
    done = ragweave("ask", "graph.yaml", TEA, "--yes", cwd=folder)
    assert done.returncode == 0
    assert done.stdout.startswith("Tea steeps four minutes [1].\n")
    assert "docs -> index: 2 files (2 added)" in done.stderr


@pytest.mark.parametrize(("answer", "status"), [("y\n", 0), ("\n", 0), ("n\n", 1)])
def test_a_person_is_asked_whether_to_build_a_missing_index(folder: Path, answer: str, status: int) -> None:
    seen = on_terminal("ask", "graph.yaml", TEA, cwd=folder, typed=[("[Y/n] ", answer)])
    assert "There is no index of docs yet. Build it now? [Y/n]" in seen.raw
    assert seen.status == status
    assert ("Tea steeps four minutes" in seen.raw) is (status == 0)


def test_other_inputs_are_given_by_name_and_by_their_types(folder: Path) -> None:
    (folder / "graph.yaml").write_text(
        "schema: ragweave/v1\ninputs: {name: str, count: int, tags: 'list[str]', loud: {type: bool, default: false}}\n"
        "outputs: [answer]\nnodes:\n  a: {type: reply, text: '{name} {count} {tags} {loud}'}\n"
        "edges: [start -> a -> end]\n"
    )
    given = ("--input", "name=x=1", "--input", "count=2", "--input", 'tags=["a"]', "--input", "loud=true")
    done = ragweave("ask", "graph.yaml", *given, cwd=folder)
    assert (done.returncode, done.stdout) == (0, "x=1 2 a true\n")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "needs the input 'question' (str); ragweave ask graph.yaml \"QUESTION\""),
        (["Hi?", "--input", "qestion=Hi?"], "has no input 'qestion'; did you mean 'question'?"),
        (["Hi?", "--input", "question=Hi?"], "the input 'question' is given twice"),
        (["", "--input", "tone=a"], 'the question is empty; ragweave ask graph.yaml "QUESTION"'),
        ([" \n"], 'the question is empty; ragweave ask graph.yaml "QUESTION"'),
        (["--input", "question"], "--input is KEY=VALUE, found 'question'"),
        (["--input", "question=a", "--input", "question=b"], "the input 'question' is given twice"),
    ],
)
def test_wrong_inputs_are_said(indexed: Path, arguments: list[str], message: str) -> None:
    done = ragweave("ask", "graph.yaml", *arguments, cwd=indexed)
    assert (done.returncode, done.stdout) == (1, "")
    assert message in done.stderr


def test_every_missing_input_is_named(folder: Path) -> None:
    (folder / "graph.yaml").write_text(
        "schema: ragweave/v1\ninputs: {question: str, tone: str, count: int}\noutputs: [answer]\n"
        "nodes: {a: {type: reply, text: '{question} {tone} {count}'}}\nedges: [start -> a -> end]\n"
    )
    done = ragweave("ask", "graph.yaml", "Hi?", cwd=folder)
    assert done.returncode == 1
    assert "needs the inputs 'tone' (str), 'count' (int); ragweave ask graph.yaml --input tone=…" in done.stderr
    wrong = ragweave("ask", "graph.yaml", "Hi?", "--input", "tone=a", "--input", "count=many", cwd=folder)
    assert wrong.returncode == 1
    assert "input 'count' must be int, not 'many'" in wrong.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["ask"], 'ragweave ask GRAPH "QUESTION"'),
        (["ask", "How long does tea steep?"], "is not a graph file"),
        (["ask", "grph.yaml", "Hi?"], "did you mean 'graph.yaml'?"),
        (["ask", "docs", "Hi?"], "'docs' is a folder, not a graph file; ragweave ask --docs docs"),
        (["ask", "--docs", "dosc", "Hi?"], "did you mean 'docs'?"),
        (["ask", "--docs", "docs"], "the question is missing"),
        (["ask", "--docs", "docs", ""], "the question is empty"),
        (["ask", "--docs", "docs", "graph.yaml", "Hi?"], "with --docs there is no graph file"),
    ],
)
def test_a_wrong_command_line_says_how_it_goes(folder: Path, arguments: list[str], message: str) -> None:
    done = ragweave(*arguments, cwd=folder)
    assert (done.returncode, done.stdout) == (1, "")
    assert message in done.stderr


def test_a_graph_with_mistakes_shows_them_all(folder: Path) -> None:
    (folder / "graph.yaml").write_text(GRAPH.replace("generator, model", "generator, modle"))
    done = ragweave("ask", "graph.yaml", TEA, cwd=folder)
    assert done.returncode == 1
    assert done.stderr.startswith("graph.yaml: 1 problem\n  graph.yaml:11:29  RW103  ")


@pytest.mark.parametrize(
    ("model", "said"),
    [
        (ENDPOINT.replace("sk-test-1234567890", "sk-wrong-0987654321"), "key"),
        (ENDPOINT.replace("test-model", "tset-model"), "tset-model"),
    ],
)
def test_a_wrong_key_and_an_unknown_model_are_said(indexed: Path, model: str, said: str) -> None:
    with OpenAIServer() as server:
        with_model(indexed, model.replace("URL", server.url))
        done = ragweave("ask", "graph.yaml", TEA, cwd=indexed)
    assert (done.returncode, done.stdout) == (1, "")
    assert said in done.stderr
    assert "sk-wrong" not in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_server_that_says_nothing_is_given_up_after_the_timeout(indexed: Path) -> None:
    with OpenAIServer([Reply(hang=True)]) as server:
        with_model(indexed, ENDPOINT.replace("URL", server.url))
        text = (indexed / "graph.yaml").read_text().replace("model: chat}", "model: chat, timeout: 500ms}")
        (indexed / "graph.yaml").write_text(text)
        done = ragweave("ask", "graph.yaml", TEA, cwd=indexed)
    assert done.returncode == 1
    assert "500 ms" in done.stderr or "0.5" in done.stderr


def test_a_server_that_breaks_off_leaves_no_half_answer(indexed: Path) -> None:
    with OpenAIServer([Reply("Tea steeps for a long, long time.", close_after=4)]) as server:
        with_model(indexed, ENDPOINT.replace("URL", server.url))
        done = ragweave("ask", "graph.yaml", TEA, cwd=indexed)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.count("\n") == 1


def test_ctrl_c_ends_a_question_at_once(indexed: Path) -> None:
    with OpenAIServer([Reply(hang=True)]) as server:
        with_model(indexed, ENDPOINT.replace("URL", server.url))
        with started("ask", "graph.yaml", TEA, cwd=indexed) as process:
            wait_until(lambda: bool(server.requests))
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=120)
        assert server.left.wait(60), "the server is left to itself"
    assert (process.returncode, out, err) == (130, "", "interrupted\n")


def test_ctrl_c_on_a_terminal_leaves_no_half_answer(indexed: Path) -> None:
    with OpenAIServer([Reply("Tea steeps for a long time.", hang_after=4)]) as server:
        with_model(indexed, ENDPOINT.replace("URL", server.url))
        seen = on_terminal("ask", "graph.yaml", TEA, cwd=indexed, typed=[("steeps", "\x03")], env={"NO_COLOR": "1"})
    assert seen.status == 130
    assert seen.raw.endswith("\ninterrupted\n")
    assert "steeps" not in seen.raw.rpartition("\x1b[J")[2]


def test_a_model_cannot_move_the_cursor(indexed: Path) -> None:
    with OpenAIServer([Reply(chunks=["Red\x1b[31m ", "bell\x07 ", "over\rwritten."])]) as server:
        with_model(indexed, ENDPOINT.replace("URL", server.url))
        done = ragweave("ask", "graph.yaml", TEA, cwd=indexed)
        seen = on_terminal("ask", "graph.yaml", TEA, cwd=indexed, env={"NO_COLOR": "1"})
    assert done.stdout.startswith("Red[31m bell over\nwritten.\n")
    assert "\x1b[31m" not in seen.raw
    assert "\x07" not in seen.raw


def test_a_terminal_shows_the_words_as_they_come(indexed: Path) -> None:
    with OpenAIServer([Reply("Tea steeps for four minutes [1].", pace=0.1)]) as server:
        with_model(indexed, ENDPOINT.replace("URL", server.url))
        seen = on_terminal("ask", "graph.yaml", TEA, cwd=indexed, env={"NO_COLOR": "1"})
    assert seen.status == 0
    assert "Tea steeps for four minutes [1].\n\nSources\n  [1] Tea, docs/tea.md:3\n" in seen.raw
    assert seen.raw.count("steeps") == 2, "in the answer and in the quote, not written again"


def test_words_that_do_not_count_disappear_from_a_terminal(indexed: Path) -> None:
    replies = [Reply("Wrong words.", close_after=3, pace=0.1), Reply("Tea steeps four minutes [1].")]
    with OpenAIServer(replies) as server:
        with_model(indexed, ENDPOINT.replace("URL", server.url))
        text = (indexed / "graph.yaml").read_text().replace("model: chat}", "model: chat, retry: 1}")
        (indexed / "graph.yaml").write_text(text)
        seen = on_terminal("ask", "graph.yaml", TEA, cwd=indexed, env={"NO_COLOR": "1"})
    assert seen.status == 0
    before, _, after = seen.raw.partition("\r\x1b[JTea steeps")
    assert "Wrong" in before
    assert "Wrong" not in after


def test_an_answer_that_is_refused_later_is_replaced_on_a_terminal(indexed: Path) -> None:
    (indexed / "graph.yaml").write_text(
        GRAPH.replace('replies: ["Tea steeps four minutes [1]."]', "replies: [{text: Perhaps., confidence: 0}]")
        .replace(
            "model: chat}", "model: chat}\n  refuse: {type: reply, text: That is not in the notes., confidence: 0}"
        )
        .replace(
            "-> answer -> end",
            "-> answer\n  - from: answer\n    routes:\n      - {when: answer.confidence > 0.0, to: end}\n"
            "      - {to: refuse}\n  - refuse -> end",
        )
    )
    done = ragweave("ask", "graph.yaml", TEA, cwd=indexed)
    assert done.stdout == "That is not in the notes.\n\n(no answer: the sources do not say)\n"
    seen = on_terminal("ask", "graph.yaml", TEA, cwd=indexed, env={"NO_COLOR": "1"})
    assert seen.raw.endswith("\r\x1b[JThat is not in the notes.\n\n(no answer: the sources do not say)\n")


def test_documents_that_changed_since_they_were_indexed_are_said_in_one_line(indexed: Path) -> None:
    assert ragweave("index", "graph.yaml", cwd=indexed).returncode == 0
    (indexed / "docs/milk.md").write_text("# Milk\n\nMilk boils at about 100 degrees.\n")
    (indexed / "docs/coffee.md").unlink()
    done = ragweave("ask", "graph.yaml", TEA, cwd=indexed)
    assert done.returncode == 0
    assert done.stderr == (
        "docs has changed since it was indexed (1 added, 1 deleted); "
        "`ragweave index graph.yaml` brings the index up to date\n"
    )
    assert ragweave("index", "graph.yaml", cwd=indexed).returncode == 0
    assert ragweave("ask", "graph.yaml", TEA, cwd=indexed).stderr == ""
