"""Tools of ours as LangChain calls them."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

from langchain_core.runnables import RunnableConfig
from langchain_core.tools import StructuredTool, ToolException

from ragweave.orchestrator.arguments import faults_of, standard
from ragweave.orchestrator.context import Context
from ragweave.orchestrator.contracts import Tool
from ragweave.orchestrator.errors import CallTimeout, InputError, RagweaveError
from ragweave.orchestrator.running.bridge import wait_for
from ragweave.orchestrator.running.wrappers import timed
from ragweave.orchestrator.toolset import Offer, Toolset

TAKEN = ("config", "run_manager", "callbacks")
"""Names of arguments that LangChain keeps for itself."""


class Outside(Context):
    """The place of a call that no run of ours makes: whose it is stands in the config of its caller."""

    __slots__ = ("_known", "_name")

    def __init__(self, config: RunnableConfig) -> None:
        super().__init__()
        self._known: Mapping[str, Any] = config.get("configurable") or {}
        self._name = uuid.uuid4().hex

    @property
    def thread_id(self) -> str:
        """The conversation that the agent says."""
        return str(self._known.get("thread_id") or "")

    @property
    def user(self) -> str:
        """For whom the agent says that it works."""
        return str(self._known.get("user") or "")

    @property
    def tenant(self) -> str:
        """Whose data the agent says that it works on."""
        return str(self._known.get("tenant") or "")

    @property
    def key(self) -> str:
        """Names this call and no other, of the same agent either."""
        return self._name


def tools_of(tool: Tool, name: str) -> list[StructuredTool]:
    """The tools of a resource that is open. Raises InputError for an argument that LangChain has taken."""
    name = name or tool._declared_as.partition(".")[2] or type(tool).type_name or type(tool).__name__
    return [_structured(offer) for offer in Toolset({name: tool})]


def _structured(offer: Offer) -> StructuredTool:
    schema = standard({"type": "object", "properties": {}, **offer.spec.parameters})
    taken = [key for key in schema["properties"] if key in TAKEN]
    if taken:
        raise InputError(f"a tool of LangChain cannot have an argument {taken[0]!r}", hint="rename the parameter")

    async def made(values: Any, ctx: Context) -> Any:
        return await offer.tool.call(offer.spec.name, values, ctx)

    async def acall(config: RunnableConfig, **inputs: Any) -> tuple[str, Any]:
        faults = faults_of(inputs, offer.spec.parameters)
        if faults:
            raise ToolException(f"the arguments are wrong: {'; '.join(faults)}")
        try:
            given = await timed(made, offer.tool.timeout)(inputs, Outside(config))
        except CallTimeout as error:
            raise ToolException(f"it took longer than {offer.tool.timeout:g} s") from error
        except RagweaveError as error:
            raise ToolException(str(error)) from error
        except Exception as error:  # a tool may raise anything, and the agent goes on
            raise ToolException(f"{type(error).__name__}: {error}" if str(error) else type(error).__name__) from error
        return offer.told(given), given

    def call(config: RunnableConfig, **inputs: Any) -> tuple[str, Any]:
        return wait_for(acall(config, **inputs))

    return StructuredTool(
        name=offer.name,
        description=offer.spec.description,
        args_schema=schema,
        func=call,
        coroutine=acall,
        response_format="content_and_artifact",
        handle_tool_error=True,
        metadata={"effects": offer.spec.effects, "idempotent": offer.spec.idempotent},
    )
