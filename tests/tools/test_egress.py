"""The guard of HTTP: no URL, name, redirect or second answer of a resolver leads to an address of the inside."""

from __future__ import annotations

import asyncio
import gzip
import ssl
import sys
import zlib
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from ragweave.orchestrator.errors import ToolError
from ragweave.tools.egress import Browser, Egress, Lost
from ragweave.tools.egress.fetch import decompressed, trusted
from tests.tools.hostile_urls import HOSTILE, INSIDE

_watching: list[list[tuple[str, int]]] = []


def _audit(event: str, args: tuple[Any, ...]) -> None:
    if event == "socket.connect" and isinstance(args[1], tuple):
        for seen in _watching:
            seen.append(args[1][:2])


sys.addaudithook(_audit)


@pytest.fixture
def connects() -> Iterator[list[tuple[str, int]]]:
    """Where sockets were connected to during the test."""
    seen: list[tuple[str, int]] = []
    _watching.append(seen)
    yield seen
    _watching.remove(seen)


class Web:
    """A server on loopback that answers by path, and keeps what it was asked."""

    def __init__(self) -> None:
        self.port = 0
        self.asked: list[str] = []
        self.pages: dict[str, bytes] = {}

    def page(self, path: str, body: bytes = b"", *headers: str, status: str = "200 OK") -> None:
        kind = [] if any(line.lower().startswith("content-type") for line in headers) else ["Content-Type: text/plain"]
        lines = [f"HTTP/1.1 {status}", *headers, *kind, f"Content-Length: {len(body)}", "Connection: close"]
        self.pages[path] = "\r\n".join([*lines, "", ""]).encode() + body

    def redirect(self, path: str, to: str, status: str = "302 Found") -> None:
        self.page(path, b"", f"Location: {to}", status=status)

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        self.asked.append(head)
        writer.write(self.pages.get(head.split(" ")[1], b"HTTP/1.1 404 No\r\nContent-Type: text/plain\r\n\r\n"))
        await writer.drain()
        writer.close()


@asynccontextmanager
async def serving(tls: ssl.SSLContext | None = None) -> AsyncIterator[Web]:
    web = Web()
    server = await asyncio.start_server(web.answer, "127.0.0.1", 0, ssl=tls)
    web.port = server.sockets[0].getsockname()[1]
    async with server:
        yield web


def resolver(**names: str | Sequence[str]) -> Callable[[str, int], Any]:
    """Knows some names (`_` stands for a dot); each call takes the next answer of a list."""
    answers = {
        name.replace("_", "."): [known] if isinstance(known, str) else list(known) for name, known in names.items()
    }

    async def resolve(host: str, port: int) -> Sequence[str]:
        if host not in answers:
            raise OSError(host)
        known = answers[host]
        return (known.pop(0) if len(known) > 1 else known[0]).split()

    return resolve


async def test_no_hostile_url_reaches_an_address_of_the_inside(connects: list[tuple[str, int]]) -> None:
    assert len(HOSTILE) >= 40
    async with serving() as victim:
        browser = Browser(Egress(hosts=("*",), ports=(80, 443, victim.port), timeout=60), resolve=resolver(**INSIDE))
        for url in HOSTILE:
            with pytest.raises(ToolError):
                await browser.fetch(url.format(p=victim.port).replace("\\t", "\t"))
        assert (connects, victim.asked) == ([], [])


async def test_no_redirect_reaches_an_address_of_the_inside(connects: list[tuple[str, int]]) -> None:
    async with serving() as victim, serving() as web:
        policy = Egress(hosts=("*",), ports=(80, victim.port), allow_private=(f"127.0.0.1:{web.port}",), timeout=60)
        browser = Browser(policy, resolve=resolver(**INSIDE))
        for number, url in enumerate(HOSTILE):
            to = url.format(p=victim.port).encode("ascii", "replace").decode().replace("\t", "%09")
            web.redirect(f"/{number}", to)
            web.redirect(f"/chain/{number}", f"/{number}", "307 Again")
            for path in (f"/{number}", f"/chain/{number}"):
                # What is relative, or has lost its strange letters, is a page of the same server that is not there.
                try:
                    assert (await browser.fetch(f"http://127.0.0.1:{web.port}{path}")).status == 404
                except ToolError:
                    continue
        assert victim.asked == []
        assert set(connects) == {("127.0.0.1", web.port)}


