"""The chat model `transformers`: a causal language model in a folder on this machine."""

from __future__ import annotations

import asyncio
import random
import threading
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, PositiveInt, PrivateAttr

from ragweave.orchestrator.contracts import ChatChunk, ChatModel, ChatRequest
from ragweave.orchestrator.errors import ModelError, ResourceError
from ragweave.orchestrator.models.local.files import look
from ragweave.orchestrator.models.local.loading import Dtype

if TYPE_CHECKING:
    from ragweave.orchestrator.models.local.decoder import Decoder
    from ragweave.orchestrator.resources import Resources


class Transformers(ChatModel, type="transformers"):
    """A language model in a folder on this machine, run by transformers and torch; nothing is downloaded.

    The replies of all runs are written together, token by token: a new one joins and a finished one leaves between two
    tokens.
    """

    path: str = Field(min_length=1, description="Folder of the model, relative to the graph file.")
    adapter: str | None = Field(None, description="Folder of a LoRA adapter (PEFT's format) to add to the model.")
    device: str = Field("auto", description="cpu, cuda, cuda:1, mps; auto is a GPU if there is one.")
    dtype: Dtype = Field("auto", description="auto: float32 on a CPU, elsewhere what the weights are stored in.")
    temperature: float = Field(0.0, ge=0, description="0 for the likeliest words, more for variety.")
    top_p: float = Field(1.0, gt=0, le=1, description="Draw from the likeliest tokens that make up this share.")
    max_tokens: PositiveInt = Field(512, description="The longest reply, in tokens.")
    stop: list[str] = Field([], description="Texts that end a reply; they are not shown.")
    seed: int | None = Field(None, description="The same seed and messages give the same reply.")
    max_batch: PositiveInt = Field(16, description="Replies to write at the same time; each takes memory.")

    _decoder: Any = PrivateAttr(default=None)
    _plain: bool = PrivateAttr(default=False)
    _lock: Any = PrivateAttr(default_factory=threading.Lock)

    def check_files(self, folder: Path) -> None:
        """Raise ResourceError if the folders do not hold a model, a tokenizer and an adapter that can be loaded."""
        look(folder / Path(self.path).expanduser())
        if self.adapter:
            from ragweave.orchestrator.models.local.lora import look_at_adapter

            look_at_adapter(folder / Path(self.adapter).expanduser())

    def open(self, resources: Resources) -> None:
        """Load the model. Raises ResourceError that says what is wrong with its files, MissingExtra without torch."""
        with self._lock:
            if self._decoder is None:
                self._decoder = self._load(resources)

    async def stream(self, request: ChatRequest) -> AsyncGenerator[ChatChunk, None]:
        """The reply in pieces; the last chunk has usage and why it ended ("length": at `max_tokens`, or at the end of
        what the model can read). Raises ModelError for a prompt that is too long, and for tools and schemas."""
        from ragweave.orchestrator.models.local.decoder import Row
        from ragweave.orchestrator.models.local.prompt import PLAIN_STOP
        from ragweave.orchestrator.models.local.sampling import Drawing

        self._refuse(request)
        decoder = await self._ready()
        seed = request.seed if request.seed is not None else self.seed
        temperature = self.temperature if request.temperature is None else request.temperature
        row = Row(
            request.messages,
            drawing=Drawing(temperature, self.top_p, random.Random(seed)),
            max_tokens=request.max_tokens or self.max_tokens,
            stop=[*(request.stop or self.stop), *([PLAIN_STOP] if self._plain else [])],
        )
        decoder.start(row)
        try:
            while True:
                piece = await row.queue.get()
                if isinstance(piece, Exception):
                    raise piece
                yield piece
                if piece.finish:
                    return
        finally:
            row.cancelled = True

    def count_tokens(self, text: str) -> int | None:
        """How many tokens the model's tokenizer makes of a text; None before the model is open."""
        decoder: Decoder | None = self._decoder
        return decoder.count(text) if decoder is not None else None

    def pricing(self) -> Literal["tokens", "free", "members"]:
        """Nothing: it runs here."""
        return "free"

    async def close(self) -> None:
        """End what is being written, and let go of the model."""
        decoder, self._decoder = self._decoder, None
        if decoder is not None:
            await decoder.close()

    def _refuse(self, request: ChatRequest) -> None:
        if request.tools:
            raise ModelError(
                f"the local model {self.path!r} calls no tools: how it would write them is not known",
                hint="serve it (vLLM, llama.cpp) and give the model as {type: openai, base_url: …}",
            )
        if request.response_schema is not None:
            raise ModelError(
                f"the local model {self.path!r} does not keep to a JSON schema by itself",
                hint="say the schema in the messages, as `structured` does",
            )

    async def _ready(self) -> Decoder:
        decoder: Decoder | None = self._decoder
        if decoder is None:
            from ragweave.orchestrator.resources import Resources  # only where a model is used without a graph

            await asyncio.to_thread(self.open, Resources())
            decoder = self._decoder
        assert decoder is not None
        return decoder

    def _load(self, resources: Resources) -> Decoder:
        from ragweave.orchestrator.models.local.loading import context_of, load

        folder = self._folder(resources, self.path)
        feature = "the model 'transformers'"
        loaded = load(folder, task="text-generation", device=self.device, dtype=self.dtype, feature=feature)
        if self.adapter:
            from ragweave.orchestrator.models.local.lora import merge

            merge(loaded.model, self._folder(resources, self.adapter))
        from ragweave.orchestrator.models.local.decoder import Decoder
        from ragweave.orchestrator.models.local.prompt import Prompter

        prompter = Prompter(loaded.tokenizer, self.path)
        self._plain = not prompter.has_template
        if self._plain:
            resources.say(
                f"the model {self.path!r} has no chat template: it is told messages as 'User: …' and 'Assistant: …'"
            )
        ends = _ends(loaded.model, loaded.tokenizer)
        if "past_key_values" not in _parameters(loaded.model):
            raise ResourceError(f"the model in {str(folder)!r} keeps no cache of keys, and cannot be decoded by token")
        return Decoder(
            loaded.model,
            prompter,
            context=context_of(loaded.model, loaded.tokenizer),
            ends=ends,
            max_rows=self.max_batch,
            name=self.path,
        )

    def _folder(self, resources: Resources, path: str) -> Path:
        return resources.folder / Path(path).expanduser()


def _ends(model: Any, tokenizer: Any) -> set[int]:
    """The tokens that end a reply, by all places where a model may say so."""
    found: set[int] = set()
    for owner in (model.generation_config, model.config, tokenizer):
        given = getattr(owner, "eos_token_id", None)
        found.update(given if isinstance(given, (list, tuple)) else [given] if given is not None else [])
    return found


def _parameters(model: Any) -> set[str]:
    import inspect

    return set(inspect.signature(model.forward).parameters)
