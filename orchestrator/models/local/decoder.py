"""Replies of one model, written together: between two tokens finished rows leave the batch and waiting ones join it.

Source of the method: iteration-level scheduling, as in Orca (Yu et al., 2022).
"""

from __future__ import annotations

import asyncio
import inspect
from collections import defaultdict, deque
from collections.abc import Sequence
from typing import Any

from ragweave.orchestrator.batching import Worker, in_loop
from ragweave.orchestrator.contracts import ChatChunk
from ragweave.orchestrator.errors import ModelError, NodeError
from ragweave.orchestrator.models.local.prompt import Prompter
from ragweave.orchestrator.models.local.sampling import Drawing, choose
from ragweave.orchestrator.models.local.speech import Speech
from ragweave.orchestrator.models.reading import cut_off, one_line
from ragweave.orchestrator.values import Message, Usage

PREFILL = 2048
"""Tokens of prompts, with their padding, that are read between two steps at most, so that running replies go on."""


class Row:
    """One reply: what it is asked, how it is written, and the queue in which its pieces arrive.

    The queue gives chunks, the last one with `finish`, or an exception.
    """

    def __init__(
        self, messages: Sequence[Message], *, drawing: Drawing, max_tokens: int | None, stop: Sequence[str]
    ) -> None:
        self.messages = messages
        self.drawing = drawing
        self.max_tokens = max_tokens
        self.stop = stop
        self.cancelled = False
        self.queue: asyncio.Queue[ChatChunk | Exception] = asyncio.Queue()
        self.loop = asyncio.get_running_loop()
        self.prompt: list[int] = []
        self.room = 0
        self.last = 0
        self.written = 0
        self.shown = False
        self.speech: Speech | None = None


