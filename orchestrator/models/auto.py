"""The model that works with nothing configured: the endpoint if there is one, else one that needs none."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Literal

from pydantic import Field, PrivateAttr

from ragweave.orchestrator.contracts import ChatChunk, ChatModel, ChatRequest, ModelName
from ragweave.orchestrator.errors import ResourceError
from ragweave.orchestrator.models.endpoint import OPENAI_URL, Endpoint

if TYPE_CHECKING:
    from ragweave.orchestrator.resources import Resources


class Auto(Endpoint, type="auto"):
    """An OpenAI-compatible endpoint if one is configured, else `extractive`, which needs no key and no network.

    An endpoint is a `model` with a `base_url`, an `api_key` or both. Some of them without the others is an error: who
    sets a key means to use it.
    """

    otherwise: ModelName = Field("extractive", description="The model to use where no endpoint is configured.")

    _chosen: ChatModel | None = PrivateAttr(None)
    _endpoint: Endpoint | None = PrivateAttr(None)

    def open(self, resources: Resources) -> None:
        """Choose, and say which through `resources.say`. Raises ResourceError that names what is missing."""
        if not (self.model or self.base_url or self.api_key):
            self._chosen = resources.get("models", self.otherwise)
            quoted = ", so answers are quoted from the sources" if self.otherwise == "extractive" else ""
            resources.say(f"model 'auto' is {self.otherwise!r}: no endpoint is configured{quoted}")
            return
        self.check_settings()
        from ragweave.orchestrator.models.openai import OpenAI

        given = {name: getattr(self, name) for name in self.model_fields_set - {"otherwise"}}
        endpoint = OpenAI(**given)
        endpoint.open(resources)
        self._chosen = self._endpoint = endpoint
        resources.say(f"model 'auto' is {endpoint.model!r} at {endpoint.server}")

    def stream(self, request: ChatRequest) -> AsyncIterator[ChatChunk]:
        """What the chosen model says."""
        return self.chosen.stream(request)

    def cites(self) -> bool:
        """True if the chosen model marks its sources by itself."""
        return self.chosen.cites()

    def follows_instructions(self) -> bool:
        """True if the chosen model does."""
        return self.chosen.follows_instructions()

    def structures(self) -> bool:
        """True if the chosen model does."""
        return self.chosen.structures()

    def calls_tools(self) -> bool:
        """True if the chosen model does."""
        return self.chosen.calls_tools()

    def pricing(self) -> Literal["tokens", "free", "members"]:
        """That of the chosen model."""
        return self.chosen.pricing()

    async def close(self) -> None:
        """Close the endpoint; another model is closed with the resources that it came from."""
        if self._endpoint is not None:
            await self._endpoint.close()

    @property
    def chosen(self) -> ChatModel:
        """The model that answers."""
        if self._chosen is None:
            from ragweave.orchestrator.resources import Resources  # only where a model is used without a graph

            self.open(Resources())
        assert self._chosen is not None
        return self._chosen

    def check_settings(self) -> None:
        """Raises ResourceError for half an endpoint, with what is missing."""
        given = [name for name in ("model", "base_url", "api_key") if getattr(self, name)]
        if not given:
            return
        if not self.model:
            missing, hint = "model", "set model to the name of a model on that server"
        elif not self.base_url and self.api_key is None and not self.headers:
            missing, hint = "base_url or api_key", f"set base_url to your server, or api_key for {OPENAI_URL}"
        else:
            return
        shown = " and ".join(repr(name) for name in given)
        without = (
            "answers are quoted from the sources" if self.otherwise == "extractive" else f"it is {self.otherwise!r}"
        )
        raise ResourceError(
            f"model 'auto' is half configured: there is {shown}, but no {missing}",
            hint=f"{hint}; or set none of them, and {without}",
        )
