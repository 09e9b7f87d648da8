"""Agents as nodes: each of these types is a file in `orchestrator/recipes`, run as a graph inside another."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import Field, PositiveInt, model_validator

from ragweave.orchestrator.contracts import ModelName, PromptName, RetrieverName, ToolName
from ragweave.orchestrator.node import Write
from ragweave.orchestrator.nodes.recipe import Recipe
from ragweave.orchestrator.nodes.shaped import Shaped
from ragweave.orchestrator.recipes import FOLDER


class Answering(Recipe, Shaped):
    """A shipped graph whose answer may have a form."""

    model: ModelName = Field("auto", description="The model that answers.")

    @model_validator(mode="after")
    def _check_fields(self) -> Answering:
        if self.fields.keys() & {"steps", "tool_calls", "tool_results"}:
            raise ValueError(
                "steps, tool_calls and tool_results are keys that agents use; call the field something else"
            )
        told = self.fields.get("answer")
        if told is not None and (str(told.type) != "str" or not told.required):
            raise ValueError("the field 'answer' is the text of the answer; it is a str")
        return self

    def more_outputs(self) -> Mapping[str, Write]:
        """The values of the answer."""
        return {key: write for key, write in self.values_written().items() if key != "answer"}


class Agent(Answering, type="agent"):
    """Answer with the help of tools: the model calls them, reads what they gave, and calls again or answers.

    It is the graph `agent.yaml`, a generator and a tool executor in a loop; `ragweave new my-agent --from agent`
    copies it. Models, tools, prompts and `approval` are those of the graph that has the node. It reads what the prompt
    declares, and writes `answer`, with `fields` their values too.
    """

    example = "clerk: {type: agent, tools: [calculator, clock], max_steps: 8}"
    file = FOLDER / "agent.yaml"

    prompt: PromptName | None = Field(None, description="What it is told; by default, to use tools and to be brief.")
    tools: list[ToolName] = Field(min_length=1, description="The tools that it may call.")
    max_steps: PositiveInt = Field(8, description="How often it may go on after calls; then it has to conclude.")
    temperature: float | None = Field(None, ge=0, description="0 for the likeliest words; without it, the model's own.")
    max_tokens: PositiveInt | None = Field(None, description="The longest reply, in tokens; a longer one is an error.")


class PlanAndExecute(Answering, type="plan_and_execute"):
    """Plan, let an agent do the first step, plan again with what it found out, and answer when no step is left.

    It is the graph `plan_and_execute.yaml`; `ragweave new my-agent --from plan_and_execute` copies it. Models, tools,
    prompts and `approval` are those of the graph that has the node.
    """

    example = "research: {type: plan_and_execute, tools: [calculator, clock], max_plans: 8}"
    file = FOLDER / "plan_and_execute.yaml"

    planner: ModelName | None = Field(None, description="The model that plans, if it is another one.")
    prompt: PromptName | None = Field(None, description="What the one who answers is told; it may read `notes`.")
    plan_prompt: PromptName | None = Field(None, description="What the one who plans is told; it may read `notes`.")
    step_prompt: PromptName | None = Field(None, description="What the agent is told; it may read `step` and `notes`.")
    tools: list[ToolName] = Field(min_length=1, description="The tools that the agent may call.")
    max_plans: PositiveInt = Field(8, description="How often it may plan anew; then it has to answer.")
    max_steps: PositiveInt = Field(4, description="How often the agent may go on after calls, in one step of the plan.")


class Reflection(Answering, type="reflection"):
    """Draft an answer, criticise it by a rubric, and revise it, until no fault is found or the rounds are used up.

    It is the graph `reflection.yaml`; `ragweave new my-agent --from reflection` copies it. Models and prompts are those
    of the graph that has the node. With `documents` in the state, the answer has to be held by them.
    """

    example = 'explain: {type: reflection, rubric: ["A child of ten understands it."], max_rounds: 2}'
    file = FOLDER / "reflection.yaml"

    critic: ModelName | None = Field(None, description="The model that criticises, if it is another one.")
    prompt: PromptName | None = Field(None, description="What the one who drafts is told.")
    revise_prompt: PromptName | None = Field(
        None, description="What the one who revises is told; it may read `answer` and `verdict`."
    )
    rubric: list[str] = Field([], description="What a good answer is like; all of it has to be met.")
    max_rounds: PositiveInt = Field(2, description="How often a revision is criticised; the next one is the answer.")


class MultiHop(Answering, type="multi_hop"):
    """Search, read, and search on for what the passages led to; then answer, with citations of the passages.

    It is the graph `multi_hop.yaml`; `ragweave new my-agent --from multi_hop` copies it. Model, retriever and prompt
    are those of the graph that has the node. Without a model that follows instructions, rules find what to search for,
    and the answer is quoted.
    """

    example = "research: {type: multi_hop, retriever: recipes, max_hops: 3}"
    file = FOLDER / "multi_hop.yaml"

    retriever: RetrieverName = Field(description="Where it searches.")
    prompt: PromptName | None = Field(None, description="What the one who answers is told; it reads `documents`.")
    max_hops: PositiveInt = Field(3, description="How often it may search on.")
    max_queries: PositiveInt = Field(6, description="Queries of one search at most.")
    top_k: PositiveInt = Field(10, description="Passages to keep, and to answer from.")