class Decoder:
    """Writes the replies of one model, up to `max_rows` at a time, in a worker thread of its own.

    `context` is the most tokens of a prompt with its reply, `ends` the tokens that end one.
    """

    def __init__(
        self, model: Any, prompter: Prompter, *, context: int | None, ends: set[int], max_rows: int, name: str
    ) -> None:
        self.steps: deque[int] = deque(maxlen=1000)
        """How many rows the last steps had, the newest last."""
        self._model = model
        self._prompter = prompter
        self._context = context
        self._ends = ends
        self._name = name
        self._takes = set(inspect.signature(model.forward).parameters)
        self._joins = joins(model)
        self._max_rows = max_rows if self._joins else 1
        self._worker = Worker(self._serve, f"model {name}")
        self._given: list[Row] = []
        """Guarded by the worker's lock; all below belongs to the worker's thread."""
        self._ready: list[Row] = []
        self._rows: list[Row] = []
        self._cache: Any = None
        self._mask: Any = None
        self._told: dict[asyncio.AbstractEventLoop, list[tuple[Row, ChatChunk | Exception]]] = defaultdict(list)

    def start(self, row: Row) -> None:
        """Have a reply written. Raises RagweaveError after `close`."""
        self._worker.give(lambda: self._given.append(row))

    def count(self, text: str) -> int:
        """How many tokens the tokenizer makes of a text. From any thread: it only reads."""
        return self._prompter.count(text)

    async def close(self) -> None:
        """End all replies, and wait for the step that is being computed."""
        with self._worker.lock:
            for row in [*self._given, *self._ready, *self._rows]:
                row.cancelled = True
                error = ModelError(f"model {self._name!r} was closed in mid-reply")
                in_loop(row.loop, row.queue.put_nowait, error)
        await self._worker.close()

    def _serve(self) -> bool:
        """Let waiting rows in, and write a token for every row; False if there is nothing to do."""
        with self._worker.lock:
            given, self._given = self._given, []
        for row in given:
            self._prepare(row)
        self._ready = [row for row in self._ready if not row.cancelled]
        self._keep([place for place, row in enumerate(self._rows) if not row.cancelled])
        try:
            if self._ready and len(self._rows) < self._max_rows:
                self._admit(self._next_prompts())
                self._tell()  # their first words
            if self._rows:  # also after prompts were read: nobody waits for all of a long queue
                self._step()
        except Exception as error:  # out of memory, or a model that cannot compute what it is given
            for row in self._rows:
                self._fail(row, self._broken(error))
            self._rows, self._cache, self._mask = [], None, None
        self._tell()
        return bool(self._rows or self._ready)

    def _prepare(self, row: Row) -> None:
        """Turn its messages into tokens, and see that there is room for a reply."""
        if row.cancelled:
            return
        try:
            row.prompt = self._prompter.tokens(row.messages)
            room = self._context - len(row.prompt) if self._context is not None else None
            if room is not None and room < 1:
                raise ModelError(
                    f"model {self._name!r}: the prompt is too long: {len(row.prompt):,} tokens, and the model reads "
                    f"and writes {self._context:,} together",
                    hint="send fewer or shorter documents (top_k)",
                )
        except Exception as error:
            self._fail(row, error if isinstance(error, NodeError) else self._broken(error))
            return
        row.room = min(limit for limit in (room, row.max_tokens, 1 << 20) if limit is not None)
        row.speech = Speech(self._prompter.decode, row.stop)
        self._ready.append(row)

    def _next_prompts(self) -> list[Row]:
        """The oldest waiting row and those of about its length, as many as may be read at once."""
        first = self._ready[0]
        near = sorted(self._ready, key=lambda row: (abs(len(row.prompt) - len(first.prompt)), row is not first))
        taken: list[Row] = []
        longest = 0
        for row in near[: self._max_rows - len(self._rows)]:
            longest = max(longest, len(row.prompt))
            if taken and longest * (len(taken) + 1) > PREFILL:
                break
            taken.append(row)
        self._ready = [row for row in self._ready if row not in taken]
        return taken

    def _admit(self, rows: list[Row]) -> None:
        """Read the prompts of new rows and let these join the batch; rows that cannot be read together are read alone,
        so that one that is too large fails by itself."""
        try:
            cache, mask, logits = self._read(rows)
        except Exception as error:
            if len(rows) == 1:
                self._fail(rows[0], self._broken(error))
                return
            for row in rows:
                self._admit([row])
            return
        if self._rows:
            cache, mask = joined(self._cache, self._mask, cache, mask)
        self._cache, self._mask = cache, mask
        self._rows = [*self._rows, *rows]
        self._write(rows, logits)
        self._keep([place for place, row in enumerate(self._rows) if row.room > 0])

    def _read(self, rows: list[Row]) -> tuple[Any, Any, Any]:
        """The states of prompts, padded on their left, their mask, and the logits of what comes next."""
        import torch

        width = max(len(row.prompt) for row in rows)
        ids = torch.zeros(len(rows), width, dtype=torch.long)
        mask = torch.zeros(len(rows), width, dtype=torch.long)
        for place, row in enumerate(rows):
            ids[place, width - len(row.prompt) :] = torch.tensor(row.prompt)
            mask[place, width - len(row.prompt) :] = 1
        cache = new_cache(self._model, self._joins)
        logits = self._forward(ids, mask, (mask.cumsum(-1) - 1).clamp(min=0), cache)
        return cache, mask.to(self._model.device), logits

    def _step(self) -> None:
        """One more token for every row."""
        import torch

        ids = torch.tensor([[row.last] for row in self._rows])
        self._mask = torch.cat([self._mask, self._mask.new_ones(len(self._rows), 1)], dim=1)
        self.steps.append(len(self._rows))
        logits = self._forward(ids, self._mask, self._mask.sum(-1, keepdim=True) - 1, self._cache)
        self._write(self._rows, logits)
        self._keep([place for place, row in enumerate(self._rows) if row.room > 0])

    def _forward(self, ids: Any, mask: Any, positions: Any, cache: Any) -> Any:
        """The logits of the last position, of shape (rows, vocabulary)."""
        import torch

        device = self._model.device
        given = {"input_ids": ids, "attention_mask": mask, "position_ids": positions}
        keywords = {name: value.to(device) for name, value in given.items() if name in self._takes}
        if "logits_to_keep" in self._takes:
            keywords["logits_to_keep"] = 1
        with torch.inference_mode():
            output = self._model(**keywords, past_key_values=cache, use_cache=True)
        return output.logits[:, -1]

    def _write(self, rows: Sequence[Row], logits: Any) -> None:
        """Give each row its next token; one that ends has no room left."""
        for row, token in zip(rows, choose(logits, [row.drawing for row in rows]), strict=True):
            if token is None:
                hint = "dtype: float32 may help" if logits.dtype.itemsize < 4 else "its weights may be damaged"
                self._fail(row, ModelError(f"model {self._name!r} computes what is no number (NaN)", hint=hint))
                continue
            row.last = token
            row.room -= 1
            row.written += 1
            assert row.speech is not None
            if token not in self._ends:
                self._say(row, row.speech.feed(token))
            if token in self._ends or row.speech.stopped:
                self._finish(row, "stop")
            elif row.room == 0:
                self._finish(row, "length")

    def _finish(self, row: Row, why: str) -> None:
        assert row.speech is not None
        self._say(row, row.speech.end())
        row.room = 0
        usage = Usage(calls=1, input_tokens=len(row.prompt), output_tokens=row.written)
        if row.shown:
            self._told[row.loop].append((row, ChatChunk(usage=usage, finish="stop" if row.speech.stopped else why)))
        elif why == "length":
            self._fail(row, cut_off(self._name, row.max_tokens, "its first word"))
        else:
            self._fail(row, ModelError(f"model {self._name!r} gave an empty reply", transient=True))

    def _say(self, row: Row, text: str) -> None:
        if text:
            row.shown = True
            self._told[row.loop].append((row, ChatChunk(text=text)))

    def _fail(self, row: Row, error: Exception) -> None:
        row.room = 0
        self._told[row.loop].append((row, error))

    def _tell(self) -> None:
        """Pass on what was written; the rows of one event loop share a wake-up."""
        told, self._told = self._told, defaultdict(list)
        for loop, pieces in told.items():
            in_loop(loop, _put, pieces)

    def _keep(self, places: list[int]) -> None:
        """Leave out all rows but these, and the padding that all have in common then."""
        if len(places) == len(self._rows):
            return
        self._rows = [self._rows[place] for place in places]
        if not places:
            self._cache = self._mask = None
            return
        self._mask = select(self._cache, self._mask, places)
        padding = int(self._mask.argmax(dim=1).min())
        if padding:
            self._mask = self._mask[:, padding:]
            for layer in filled(self._cache):
                layer.keys, layer.values = layer.keys[:, :, padding:], layer.values[:, :, padding:]

    def _broken(self, error: Exception) -> ModelError:
        full = "out of memory" in str(error).lower()
        hint = "lower max_batch, or send shorter prompts" if full else ""
        said = f"{type(error).__name__}: {one_line(str(error))}"
        return ModelError(f"model {self._name!r} failed: {said}", hint=hint, transient=full)


