"""Images, sounds and files: from a file, through a graph, to a model; by their hash, never inline."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ragweave import Graph, RunError
from ragweave.orchestrator.blobs import Blobs, media_type_of
from ragweave.orchestrator.contracts import ChatRequest
from ragweave.orchestrator.errors import InputError
from ragweave.orchestrator.models.openai import OpenAI
from ragweave.orchestrator.resources import Resources
from ragweave.orchestrator.types import Type, parse_type, type_of
from ragweave.orchestrator.values import BlobPart, Message, Part, TextPart
from tests.support.asking import ask, connected
from tests.support.openai_server import OpenAIServer, Reply

PNG = b"\x89PNG\r\n\x1a\n a picture of a cat"
PROMPT = {"text": "{{ question }}", "variables": {"question": "str", "pictures": "list[Part]?"}}


def graph_of(server: OpenAIServer, prompt: object = PROMPT, **model: object) -> Graph:
    chat = {"type": "openai", "model": "test-model", "base_url": server.url, "api_key": server.key, **model}
    return Graph(
        inputs={"question": "str", "pictures": {"type": "list[Part]", "default": []}},
        outputs=["answer"],
        models={"chat": chat},
        prompts={"ask": prompt},
        nodes={"answer": {"type": "generator", "model": "chat", "prompt": "ask"}},
        edges=["start -> answer -> end"],
    )


def test_a_picture_reaches_the_model_before_the_question_about_it(tmp_path: Path) -> None:
    file = tmp_path / "cat.png"
    file.write_bytes(PNG)
    with OpenAIServer([Reply("A cat.")]) as server, graph_of(server) as graph:
        sound = graph.attach(b"RIFF1234WAVE...", name="purr.wav")
        result = graph.run(question="What is this?", pictures=[graph.attach(file), sound])
    assert str(result["answer"]) == "A cat."
    (message,) = server.requests[0].json["messages"]
    assert message["content"] == [
        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{base64.b64encode(PNG).decode()}"}},
        {
            "type": "input_audio",
            "input_audio": {"data": base64.b64encode(b"RIFF1234WAVE...").decode(), "format": "wav"},
        },
        {"type": "text", "text": "What is this?"},
    ]


def test_without_a_picture_the_message_is_plain_text() -> None:
    with OpenAIServer() as server, graph_of(server) as graph:
        graph.run(question="Hi?")
    assert server.requests[0].json["messages"] == [{"role": "user", "content": "Hi?"}]


def test_a_text_only_model_refuses_a_picture_before_it_is_called() -> None:
    with OpenAIServer() as server, graph_of(server, takes=["text"]) as graph, pytest.raises(RunError) as caught:
        graph.run(question="What is this?", pictures=[graph.attach(PNG, name="cat.png")])
    assert "the image 'cat.png', but model 'test-model' reads text; name a model that reads it" in str(caught.value)
    assert not server.requests


def test_extractive_refuses_a_picture_rather_than_not_looking_at_it() -> None:
    graph = Graph(
        inputs={"question": "str", "picture": "Part"},
        outputs=["answer"],
        prompts={"ask": {"text": "{{ question }}", "variables": {"question": "str", "picture": "Part"}}},
        nodes={"answer": {"type": "generator", "model": "extractive", "prompt": "ask"}},
        edges=["start -> answer -> end"],
    )
    with graph, pytest.raises(RunError, match=r"the image 'cat.png', but model 'extractive' reads text"):
        graph.run(question="What is this?", picture=graph.attach(PNG, name="cat.png"))


def test_a_conversation_with_parts_goes_through_a_prompt() -> None:
    prompt = {"text": "## messages: turn\n\n## user\nSo?", "variables": {"turn": "Message"}}
    with OpenAIServer([Reply("A cat.")]) as server:
        chat = {"type": "openai", "model": "test-model", "base_url": server.url, "api_key": server.key}
        with Graph(
            inputs={"turn": "Message"},
            outputs=["answer"],
            models={"chat": chat},
            prompts={"ask": prompt},
            nodes={"answer": {"type": "generator", "model": "chat", "prompt": "ask"}},
            edges=["start -> answer -> end"],
        ) as graph:
            part = graph.attach(PNG)
            graph.run(turn=Message(role="user", parts=(part, TextPart(text="Look."))))
            as_json = {"role": "user", "parts": [{"type": "image", "blob": part.blob, "media_type": "image/png"}]}
            graph.run(turn=as_json)
    first, second = (request.json["messages"] for request in server.requests)
    assert [entry["type"] for entry in first[0]["content"]] == ["image_url", "text"]
    assert second[0]["content"] == first[0]["content"][:1]
    assert first[1] == {"role": "user", "content": "So?"}


def test_what_is_attached_to_a_graph_reaches_the_models_of_a_graph_inside_it() -> None:
    with OpenAIServer([Reply("A cat.")]) as server:
        inner = graph_of(server)
        outer = Graph(
            inputs={"question": "str", "pictures": "list[Part]"},
            outputs=["answer"],
            nodes={"look": inner},
            edges=["start -> look -> end"],
        )
        with outer:
            assert str(outer.run(question="What?", pictures=[outer.attach(PNG)])["answer"]) == "A cat."


@pytest.mark.parametrize(
    ("prompt", "said"),
    [
        ({"text": "## system\nLook.", "variables": {"picture": "Part"}}, "is a Part; it needs a section ## user"),
        ({"text": "{{ picture }}", "variables": {"picture": "Part"}}, "a Part cannot be printed as it is"),
        ({"text": "{{ picture.labe }}", "variables": {"picture": "Part"}}, "a Part has no field 'labe'; did you mean"),
    ],
)
def test_a_prompt_that_could_not_send_its_parts_is_refused_when_it_is_loaded(prompt: object, said: str) -> None:
    with OpenAIServer() as server, pytest.raises(Exception, match="problem") as caught:
        graph_of(server, prompt)
    assert said in str(caught.value)


async def test_what_is_no_image_sound_or_text_is_sent_as_a_file() -> None:
    resources = Resources()
    part = resources.blobs.attach(b"%PDF-1.7", name="menu.pdf")
    with OpenAIServer() as server:
        async with connected(server, OpenAI, resources) as model:
            await ask(model, ChatRequest([Message(role="user", parts=(part,))]))
    assert server.requests[0].json["messages"][0]["content"] == [
        {
            "type": "file",
            "file": {"filename": "menu.pdf", "file_data": "data:application/pdf;base64,JVBERi0xLjc="},
        }
    ]


async def test_a_sound_that_the_format_cannot_carry_is_named() -> None:
    resources = Resources()
    part = resources.blobs.attach(b"...", media_type="audio/midi", name="song.mid")
    with OpenAIServer() as server:
        async with connected(server, OpenAI, resources) as model:
            with pytest.raises(InputError, match=r"'song.mid' is audio/midi, which Chat Completions cannot carry"):
                await ask(model, ChatRequest([Message(role="user", parts=(part,))]))


def test_part_is_a_type_of_state() -> None:
    assert type_of(BlobPart) == type_of(Part) == parse_type("Part") == Type("Part")


# --- the store of bytes ---


@settings(deadline=None)
@given(st.binary(min_size=1, max_size=50))
def test_bytes_come_back_as_they_were(data: bytes) -> None:
    blobs = Blobs()
    digest = blobs.put(data)
    assert blobs.put(data) == digest
    assert blobs.get(digest) == data
    assert digest in blobs


def test_a_folder_keeps_bytes_over_processes_and_notices_changes(tmp_path: Path) -> None:
    digest = Blobs(tmp_path / "blobs").put(PNG)
    again = Blobs(tmp_path / "blobs")
    assert digest in again
    assert again.get(digest) == PNG
    (file,) = (path for path in tmp_path.rglob("*") if path.is_file())
    file.write_bytes(b"something else")
    with pytest.raises(InputError, match="was changed: its bytes are not those of"):
        Blobs(tmp_path / "blobs").get(digest)


@pytest.mark.parametrize("digest", ["../../etc/passwd", "", "A" * 64, "0" * 63, "0" * 64 + "/x"])
def test_only_a_hash_is_looked_for(tmp_path: Path, digest: str) -> None:
    blobs = Blobs(tmp_path)
    assert digest not in blobs
    with pytest.raises(InputError, match="is not the SHA-256 of a blob"):
        blobs.get(digest)


def test_memory_is_bounded_and_what_was_used_last_is_kept() -> None:
    blobs = Blobs(max_memory=25)
    first, second = blobs.put(b"a" * 10), blobs.put(b"b" * 10)
    blobs.get(first)
    blobs.put(b"c" * 10)
    assert first in blobs
    with pytest.raises(InputError, match="are not here"):
        blobs.get(second)


def test_too_much_and_nothing_are_refused(tmp_path: Path) -> None:
    blobs = Blobs(max_blob=10)
    with pytest.raises(InputError, match=r"11 bytes is too large: at most 10 are kept"):
        blobs.put(b"x" * 11)
    with pytest.raises(InputError, match="is empty"):
        blobs.put(b"")
    large = tmp_path / "large.png"
    large.write_bytes(b"x" * 11)
    with pytest.raises(InputError, match="at most 10 can be attached"):
        blobs.attach(large)
    with pytest.raises(InputError, match=r"'.*missing.png' cannot be attached: No such file"):
        blobs.attach(tmp_path / "missing.png")


@pytest.mark.parametrize(
    ("data", "name", "kind", "sort"),
    [
        (PNG, "", "image/png", "image"),
        (PNG, "wrong.txt", "image/png", "image"),
        (b"RIFF1234WEBPVP8 ", "", "image/webp", "image"),
        (b"\xff\xd8\xff\xe0", "", "image/jpeg", "image"),
        (b"ID3\x04", "", "audio/mpeg", "audio"),
        (b"Tea is on the left.", "tea.md", "text/markdown", "file"),
        (b"Tea", "", "text/plain", "file"),
        (b"\xff\x00\x01", "", "application/octet-stream", "file"),
    ],
)
def test_what_bytes_are_is_told_by_them_or_by_their_name(data: bytes, name: str, kind: str, sort: str) -> None:
    assert media_type_of(data, name) == kind
    assert Blobs().attach(data, name=name).type == sort


def test_a_part_holds_no_bytes() -> None:
    part = Blobs().attach(PNG, name="cat.png")
    assert json.loads(part.model_dump_json()) == {
        "type": "image",
        "blob": part.blob,
        "media_type": "image/png",
        "name": "cat.png",
    }
    assert part.label == "cat.png"
