"""Embeddings by any server that speaks OpenAI's API: OpenAI, vLLM, Ollama, llama.cpp, Text Embeddings Inference, …"""

from __future__ import annotations

import asyncio
import base64
import binascii
import json
import re
from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from pydantic import ConfigDict, Field, NonNegativeInt, PositiveInt, PrivateAttr, SecretStr, model_validator

from ragweave.orchestrator.contracts import Embedder
from ragweave.orchestrator.embedding import SharedEmbedding
from ragweave.orchestrator.errors import ModelError, ResourceError
from ragweave.orchestrator.language.policies import Duration
from ragweave.orchestrator.models.endpoint import OPENAI_URL
from ragweave.orchestrator.models.openai import OpenAI
from ragweave.orchestrator.models.reading import Unavailable
from ragweave.orchestrator.models.served import Call, Refused, UnknownField
from ragweave.orchestrator.running.bridge import wait_for

if TYPE_CHECKING:
    import numpy as np

    from ragweave.orchestrator.resources import Resources

AT_ONCE = 4
"""Requests that are under way at the same time."""
_UNITS = 100_000
"""About the tokens of one request; OpenAI takes 300,000."""
_LETTERS = 3
_BODY = 1 << 28


class OpenAIEmbedder(Embedder, type="openai"):
    """Embeddings by a server that speaks OpenAI's API. Vectors are scaled to length 1.

    Texts of concurrent calls are sent together. Requests are repeated on 408, 409, 429, 5xx and lost connections, after
    the pause that the server asks for.
    """

    model_config = ConfigDict(hide_input_in_errors=True)

    model: str = Field(min_length=1, description="The name of the model on the server.")
    base_url: str = Field(OPENAI_URL, description="The address of the server, usually ending in /v1.")
    api_key: SecretStr | None = Field(None, description="The key, such as ${env:OPENAI_API_KEY}; never shown.")
    headers: dict[str, SecretStr] = Field({}, description="Further HTTP headers; their values are never shown.")
    dimensions: PositiveInt | None = Field(
        None, description="Shorter vectors, from models that can make them; the server's own length if not given."
    )
    query_prefix: str = Field("", description="What goes before a question.")
    document_prefix: str = Field("", description="What goes before a passage.")
    max_batch: PositiveInt = Field(128, description="Texts in one request at most.")
    extra: dict[str, Any] = Field({}, description="Further fields of the request.")
    connect_timeout: Duration = Field(5.0, description="The longest wait for a connection.")
    read_timeout: Duration = Field(60.0, description="The longest silence of the server.")
    max_retries: NonNegativeInt = Field(3, description="Further attempts where a server fails or asks for a pause.")

    _wire: Any = PrivateAttr(None)
    _shared: Any = PrivateAttr(None)
    _width: int = PrivateAttr(0)

    @model_validator(mode="before")
    @classmethod
    def _without_empty(cls, settings: Any) -> Any:
        if not isinstance(settings, Mapping):
            return settings
        prefixes = ("query_prefix", "document_prefix")
        empty = {name for name, value in settings.items() if isinstance(value, str) and not value.strip()}
        empty = {name for name in empty if name in cls.model_fields and name not in prefixes}
        return {name: value for name, value in settings.items() if name not in empty}

    def model_post_init(self, context: Any, /) -> None:
        """What all calls share. Raises ValueError for an address or a key that cannot be used."""
        names = ("model", "base_url", "api_key", "headers", "extra", "connect_timeout", "read_timeout", "max_retries")
        self._wire = Wire(**{name: getattr(self, name) for name in names})
        self._width = self.dimensions or 0
        self._shared = SharedEmbedding(
            self._compute,
            max_batch=self.max_batch * AT_ONCE,
            size=_units,
            max_size=None,
            name=f"the embedder {self.model!r}",
        )

    @property
    def identity(self) -> str:
        """The model, the server if it is not OpenAI's, and what else the vectors of passages depend on."""
        where = "" if self._wire.base_url == OPENAI_URL else f" at {self._wire.server}"
        cut = f"/{self.dimensions}" if self.dimensions else ""
        said = f"/{sha256(self.document_prefix.encode()).hexdigest()[:8]}" if self.document_prefix else ""
        more = f"/{sha256(json.dumps(self.extra, sort_keys=True).encode()).hexdigest()[:8]}" if self.extra else ""
        return f"openai/{self.model}{cut}{said}{more}{where}"

    @property
    def dimension(self) -> int:
        """The length of its vectors; if the settings do not say it, one call finds out. Raises ModelError."""
        if not self._width:
            self._shared.embed(["dimension"])
        return self._width

    def about(self) -> str:
        """The server."""
        return f"{self.model} at {self._wire.server}"

    def open(self, resources: Resources) -> None:
        """Load what a call needs. Raises ResourceError if OpenAI is meant, without a key."""
        self._wire.open(resources)

    async def close(self) -> None:
        """Wait for what is computed, forget the vectors that were kept, and close the connections."""
        await self._shared.close()
        await self._wire.close()

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        """float32 of shape (len(texts), dimension), rows of length 1. Raises ModelError."""
        return self._embedded(texts, self.document_prefix)

    def embed_queries(self, texts: Sequence[str]) -> np.ndarray:
        """The same of questions, after their prefix."""
        return self._embedded(texts, self.query_prefix)

    async def embed_query(self, text: str) -> np.ndarray:
        """The vector of one question, asked for together with those of other runs. Raises ModelError."""
        vector: np.ndarray = await self._shared.embed_one(self.query_prefix + text)
        return vector

    def _embedded(self, texts: Sequence[str], prefix: str) -> np.ndarray:
        import numpy as np

        if not texts:
            return np.zeros((0, self.dimension), dtype=np.float32)
        vectors: np.ndarray = self._shared.embed([prefix + text for text in texts] if prefix else texts)
        return vectors

    def _compute(self, texts: Sequence[str]) -> np.ndarray:
        import numpy as np

        rows: np.ndarray = np.concatenate(wait_for(self._wire.embed(self._parts(texts), self._body)))
        if not self._width:
            self._width = int(rows.shape[1])
        if rows.shape[1] != self._width:
            asked = "asked for" if self.dimensions else "expected"
            raise ModelError(
                f"the embedder {self.model!r} at {self._wire.server} gave vectors of {rows.shape[1]} numbers; "
                f"{self._width} are {asked}",
                hint="is it another model than before?" if not self.dimensions else "take `dimensions` out",
            )
        lengths = np.linalg.norm(rows, axis=1, keepdims=True)
        if not np.isfinite(rows).all() or not lengths.all():
            raise ModelError(f"the embedder {self.model!r} at {self._wire.server} gave vectors that are no direction")
        return np.asarray(rows / lengths, dtype=np.float32)

    def _parts(self, texts: Sequence[str]) -> list[list[str]]:
        """The texts of each request. Servers refuse an empty text, so it is sent as a space."""
        parts: list[list[str]] = [[]]
        size = 0
        for text in texts:
            units = _units(text)
            if parts[-1] and (len(parts[-1]) == self.max_batch or size + units > _UNITS):
                parts.append([])
                size = 0
            parts[-1].append(text or " ")
            size += units
        return parts

    def _body(self, texts: Sequence[str]) -> dict[str, Any]:
        wanted = {"dimensions": self.dimensions} if self.dimensions else {}
        return {"encoding_format": "base64", **self.extra, "model": self.model, "input": list(texts), **wanted}


