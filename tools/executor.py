"""The node that calls tools."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, TypedDict

from pydantic import Field, PositiveInt

from ragweave.orchestrator.approvals import Decision, Rule, decide, in_words
from ragweave.orchestrator.arguments import faults_of, standard
from ragweave.orchestrator.context import Context
from ragweave.orchestrator.contracts import ToolName
from ragweave.orchestrator.errors import BudgetExceeded, CallTimeout, RagweaveError, did_you_mean
from ragweave.orchestrator.language.policies import MapPolicy
from ragweave.orchestrator.node import Effects, Node
from ragweave.orchestrator.running.events import call_path
from ragweave.orchestrator.running.labels import labels_of, untrusted
from ragweave.orchestrator.running.wrappers import timed
from ragweave.orchestrator.toolset import Offer, toolset
from ragweave.orchestrator.values import Ask, ToolCall, ToolResult

_LONGEST = 2000
"""Characters of an argument that a question shows."""


class Executed(TypedDict):
    """What a tool executor writes."""

    tool_results: list[ToolResult]


class ToolExecutor(Node, type="tool_executor"):
    """Call the tools that a model asked for, side by side, and keep what each gave.

    A call that fails, takes too long, or names arguments or a tool that are not there gives a result that says so, for
    the model to read; the others go on. Only the tools that are listed can be called. A call with effects is journaled
    before and after: after a crash it is not repeated, and where nobody knows whether it happened, a person is asked.
    """

    effects = "external"
    origin = "tool"
    calls_tools = True
    example = "act: {type: tool_executor, tools: [calculator]}"

    tools: list[ToolName] = Field(min_length=1, description="The tools that may be called.")
    max_concurrency: PositiveInt = Field(8, description="How many calls go on at a time.")

    def each(self) -> MapPolicy:
        """Each call of the model by itself."""
        return MapPolicy.model_validate(
            {"over": "tool_calls", "as": "call", "merge": "extend", "max_concurrency": self.max_concurrency}
        )

    async def effect_of(self, item: Any, ctx: Context) -> tuple[Effects, bool]:
        """That of the tool which is called."""
        offer = (await toolset(ctx, self.tools)).find(item.name) if isinstance(item, ToolCall) else None
        if offer is None or not offer.has_effects:
            return "none", True
        return ("write" if offer.spec.effects == "write" else "external"), offer.spec.idempotent

    async def __call__(self, call: ToolCall, ctx: Context) -> Executed | Ask:
        """One call; the Ask where the graph's `approval` wants a person to decide."""
        offered = await toolset(ctx, self.tools)
        offer = offered.find(call.name)
        if offer is None:
            said = f"there is no tool {call.name!r}{did_you_mean(call.name, offered.names)}"
            return _wrong(call, said)
        answer: Any = ctx.answers[-1] if ctx.answers else None
        edited = answer.get("arguments") if isinstance(answer, Mapping) else None
        call = call if edited is None else call.model_copy(update={"arguments": edited})
        faults = faults_of(call.arguments, offer.spec.parameters)
        if faults and edited is None:
            return _wrong(call, f"the arguments are wrong: {'; '.join(faults)}")
        decision = _decided(call, offer, ctx)
        if decision.action == "deny":  # also where a person has changed the arguments to what is denied
            return _wrong(call, f"it is not allowed: {decision.reason}")
        if faults or (decision.action == "ask" and answer is None):
            return _question(call, offer, faults)
        if answer is not None and not _approved(answer):
            reason = answer.get("reason", "") if isinstance(answer, Mapping) else ""
            return _wrong(call, f"a person said no{f': {reason}' if reason else ''}")
        return await self._called(call, offer, ctx)

    async def _called(self, call: ToolCall, offer: Offer, ctx: Context) -> Executed:
        if ctx.run is not None and ctx.run.budgets is not None:
            try:
                ctx.run.budgets.call_tool(ctx)
            except BudgetExceeded as exceeded:
                if not exceeded.partial:
                    raise
                return _wrong(call, f"it was not called: {exceeded.message}")

        async def called(values: Any, ctx: Context) -> Any:
            return await offer.tool.call(offer.spec.name, values, ctx)

        try:
            given = await timed(called, offer.tool.timeout)(call.arguments, ctx)
        except CallTimeout:
            if not offer.may_repeat:
                raise  # it may have happened, which a person decides
            return _wrong(call, f"it took longer than {offer.tool.timeout:g} s")
        except RagweaveError as error:
            if not offer.may_repeat and isinstance(error, ConnectionError):
                raise  # likewise
            return _wrong(call, str(error))
        except Exception as error:  # a tool may raise anything, and the others go on
            lost = isinstance(error, (ConnectionError, TimeoutError)) and not isinstance(error, ConnectionRefusedError)
            if lost and not offer.may_repeat:
                raise  # likewise
            return _wrong(call, f"{type(error).__name__}: {error}" if str(error) else type(error).__name__)
        return {"tool_results": [ToolResult(id=call.id, name=call.name, content=offer.told(given))]}


def _decided(call: ToolCall, offer: Offer, ctx: Context) -> Decision:
    """What the rules of the graph say. A call that changes something and was made from what others have written needs
    a rule that asks, or arguments that are all closed choices (docs/trust.md)."""
    rules = ctx.resources.approval if ctx.resources is not None else None
    if rules is None and not offer.has_effects:
        return Decision("allow")
    labels = labels_of(ctx)
    others = untrusted(labels.mask) if labels is not None and offer.has_effects and not _interrupted(ctx) else ()
    if rules is not None:
        request = labels.request() if labels is not None else ()
        return decide(rules, call.name, call.arguments, request, made_from=others, parameters=offer.spec.parameters)
    if others and Rule("allow", (call.name,)).loose(offer.spec.parameters):
        return Decision("deny", f"the call is made from {in_words(others)}, and no person is asked")
    return Decision("allow")


def _interrupted(ctx: Context) -> bool:
    """True if a person has seen the calls, and said yes to all of them."""
    return ctx.run is not None and call_path(ctx.frame, ctx.node, ctx.visit) in ctx.run.approvals


def _question(call: ToolCall, offer: Offer, faults: Sequence[str]) -> Ask:
    """Whether to make a call; an answer may also change its arguments, or say why not."""
    lines = [f"Call {call.name}?", *(f"{name}: {_shown(value)}" for name, value in call.arguments.items())]
    if faults:
        lines.insert(0, f"This change is not possible: {'; '.join(faults)}.")
    changed = {**standard(dict(offer.spec.parameters)), "default": dict(call.arguments)}
    properties = {"approved": {"type": "boolean"}, "reason": {"type": "string"}, "arguments": changed}
    at_length = {"type": "object", "properties": properties, "required": ["approved"], "additionalProperties": False}
    definitions = changed.pop("$defs", None)
    schema: dict[str, Any] = {"anyOf": [{"type": "boolean"}, at_length]}
    return Ask(question="\n".join(lines), schema=schema if definitions is None else {**schema, "$defs": definitions})


def _approved(answer: Any) -> bool:
    return answer is True or (isinstance(answer, Mapping) and answer.get("approved") is True)


def _shown(value: Any) -> str:
    # Indented, so that no line of an argument can be taken for another argument.
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    cut = f"{text[:_LONGEST]}… ({len(text):,} characters)" if len(text) > _LONGEST else text
    return cut.replace("\n", "\n    ")


def _wrong(call: ToolCall, said: str) -> Executed:
    return {"tool_results": [ToolResult(id=call.id, name=call.name, error=said)]}
