"""The first thing that runs in the sandbox, before the program: it bounds itself, then reads and runs it.

Its text is given to the interpreter there (nothing of this package is), so it needs the standard library only. It
guards nothing: what keeps a program in is outside.
"""

from __future__ import annotations

import ast
import json
import linecache
import os
import resource
import sys
import types
from typing import Any

NAME = "program.py"


def bound(limits: dict[str, int]) -> None:
    """Give up what the program may not use; no process can take that back."""
    for name, value in limits.items():
        resource.setrlimit(getattr(resource, name), (value, value))


def run(code: str, inputs: dict[str, Any]) -> None:
    """Run a program as `__main__`, and print the value of its last line if that is an expression."""
    module = types.ModuleType("__main__")
    module.__dict__.update(inputs)
    sys.modules["__main__"] = module
    linecache.cache[NAME] = (len(code), None, code.splitlines(keepends=True), NAME)
    tree = ast.parse(code, NAME)
    last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, NAME, "exec"), module.__dict__)
    if isinstance(last, ast.Expr):
        value = eval(compile(ast.Expression(last.value), NAME, "eval"), module.__dict__)
        if value is not None:
            print(repr(value))


def main() -> None:
    """Read the program and run it; its traceback begins where it does."""
    given = json.loads(sys.stdin.buffer.read())
    bound(given["limits"])
    nothing = os.open("/dev/null", os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    try:
        run(given["code"], given["inputs"])
    except SystemExit:
        raise
    except BaseException as error:
        import traceback

        trace = error.__traceback__
        while trace is not None and trace.tb_frame.f_code.co_filename != NAME:
            trace = trace.tb_next
        traceback.print_exception(type(error), error, trace, limit=-20)
        sys.exit(1)


if __name__ == "__main__":
    main()