class Wire(OpenAI):
    """The caller of chat models, for embeddings."""

    call_path = "/embeddings"

    async def embed(self, parts: Sequence[Sequence[str]], body: Any) -> list[np.ndarray]:
        """The vectors of each part, of which some are asked for at the same time."""
        turn = asyncio.Semaphore(AT_ONCE)

        async def one(part: Sequence[str]) -> np.ndarray:
            async with turn:
                return await self._asked(part, body)

        asked = [asyncio.create_task(one(part)) for part in parts]
        try:
            return await asyncio.gather(*asked)
        finally:
            for task in asked:  # where one failed, the others would ask in vain
                task.cancel()
            await asyncio.gather(*asked, return_exceptions=True)

    async def _asked(self, texts: Sequence[str], body: Any) -> np.ndarray:
        from ragweave.orchestrator.models.http import LONGEST_WAIT, wait_before

        attempt = 1
        while True:
            fields = {name: value for name, value in body(texts).items() if name not in self._unknown}
            try:
                return vectors_in(await self._answer(fields), len(texts), self.server)
            except UnknownField as error:
                self._unknown.add(error.field)
            except TooLarge as error:
                if len(texts) == 1:
                    raise ModelError(
                        f"a text of {len(texts[0]):,} characters is too long for the embedder {self.model!r}"
                        f"{error.said}",
                        hint="cut documents into smaller passages (chunk_tokens)",
                    ) from None
                middle = len(texts) // 2
                halves = [await self._asked(half, body) for half in (texts[:middle], texts[middle:])]
                return _joined(halves)
            except Unavailable as error:
                wait = wait_before(attempt, error.retry_after)
                if attempt > self.max_retries or wait > LONGEST_WAIT:
                    raise
                attempt += 1
                await asyncio.sleep(wait)

    async def _answer(self, fields: Mapping[str, Any]) -> Any:
        import httpx

        from ragweave.orchestrator.models import http

        call = Call(self.call_path, fields, None)
        content = json.dumps(fields, ensure_ascii=False).encode("utf-8", "replace")
        headers = {"Content-Type": "application/json", **self.request_headers()}
        try:
            sending = self._pool().here().stream("POST", self.url(call.path), content=content, headers=headers)
            async with sending as response:
                if response.status_code != 200:
                    raise await self._refusal(response, call, 0)
                text = await http.read_body(response, _BODY)
        except httpx.HTTPError as error:
            waited = (self.connect_timeout, self.read_timeout)
            raise http.connection_error(error, self.server, connect=waited[0], read=waited[1]) from error
        try:
            return json.loads(text)
        except ValueError:
            said = self.redacted(text[:200])
            raise ModelError(f"{self.server} sent something else than JSON: {said}", hint=self.reader.hint) from None

    def _adapted(self, refused: Refused, call: Call, way: int) -> Exception | None:
        for field in ("encoding_format", "dimensions"):
            if refused.status in (400, 404, 422, 501) and field in call.body and field in refused.message:
                if field == "dimensions":
                    return ResourceError(
                        f"the model {self.model!r} at {self.server} takes no 'dimensions'{refused.said}",
                        hint="take the setting out",
                    )
                return UnknownField(field)
        return None

    def _own_fault(self, refused: Refused, body: str) -> ModelError | None:
        if refused.status == 413 or (
            refused.status in (400, 422) and _LONG.search(f"{refused.code} {refused.message}")
        ):
            return TooLarge(refused.said)
        return super()._own_fault(refused, body)