async def test_the_second_answer_of_a_resolver_changes_nothing(connects: list[tuple[str, int]]) -> None:
    async with serving() as victim, serving() as web:
        web.page("/", b"good")
        web.redirect("/again", f"http://flip.example.org:{victim.port}/")
        policy = Egress(hosts=("*.example.org",), ports=(victim.port,), allow_private=(f"127.0.0.1:{web.port}",))
        # First allowed, then of the inside: the same name leads to the victim's port by a redirect.
        browser = Browser(policy, resolve=resolver(flip_example_org=["127.0.0.1", "127.0.0.1"]))
        assert (await browser.fetch(f"http://flip.example.org:{web.port}/")).text == "good"
        with pytest.raises(ToolError, match=r"redirects to|not of the public internet"):
            await browser.fetch(f"http://flip.example.org:{web.port}/again")
        # Judged once, connected once: the answer that comes next is never asked for.
        asked: list[str] = []

        async def flipping(host: str, port: int) -> Sequence[str]:
            asked.append(host)
            return ["127.0.0.1"] if len(asked) == 1 else ["10.0.0.1"]

        assert (await Browser(policy, resolve=flipping).fetch(f"http://flip.example.org:{web.port}/")).text == "good"
        assert len(asked) == 1
        assert victim.asked == []
        assert {address for address, _ in connects} == {"127.0.0.1"}


async def test_keys_go_to_their_host_only() -> None:
    async with serving() as web, serving() as other:
        here, there = f"127.0.0.1:{web.port}", f"127.0.0.1:{other.port}"
        policy = Egress(
            hosts=("127.0.0.1",),
            allow_private=(here, there),
            headers={"127.0.0.1": {"Authorization": SecretStr("Bearer key")}},
            methods=("GET", "POST"),
        )
        web.redirect("/away", f"http://{there}/")
        web.redirect("/post", f"http://{there}/", "307 Again")
        web.redirect("/here", "/x")
        other.page("/", b"other")
        web.page("/x", b"x")
        given = {"Cookie": "a=b", "X-Key": "secret", "Authorization": "Bearer mine"}
        assert (await Browser(policy).fetch(f"http://{here}/away", headers=given)).text == "other"
        assert "secret" in web.asked[0]
        assert "a=b" in web.asked[0]
        assert "secret" not in other.asked[0]
        assert "a=b" not in other.asked[0]
        assert "mine" not in other.asked[0]
        assert (await Browser(policy).fetch(f"http://{here}/here", headers=given)).text == "x"
        assert "secret" in web.asked[-1]
        with pytest.raises(ToolError, match="POST is not sent on to another server"):
            await Browser(policy).fetch(f"http://{here}/post", "POST", body=b"x")
        with pytest.raises(ToolError, match="header 'Host' cannot be sent"):
            await Browser(policy).fetch(f"http://{here}/", headers={"Host": "evil"})
        with pytest.raises(ToolError, match="cannot be sent"):
            await Browser(policy).fetch(f"http://{here}/", headers={"X": "a\r\nY: b"})
        with pytest.raises(ToolError, match="'DELETE' is not allowed; there is: GET, POST"):
            await Browser(policy).fetch(f"http://{here}/", "DELETE")
    public = Egress(hosts=("*",), headers={"api.example.org": {"Authorization": SecretStr("key")}})
    assert "key" not in repr(public)


async def test_sizes_kinds_and_times_are_bounded() -> None:
    async with serving() as web:
        policy = Egress(
            hosts=("127.0.0.1",), allow_private=(f"127.0.0.1:{web.port}",), max_bytes=1000, timeout=60, max_redirects=3
        )
        browser, base = Browser(policy), f"http://127.0.0.1:{web.port}"
        web.page("/long", b"a" * 5000)
        web.page("/gzip", gzip.compress(b"a" * 50_000_000, 9), "Content-Encoding: gzip")
        web.page("/deflate", zlib.compress(b"b" * 500), "Content-Encoding: deflate")
        web.page("/raw", zlib.compress(b"b" * 500)[2:-4], "Content-Encoding: deflate")
        web.page("/twice", gzip.compress(gzip.compress(b"c")), "Content-Encoding: gzip, gzip")
        web.page("/broken", b"not gzip", "Content-Encoding: gzip")
        web.page("/image", b"\x89PNG", "Content-Type: image/png")
        web.page("/latin", "é".encode("latin-1"), "Content-Type: text/plain; charset=iso-8859-1")
        web.page("/odd", "é".encode(), "Content-Type: application/ld+json; charset=idna")
        web.redirect("/loop", "/loop")
        web.pages["/slow"] = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 10\r\n\r\nabc"
        web.pages["/rubbish"] = b"SSH-2.0-x\r\n"
        for path in ("/long", "/gzip"):
            fetched = await browser.fetch(base + path)
            assert (fetched.text, fetched.truncated, fetched.status) == ("a" * 1000, True, 200)
        for path in ("/deflate", "/raw"):
            assert (await browser.fetch(base + path)).text == "b" * 500
        assert (await browser.fetch(base + "/latin")).text == "é"
        assert (await browser.fetch(base + "/odd")).content_type == "application/ld+json"
        assert (await browser.fetch(base + "/missing")).status == 404
        for path, message in {
            "/twice": "encoded as 'gzip, gzip'",
            "/broken": "damaged",
            "/image": "'image/png': not read; there is: text",
            "/loop": "more than 3 redirects",
            "/rubbish": "cannot be reached",
        }.items():
            with pytest.raises(ToolError, match=message):
                await browser.fetch(base + path)


