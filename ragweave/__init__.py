"""RAG and agent graphs: checked before they run, journaled while they run, replayable after they ran.

The names below are what a program needs; each loads what stands behind it when it is first used, so that
`import ragweave` itself costs nothing.
"""

import importlib
import os
import sys

__version__ = "0.1.0"

# Not `typing.TYPE_CHECKING`: importing `typing` would cost more than all the rest of this file.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from ragweave.orchestrator.context import Context
    from ragweave.orchestrator.errors import GraphError, NodeError, RagweaveError, RunError, ThreadBusy
    from ragweave.orchestrator.graph import Graph, Result
    from ragweave.orchestrator.node import Node, node
    from ragweave.orchestrator.values import Answer, Ask, Citation, Document, Failure, Message, Usage, Verdict
    from ragweave.tools.function import tool

__all__ = [
    "Answer",
    "Ask",
    "Citation",
    "Context",
    "Document",
    "Failure",
    "Graph",
    "GraphError",
    "Message",
    "Node",
    "NodeError",
    "RagweaveError",
    "Result",
    "RunError",
    "ThreadBusy",
    "Usage",
    "Verdict",
    "__version__",
    "node",
    "tool",
]

_HOMES = {
    "Answer": "ragweave.orchestrator.values:Answer",
    "Ask": "ragweave.orchestrator.values:Ask",
    "Citation": "ragweave.orchestrator.values:Citation",
    "Context": "ragweave.orchestrator.context:Context",
    "Document": "ragweave.orchestrator.values:Document",
    "Failure": "ragweave.orchestrator.values:Failure",
    "Graph": "ragweave.orchestrator.graph:Graph",
    "GraphError": "ragweave.orchestrator.errors:GraphError",
    "Message": "ragweave.orchestrator.values:Message",
    "Node": "ragweave.orchestrator.node:Node",
    "NodeError": "ragweave.orchestrator.errors:NodeError",
    "RagweaveError": "ragweave.orchestrator.errors:RagweaveError",
    "Result": "ragweave.orchestrator.graph:Result",
    "RunError": "ragweave.orchestrator.errors:RunError",
    "ThreadBusy": "ragweave.orchestrator.errors:ThreadBusy",
    "Usage": "ragweave.orchestrator.values:Usage",
    "Verdict": "ragweave.orchestrator.values:Verdict",
    "node": "ragweave.orchestrator.node:node",
    "tool": "ragweave.tools.function:tool",
}


def __getattr__(name: str) -> object:
    try:
        module, _, attribute = _HOMES[name].partition(":")
    except KeyError:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}") from None
    value: object = getattr(importlib.import_module(module), attribute)
    globals()[name] = value  # the next access does not come here
    return value


def __dir__() -> list[str]:
    return list(__all__)


def _check_links(folder: str) -> None:
    """Raise an ImportError if the links to the five sub-packages were checked out as text files.

    The command ends with the message instead: this is imported before anything of the command that could catch it.
    """
    for name in ("orchestrator", "tools", "retrievers", "prompts", "evals"):
        path = os.path.join(folder, name)
        if os.path.isfile(path):
            message = (
                f"{path} should be a symbolic link to the folder '../{name}', but it is a text file: this copy of "
                "ragweave was made where symbolic links are off (git on Windows, or a zip file unpacked without them). "
                "In a git clone, run `git config core.symlinks true` and then `git checkout -- ragweave` (on Windows "
                "with Developer Mode on). From a zip file, clone with git instead, or `pip install ragweave`."
            )
            if _is_the_command():
                sys.exit(f"error: {message}")
            raise ImportError(message, name=f"{__name__}.{name}", path=path)


def _is_the_command() -> bool:
    """True of `ragweave` and of `python -m ragweave`, which has no path yet while its package is imported."""
    program = sys.argv[0] if sys.argv else ""
    return os.path.basename(program) in ("ragweave", "ragweave.exe") or (program == "-m" and __name__ in sys.orig_argv)


_check_links(os.path.dirname(os.path.abspath(__file__)))