class TooLarge(ModelError):
    """A request has too many texts, or one that is too long."""

    def __init__(self, said: str) -> None:
        super().__init__(f"the request is too large{said}")
        self.said = said


_LONG = re.compile(
    r"context.{0,12}(length|size|window)|maximum.{0,20}(context|tokens|input|batch)|too (long|large|many)|batch size",
    re.IGNORECASE,
)


def vectors_in(reply: Any, count: int, server: str) -> np.ndarray:
    """The vectors of a reply, in the order of the texts, as numbers or in base64. Raises ModelError."""
    import numpy as np

    try:
        entries = sorted(reply["data"], key=lambda entry: entry.get("index", 0))
        rows = [_vector(entry["embedding"]) for entry in entries]
        if len(rows) == count and len({len(row) for row in rows}) == 1 and len(rows[0]):
            return np.stack(rows)
        came = f"{len(rows)} vectors of {sorted({len(row) for row in rows})} numbers"
    except (LookupError, TypeError, ValueError, AttributeError, binascii.Error):
        came = "something else"
    raise ModelError(
        f"{server} sent {came} for {count} texts", hint="is base_url the address of a server of embeddings?"
    )


def _vector(value: Any) -> np.ndarray:
    import numpy as np

    if isinstance(value, str):
        return np.frombuffer(base64.b64decode(value, validate=True), dtype="<f4")
    return np.asarray(value, dtype=np.float32).reshape(-1)


def _joined(halves: Sequence[np.ndarray]) -> np.ndarray:
    import numpy as np

    return np.concatenate(halves)


def _units(text: str) -> int:
    """About how many tokens a text has."""
    return len(text) // _LETTERS + 1