async def test_a_server_that_drips_is_left_after_the_timeout() -> None:
    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n")
        try:
            while True:
                writer.write(b"a")
                await writer.drain()
                await asyncio.sleep(0.05)
        except ConnectionError:
            writer.close()

    server = await asyncio.start_server(drip, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server:
        policy = Egress(hosts=("127.0.0.1",), allow_private=(f"127.0.0.1:{port}",), timeout=0.3)
        with pytest.raises(ToolError, match=r"did not answer within 0\.3 s") as caught:
            await Browser(policy).fetch(f"http://127.0.0.1:{port}/")
        assert caught.value.transient
        assert not isinstance(caught.value, Lost)  # a GET changes nothing
    await asyncio.sleep(0.1)  # the server sees that its reader is gone


async def test_a_call_that_was_never_sent_is_told_from_one_whose_answer_did_not_come() -> None:
    async with serving() as web:
        web.pages["/gone"] = b""
        web.page("/broken", b"not gzip", "Content-Encoding: gzip")
        web.page("/image", b"\x89PNG", "Content-Type: image/png")
        web.redirect("/done", "/gone", "303 See Other")  # the POST was done, and what came of it is lost
        base = f"http://127.0.0.1:{web.port}"
        policy = Egress(hosts=("127.0.0.1",), methods=("GET", "POST"), allow_private=(base.removeprefix("http://"),))
        browser = Browser(policy)
        for path in ("/gone", "/broken", "/done"):
            with pytest.raises(Lost):
                await browser.fetch(base + path, "POST", body=b"x")
        with pytest.raises(ToolError, match="answered 200 with 'image/png'") as refused:  # which says that it was done
            await browser.fetch(base + "/image", "POST", body=b"x")
        with pytest.raises(ToolError) as read:
            await browser.fetch(base + "/gone")
    with pytest.raises(ToolError) as unsent:
        await browser.fetch(base + "/gone", "POST", body=b"x")
    assert [one.value.transient for one in (refused, read, unsent)] == [False, True, True]
    assert not any(isinstance(one.value, Lost) for one in (refused, read, unsent))


async def test_a_bomb_is_unpacked_in_small_pieces() -> None:
    async def pieces() -> AsyncIterator[bytes]:
        yield gzip.compress(b"\0" * 20_000_000, 9)

    sizes = [len(piece) async for piece in decompressed(pieces(), "gzip")]
    assert (max(sizes), sum(sizes)) == (1 << 16, 20_000_000)


async def test_tls_is_made_for_the_name_while_the_connection_goes_to_the_judged_address(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificate = self_signed(tmp_path, "api.example.org")
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(certificate)
    names: list[str | None] = []
    tls.sni_callback = lambda _socket, name, _context: names.append(name)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    trusted.cache_clear()
    try:
        async with serving(tls) as web:
            web.page("/", b"hello")
            policy = Egress(hosts=("*.example.org",), allow_private=(f"127.0.0.1:{web.port}",))
            browser = Browser(policy, resolve=resolver(api_example_org="127.0.0.1", evil_example_org="127.0.0.1"))
            assert (await browser.fetch(f"https://api.example.org:{web.port}/")).text == "hello"
            assert names == ["api.example.org"]
            with pytest.raises(ToolError, match="certificate is not trusted"):
                await browser.fetch(f"https://evil.example.org:{web.port}/")
    finally:
        trusted.cache_clear()


def self_signed(folder: Path, name: str) -> Path:
    """A file with a key and a certificate of this name."""
    x509 = pytest.importorskip("cryptography.x509")
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    built = (
        x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ) + built.public_bytes(serialization.Encoding.PEM)
    file = folder / "server.pem"
    file.write_bytes(pem)
    return file


@pytest.mark.parametrize("size", [1, 7, 1 << 20])
async def test_compressed_content_is_whole_or_refused(size: int) -> None:
    async def pieces(data: bytes) -> AsyncIterator[bytes]:
        for start in range(0, len(data), size):
            yield data[start : start + size]

    async def read(data: bytes, encoding: str) -> bytes:
        return b"".join([piece async for piece in decompressed(pieces(data), encoding)])

    text = b"ab" * 70_000 + bytes(range(256))
    assert await read(gzip.compress(text) + gzip.compress(b"two") + b"\0\0", "gzip") == text + b"two"
    assert await read(zlib.compress(text), "deflate") == text
    assert await read(zlib.compress(text)[2:-4], "deflate") == text
    with pytest.raises(ToolError, match="ends too early"):
        await read(gzip.compress(text)[:-12], "gzip")
