"""How a failed call is told: where it was, and in one line why."""

from __future__ import annotations

from typing import Any

from pydantic import ValidationError

from ragweave.orchestrator.errors import NodeError, RagweaveError, is_transient
from ragweave.orchestrator.running.state import MergeFailed
from ragweave.orchestrator.values import Failure


class CallFailed(NodeError):
    """A node has finally failed: `path` says which, `__cause__` why."""

    def __init__(self, path: str, cause: BaseException) -> None:
        super().__init__(f"{path} failed: {describe(cause)}", transient=is_transient(cause))
        self.path = path
        self.__cause__ = cause


def describe(error: BaseException) -> str:
    """An error in one line: the message of ours, type and message of others."""
    said = words_of(error)
    if isinstance(error, (RagweaveError, MergeFailed)):
        return said
    return f"{type(error).__name__}: {said}" if said else type(error).__name__


def words_of(error: BaseException) -> str:
    """What an error says, without its type; others than ours in one line."""
    if isinstance(error, ValidationError):
        from ragweave.orchestrator.language.reasons import reason_of  # only a failure needs it

        return f"{error.title}: {reason_of(error)}"
    return str(error) if isinstance(error, RagweaveError) else " ".join(str(error).split())


def failure_of_call(path: str, error: Exception) -> dict[str, Any]:
    """What the node of `on_error` reads of the failure of the call at this path."""
    cause = error.__cause__ if isinstance(error, CallFailed) and error.__cause__ is not None else error
    path = error.path if isinstance(error, CallFailed) else path
    return {"error": Failure(node=path, type=type(cause).__name__, message=words_of(cause))}
