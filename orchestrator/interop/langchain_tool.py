"""A tool of LangChain as a tool of a graph."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field, PrivateAttr

from ragweave.orchestrator.context import Context
from ragweave.orchestrator.contracts import Tool, ToolEffects, ToolSpec
from ragweave.orchestrator.errors import ContractError, ResourceError, ToolError, a

if TYPE_CHECKING:
    from langchain_core.tools import BaseTool

    from ragweave.orchestrator.resources import Resources

_MOST = 5
"""Faults of arguments that are told at once."""


class LangChainTool(Tool):
    """Calls a tool that the program made, with the name that the graph gives it.

    LangChain does not say what a call does, so it counts as an effect (`external`) unless `effects` says less. What the
    tool raises for its model, or hands to it as an error, is an error that the model reads; its artifact is dropped.
    """

    given: ClassVar[Any] = None
    """The tool of a registered type."""

    effects: ToolEffects = Field("external", description="What a call does: none, read, write, external.")
    idempotent: bool = Field(False, description="Calling twice is as good as once.")
    _tool: BaseTool | None = PrivateAttr(None)

    @classmethod
    def of(cls, tool: BaseTool, **settings: Any) -> LangChainTool:
        """A resource that calls this tool: `LangChainTool.of(weather, effects="read", timeout="5s")`. Raises
        ResourceError for a tool that can run in an agent of LangChain only."""
        made = cls(**settings)
        made._tool = tool
        made._refuse_injected()
        return made

    @property
    def tool(self) -> BaseTool:
        """The tool that does the work."""
        found: BaseTool = self._tool or self.given
        return found

    def open(self, resources: Resources) -> None:
        """Raises ResourceError for a tool that can run in an agent of LangChain only."""
        self._refuse_injected()

    def specs(self) -> Sequence[ToolSpec]:
        """The one tool, as it tells of itself."""
        return (ToolSpec(self.tool.description, _schema(self.tool), "", self.effects, self.idempotent),)

    async def call(self, name: str, arguments: Mapping[str, Any], ctx: Context) -> str:
        """What its model is to read. Raises ToolError, and what the tool raises."""
        from langchain_core.messages import ToolMessage
        from langchain_core.tools import ToolException
        from pydantic import ValidationError
        from pydantic.v1 import ValidationError as OldValidationError

        from ragweave.orchestrator.interop.calling import configured

        tool = self.tool
        request = {"type": "tool_call", "id": uuid.uuid4().hex, "name": tool.name, "args": dict(arguments)}
        try:
            message = await tool.ainvoke(request, configured(ctx))
        except ToolException as error:
            raise ToolError(str(error) or type(error).__name__) from error
        except (ValidationError, OldValidationError) as error:
            raise ToolError(_told(error)) from error
        if not isinstance(message, ToolMessage):
            raise ContractError(
                f"the tool {tool.name!r} gave {a(type(message).__name__)}, which LangGraph alone can use"
            )
        text = _text(message.content)
        if message.status == "error":
            raise ToolError(text or "the tool says that it failed, and not why")
        return text

    def _refuse_injected(self) -> None:
        from langchain_core.tools import InjectedToolCallId

        tool, schema = self.tool, self.tool.args_schema
        fields = getattr(schema, "model_fields", None) or getattr(schema, "__fields__", {})
        filled = {"tool_call_id"}
        for name, one in fields.items():
            marks = (said if isinstance(said, type) else type(said) for said in getattr(one, "metadata", ()))
            if InjectedToolCallId in marks:
                filled.add(name)
        needed = {*fields, *getattr(tool, "_injected_args_keys", ())}
        injected = needed - set(_schema(tool).get("properties", {})) - filled
        if injected:
            raise ResourceError(
                f"the tool {tool.name!r} is given {', '.join(sorted(injected))} by an agent of LangChain",
                hint="bring the agent as a node, or a tool that needs its arguments only",
            )


def _schema(tool: BaseTool) -> dict[str, Any]:
    """JSON schema of the arguments that are a model's, whatever the tool says them by."""
    told: Any = tool.tool_call_schema
    if not isinstance(told, dict):
        told = told.model_json_schema() if hasattr(told, "model_json_schema") else told.schema()
    return {key: value for key, value in told.items() if key not in ("title", "description")}


def _text(content: Any) -> str:
    """The texts of a result; what is no text is named, not shown."""
    if isinstance(content, str):
        return content
    blocks = (
        one if isinstance(one, str) else one.get("text") or f"[{one.get('type', 'something')}]" for one in content
    )
    return "\n".join(map(str, blocks))


def _told(error: Any) -> str:
    """What is wrong with arguments, each by its name."""
    faults = (f"{'.'.join(map(str, one['loc'])) or 'the arguments'}: {one['msg']}" for one in error.errors()[:_MOST])
    return "; ".join(faults)
