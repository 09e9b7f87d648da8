"""A graph whose model calls tools until it has none left to call, for tests of the tools."""

from __future__ import annotations

ACCEPTED = 'approval: [{allow: "*", from: [tool]}]'
"""Whatever a tool says, others may be called for it."""


def looping(replies: str, tools: str, *, head: str = "", rounds: int = 2) -> str:
    """Its text: `replies` of the model and the names of `tools` are lists of YAML; `head` holds further blocks."""
    return f"""
schema: ragweave/v1
name: asker
inputs: {{question: str}}
outputs: [answer]
{head}
{"" if "approval:" in head else ACCEPTED}
description: Asks and acts.
models: {{chat: {{type: scripted, replies: {replies}}}}}
prompts: {{ask: {{text: "{{{{ question }}}}", variables: {{question: str}}}}}}
nodes:
  think: {{type: generator, model: chat, prompt: ask, tools: {tools}}}
  act: {{type: tool_executor, tools: {tools}}}
edges:
  - start -> think
  - from: think
    routes: [{{when: size(tool_calls) > 0, to: act}}, {{to: end}}]
  - from: act
    routes: [{{to: think, max_iterations: {rounds}}}, {{to: end}}]
"""
