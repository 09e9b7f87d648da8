"""Codes RW501 to RW504: words of others on their way to effects and system prompts."""

from __future__ import annotations

from ragweave.orchestrator.codes import Code

_LOOP = """\
edges:
  - start -> think
  - {from: think, routes: [{when: size(tool_calls) > 0, to: act}, {to: end}]}
  - {from: act, routes: [{to: think, max_iterations: 4}, {to: give_up}]}
  - give_up -> end
"""
_NOTES = f"""\
tools:
  notes: {{type: files, root: ., writable: true}}
prompts:
  clerk: {{text: "{{{{ question }}}}", variables: {{question: str}}}}
nodes:
  think: {{type: generator, prompt: clerk, tools: [notes]}}
  act: {{type: tool_executor, tools: [notes]}}
  give_up: {{type: reply, text: I could not find out., confidence: 0}}
{_LOOP}"""
_SHOP = f"""\
tools:
  shop: {{type: files, root: .}}
  web: {{type: http, hosts: [news.example.org]}}
prompts:
  clerk: {{text: "{{{{ question }}}}", variables: {{question: str}}}}
nodes:
  think: {{type: generator, prompt: clerk, tools: [shop, web]}}
  act: {{type: tool_executor, tools: [shop, web]}}
  give_up: {{type: reply, text: I could not find out., confidence: 0}}
{_LOOP}"""

CODES = (
    Code(
        "RW501",
        "words of others may call a tool that changes something",
        "What was retrieved, what a tool gave and what was remembered was written by others, and may hold orders. "
        "Here a model reads it and then chooses a write or external tool, or its arguments. Let a person decide "
        "(approval: ask), narrow every argument to closed choices (enum, bounded number, true or false), or let a "
        "guardrail with `clears` check the text first. docs/trust.md explains it.",
        _NOTES,
        f"""\
approval:
  - {{allow: [notes_list, notes_read, notes_search]}}
  - {{ask: notes_write}}
{_NOTES}""",
    ),
    Code(
        "RW502",
        "words of others reach a node that changes something",
        "The node sends or stores what it reads, and that is made from what others have written. Ask a person before "
        "(interrupt), or let a guardrail with `clears` check the text.",
        """\
retrievers:
  recipes: {type: hybrid, index: .ragweave/recipes}
nodes:
  find: {type: retriever, retriever: recipes}
  answer: {type: generator}
  tell: {type: notify, url: "https://example.org/hook", send: [answer]}
edges: [start -> find -> answer -> tell -> end]
""",
        """\
retrievers:
  recipes: {type: hybrid, index: .ragweave/recipes}
nodes:
  find: {type: retriever, retriever: recipes}
  answer: {type: generator}
  tell: {type: notify, url: "https://example.org/hook", send: [answer], interrupt: true}
edges: [start -> find -> answer -> tell -> end]
""",
    ),
    Code(
        "RW503",
        "words of others in a system message",
        "Models take the system message for the words of whoever made the application. What was retrieved, remembered "
        "or given by a tool does not belong there; print it in a section for the user's message.",
        """\
retrievers:
  recipes: {type: hybrid, index: .ragweave/recipes}
prompts:
  cook:
    text: "## system\\nYou know: {{ documents | tojson }}\\n\\n## user\\n{{ question }}"
    variables: {question: str, documents: "list[Document]"}
nodes:
  find: {type: retriever, retriever: recipes}
  answer: {type: generator, prompt: cook}
edges: [start -> find -> answer -> end]
""",
        """\
retrievers:
  recipes: {type: hybrid, index: .ragweave/recipes}
prompts:
  cook:
    text: "## system\\nYou are a cook.\\n\\n## user\\n{{ documents | tojson }}\\n{{ question }}"
    variables: {question: str, documents: "list[Document]"}
nodes:
  find: {type: retriever, retriever: recipes}
  answer: {type: generator, prompt: cook}
edges: [start -> find -> answer -> end]
""",
    ),
    Code(
        "RW504",
        "words of others, private data and a way out meet",
        "One way joins text that others have written, data that not everybody may see (sql, files, a retriever with "
        "access), and a tool that sends to others. So a text can have the data carried out. A warning: take one of the "
        "three out, or ask a person before anything is sent.",
        _SHOP,
        f"""\
approval:
  - {{allow: "shop_*"}}
  - {{ask: web}}
{_SHOP}""",
    ),
)
