"""What stands around a passage that was found: its neighbours, or all of its document."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from ragweave.orchestrator.values import Document

_GAP = 8


def around(row: int, first: int, last: int, reach: int | None, shown: Callable[[int], bool]) -> range:
    """The rows from `first` to `last` (not included) next to `row`: up to `reach` on each side, or all for None.

    What is not shown ends them.
    """
    begin = end = row
    while begin > first and (reach is None or row - begin < reach) and shown(begin - 1):
        begin -= 1
    while end + 1 < last and (reach is None or end - row < reach) and shown(end + 1):
        end += 1
    return range(begin, end + 1)


def stretches(rows: Iterable[int], around_row: Callable[[int], range]) -> Iterator[tuple[int, range]]:
    """Each row with what stands around it, best row first; what one before has taken is not given again."""
    taken: set[int] = set()
    for row in rows:
        if row not in taken:
            stretch = around_row(row)
            begin = max((other + 1 for other in stretch if other < row and other in taken), default=stretch.start)
            end = min((other for other in stretch if other > row and other in taken), default=stretch.stop)
            taken.update(range(begin, end))
            yield row, range(begin, end)


def joined(hit: Document, passages: Sequence[Document]) -> Document:
    """The passages of one document, in order, as one: the text from the first to the last of them.

    It has the id, title and score of the one that was found. White space between passages, which an index does not
    keep, is filled with line ends, so that offsets count on.
    """
    first, last = passages[0], passages[-1]
    text, end = first.text, first.offsets[1] if first.offsets is not None else None
    for passage in passages[1:]:
        if end is None or passage.offsets is None:
            text, end = f"{text}\n\n{passage.text}", None
            continue
        gap = passage.offsets[0] - end
        between = "\n" * gap if gap <= _GAP else "\n\n"
        text += between + passage.text if gap >= 0 else passage.text[-gap:]
        end = passage.offsets[1]
    known = first.offsets is not None and last.offsets is not None
    offsets = (first.offsets[0], last.offsets[1]) if first.offsets is not None and last.offsets is not None else None
    return hit.model_copy(update={"text": text, "offsets": offsets if known else None, "line": first.line})
