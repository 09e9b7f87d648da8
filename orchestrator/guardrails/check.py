"""The contract of a check: it reads a text and says what in it is at fault, and where."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal, NamedTuple

from pydantic import Field

from ragweave.orchestrator.contracts import Resource
from ragweave.orchestrator.naming import Uses
from ragweave.orchestrator.values import Document

Action = Literal["block", "redact", "rewrite", "ask", "flag"]
"""What is done about a finding: the text is refused, the place is replaced by a tag or by what the check writes
instead, a person is asked, or it is only told."""

CheckName = Annotated[str, Uses("checks")]


class Finding(NamedTuple):
    """A place of a text that is at fault: its characters from `begin` up to `end`, and of what kind it is."""

    begin: int
    end: int
    label: str
    """In capitals, such as EMAIL_ADDRESS; it becomes the tag where the place is redacted."""
    reason: str = ""
    """Why, for people and for a model that is to do better; without the text itself, which may be a secret."""
    score: float = 1.0
    """How sure the check is, from 0 to 1."""
    instead: str | None = None
    """What stands there where the action is `rewrite`; None where the check knows nothing better than a tag."""


@dataclass(frozen=True, slots=True)
class Subject:
    """What a text is held against, as far as it is known where it is checked."""

    question: str = ""
    documents: Sequence[Document] = ()
    """The sources that an answer was made from."""


class Check(Resource):
    """Looks for one kind of fault in texts."""

    kind: ClassVar[str] = "checks"
    needs: ClassVar[Sequence[Literal["question", "documents"]]] = ()
    """The parts of the subject without which it can find nothing."""

    action: Action = Field("block", description="What is done about a finding.")

    reversible: ClassVar[bool] = False
    """True if what is redacted may be shown to the user again who wrote it, as in a reply about his own address."""

    @property
    def window(self) -> int | None:
        """How many characters of a text that goes on are undecided at most, at its end; None where all are, until the
        text is whole. With a window a reply is checked while it is being written."""
        return None

    def decided(self, text: str) -> int:
        """How many of its first characters are decided: whatever the text goes on with, what begins in them is what
        `find` finds there now. Places that end behind them may be found in their full length only later.

        May be more than `window` asks for, where a text can be shown sooner.
        """
        return 0 if self.window is None else max(0, len(text) - self.window)

    @abstractmethod
    async def find(self, text: str, subject: Subject) -> Sequence[Finding]:
        """What is at fault, in the order of the text; nothing if nothing is. Places must not overlap.

        Raises what it will when it cannot tell: a text that could not be checked counts as one that is to be blocked.
        """
