"""The node type `code_of`: the program in a model's reply."""

from __future__ import annotations

import re
from typing import TypedDict

from ragweave import Answer, node

_FENCED = re.compile(r"^(`{3,}|~{3,})[^\n`]*\n(.*?)^\1`*~*[ \t]*$", re.DOTALL | re.MULTILINE)


class Code(TypedDict):
    """What it writes."""

    code: str


@node
def code_of(draft: Answer) -> Code:
    """Take the code out of a reply: its longest fenced block, or all of a reply that has none."""
    blocks = [match[2] for match in _FENCED.finditer(draft.text)]
    return {"code": max(blocks, key=len, default=draft.text).strip("\n")}
