"""Embeddings of LangChain as an embedder of a graph."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import ConfigDict, Field, PositiveInt, PrivateAttr, SecretStr

from ragweave.orchestrator.contracts import Embedder
from ragweave.orchestrator.embedding import SharedEmbedding
from ragweave.orchestrator.errors import MissingExtra, ModelError
from ragweave.orchestrator.interop import providers
from ragweave.orchestrator.passages import sound

if TYPE_CHECKING:
    import numpy as np
    from langchain_core.embeddings import Embeddings

    from ragweave.orchestrator.resources import Resources


class LangChainEmbedder(Embedder, type="langchain"):
    """Embeddings by LangChain: `model: "openai:text-embedding-3-small"`, with the provider's package installed.

    In Python, `LangChainEmbedder.of(embeddings)` makes one of an object; `identity` then names the model and its
    version where the object does not say them. Texts and questions are both embedded by `embed_documents`, those of
    concurrent calls together, and vectors are scaled to length 1.
    """

    model_config = ConfigDict(hide_input_in_errors=True)

    model: str = Field(min_length=1, description="Provider and model, such as openai:text-embedding-3-small.")
    api_key: SecretStr | None = Field(
        None, description="The key; without it, the provider's own variable. Never shown."
    )
    base_url: str = Field("", description="The address of the server, if it is not the provider's.")
    max_batch: PositiveInt = Field(64, description="Texts in one call at most.")
    extra: dict[str, Any] = Field({}, description="Further arguments of init_embeddings.")

    given: ClassVar[Any] = None
    """The embeddings of a registered type."""
    _embeddings: Any = PrivateAttr(None)
    _identity: str = PrivateAttr("")
    _dimension: int = PrivateAttr(0)
    _shared: Any = PrivateAttr(None)

    def model_post_init(self, context: Any, /) -> None:
        """What all calls share."""
        self._shared = SharedEmbedding(self._compute, max_batch=self.max_batch, name=f"embedder {self.model!r}")

    @classmethod
    def of(cls, embeddings: Embeddings, *, identity: str = "") -> LangChainEmbedder:
        """An embedder that asks this object of LangChain."""
        named = getattr(embeddings, "model", "") or getattr(embeddings, "model_name", "")
        name = f"{type(embeddings).__name__}{f':{named}' if isinstance(named, str) and named else ''}"
        made = cls(model=name)
        made._embeddings, made._identity = embeddings, identity
        return made

    @property
    def identity(self) -> str:
        """That it is LangChain's, and the model: `langchain/openai:text-embedding-3-small`."""
        return self._identity or f"langchain/{self.model}"

    @property
    def dimension(self) -> int:
        """The length of its vectors, which one call finds out. Raises ModelError."""
        if not self._dimension:
            self.embed(["dimension"])
        return self._dimension

    def open(self, resources: Resources) -> None:
        """Make the embeddings. Raises MissingExtra or ResourceError that says which package to install."""
        self._made()

    async def close(self) -> None:
        """Wait for what is computed, and forget the vectors that were kept."""
        await self._shared.close()

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        """float32 of shape (len(texts), dimension), rows of length 1. Raises ModelError."""
        import numpy as np

        if not texts:
            return np.zeros((0, self.dimension), dtype=np.float32)
        return self._shared.embed(texts)  # type: ignore[no-any-return]

    def _compute(self, texts: list[str]) -> np.ndarray:
        import numpy as np

        embeddings = self._made()
        try:
            found = embeddings.embed_documents([sound(text) for text in texts])
        except Exception as error:  # each provider has its own
            raise providers.failure(f"embedder {self.model!r}", error, self.api_key) from error
        try:
            rows = np.asarray(found, dtype=np.float32)
        except (TypeError, ValueError):
            rows = np.zeros((0,), dtype=np.float32)
        wanted = (len(texts), self._dimension or (rows.shape[1] if rows.ndim == 2 else 0))
        if rows.shape != wanted or not wanted[1] or not np.isfinite(rows).all():
            raise ModelError(
                f"embedder {self.model!r} gave no vectors of one length for {len(texts)} texts, "
                f"but an array of shape {rows.shape}"
            )
        self._dimension = wanted[1]
        return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)  # type: ignore[no-any-return]

    def _made(self) -> Any:
        if self._embeddings is None:
            self._embeddings = self.given if self.given is not None else self._make()
        return self._embeddings

    def _make(self) -> Embeddings:
        try:
            from langchain.embeddings import init_embeddings
        except ImportError:
            raise MissingExtra("the embedder type 'langchain'", "langchain", "langchain") from None
        settings = dict(self.extra)
        if self.base_url:
            settings["base_url"] = self.base_url
        if self.api_key is not None:
            settings["api_key"] = self.api_key.get_secret_value()
        return providers.made(f"embedder {self.model!r}", lambda: init_embeddings(self.model, **settings), self.api_key)