def _put(pieces: Sequence[tuple[Row, ChatChunk | Exception]]) -> None:
    for row, piece in pieces:
        row.queue.put_nowait(piece)


def joins(model: Any) -> bool:
    """True if rows can join a running batch: each layer keeps keys and values for every position.

    Models with recurrent layers keep something else; they write one reply at a time.
    """
    from transformers import DynamicCache
    from transformers.cache_utils import DynamicLayer, DynamicSlidingWindowLayer

    layers = DynamicCache(config=model.config).layers
    return all(type(layer) in (DynamicLayer, DynamicSlidingWindowLayer) for layer in layers)


def new_cache(model: Any, whole: bool) -> Any:
    """An empty cache. A `whole` one keeps every position, also where only a window of them is looked at: rows of
    different lengths stand side by side in it, and the mask leaves out what is outside of the window."""
    from transformers import DynamicCache

    return DynamicCache() if whole else DynamicCache(config=model.config)


def filled(cache: Any) -> list[Any]:
    """The layers of a cache that hold something; a layer may use the keys of another one."""
    return [layer for layer in cache.layers if layer.get_seq_length() > 0]


def select(cache: Any, mask: Any, places: list[int]) -> Any:
    """Keep only these rows of a cache; gives the mask of them."""
    import torch

    index = torch.tensor(places, device=mask.device)
    for layer in filled(cache):
        layer.keys, layer.values = layer.keys[index], layer.values[index]
    return mask[index]


def joined(cache: Any, mask: Any, other: Any, other_mask: Any) -> tuple[Any, Any]:
    """Two batches as one, the shorter padded on its left; `cache` becomes that of both."""
    import torch
    from torch.nn.functional import pad

    width = max(mask.shape[1], other_mask.shape[1])
    for layer, more in zip(filled(cache), filled(other), strict=True):
        for name in ("keys", "values"):
            both = [getattr(one, name) for one in (layer, more)]
            both = [pad(states, (0, 0, width - states.shape[2], 0)) for states in both]
            setattr(layer, name, torch.cat(both))
    masks = [pad(one, (width - one.shape[1], 0)) for one in (mask, other_mask)]
    return cache, torch.cat(masks)
