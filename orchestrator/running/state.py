"""What a run carries along its edges: for each key its newest writes (R9, R11, R13). Pure data, no asyncio."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import count, islice
from typing import Any, overload

ORIGINS = ("user", "system", "retrieved", "tool", "memory", "model")
"""Whose words a text may be; a set of origins is the sum of 1 << position."""


def origin_bit(origin: str) -> int:
    """The bit of an origin's name; 0 for the empty name."""
    return 1 << ORIGINS.index(origin) if origin else 0


def origin_names(mask: int) -> tuple[str, ...]:
    """The names in a set of origins."""
    return tuple(name for position, name in enumerate(ORIGINS) if mask >> position & 1)


class Write:
    """One write of one key: the value, the number of the node that counts as its writer, and the origins of its
    words."""

    __slots__ = ("node", "origin", "value")

    def __init__(self, value: Any, node: int, origin: int = 0) -> None:
        self.value = value
        self.node = node
        self.origin = origin

    def __repr__(self) -> str:
        return f"Write({self.value!r}, node={self.node})"


class Changed(Write):
    """The write that a fork puts in the place of others: where it meets one of those, only it counts; where it meets
    the write of an earlier fork in the place of the same, only the later one does."""

    __slots__ = ("number", "replaces")

    def __init__(self, value: Any, node: int, origin: int, replaces: tuple[Write, ...]) -> None:
        super().__init__(value, node, origin)
        self.replaces = replaces
        self.number = next(_changes)

    def over(self, other: Write) -> bool:
        """True if this one counts and the other does not."""
        if not isinstance(other, Changed):
            return any(other is old for old in self.replaces)
        shared = other.node == self.node or any(old is one for old in self.replaces for one in other.replaces)
        return self.number > other.number and (shared or any(other is old for old in self.replaces))


_changes = count()


class Log(Sequence[Any]):
    """The value of an `accumulate` key: a read-only list to which adding costs the same at any length.

    Versions share one list, of which each sees its own first part; adding to an old version copies that part.
    """

    __slots__ = ("_count", "_items", "_marks", "origin")

    def __init__(self, items: list[Any] | None = None, marks: list[object] | None = None, origin: int = 0) -> None:
        self._items: list[Any] = [] if items is None else items
        # One mark per item, the same for all items of one write: joins tell by it what both sides have.
        self._marks: list[object] = [object()] * len(self._items) if marks is None else marks
        self._count = len(self._items)
        self.origin = origin

    @property
    def value(self) -> Log:
        """Itself: a log is read like a write."""
        return self

    def items(self) -> list[Any]:
        """A plain list of its own."""
        return self._items[: self._count]

    def added(self, items: Iterable[Any], origin: int = 0) -> Log:
        """This log and then `items`, as one write."""
        if len(self._items) == self._count:
            grown = Log.__new__(Log)
            grown._items, grown._marks = self._items, self._marks
            grown._items.extend(items)
            grown._marks.extend([object()] * (len(grown._items) - self._count))
            grown._count = len(grown._items)
            grown.origin = self.origin | origin
            return grown
        return Log(self._items[: self._count], self._marks[: self._count], self.origin).added(items, origin)

    def joined(self, other: Log) -> Log:
        """The items of both, each write once: this log's, then those that only the other has."""
        if other._items is self._items:
            return self if self._count >= other._count else other
        shared = 0
        for mine, theirs in zip(islice(self._marks, self._count), islice(other._marks, other._count), strict=False):
            if mine is not theirs:
                break
            shared += 1
        known = set(self._marks[shared : self._count])
        fresh = [at for at in range(shared, other._count) if other._marks[at] not in known]
        if not fresh:
            return self
        return Log(
            self._items[: self._count] + [other._items[at] for at in fresh],
            self._marks[: self._count] + [other._marks[at] for at in fresh],
            self.origin | other.origin,
        )

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Any]:
        return islice(self._items, self._count)

    @overload
    def __getitem__(self, index: int) -> Any: ...
    @overload
    def __getitem__(self, index: slice) -> list[Any]: ...
    def __getitem__(self, index: int | slice) -> Any:
        if isinstance(index, slice):
            return [self._items[at] for at in range(*index.indices(self._count))]
        if not -self._count <= index < self._count:
            raise IndexError(f"index {index} of a list of {self._count}")
        return self._items[index if index >= 0 else self._count + index]

    def __eq__(self, other: object) -> bool:
        if isinstance(other, (Log, list, tuple)):
            return len(other) == self._count and all(mine == theirs for mine, theirs in zip(self, other, strict=True))
        return NotImplemented

    __hash__ = None  # type: ignore[assignment]

    def __add__(self, other: Iterable[Any]) -> list[Any]:
        return [*self, *other]

    def __radd__(self, other: Iterable[Any]) -> list[Any]:
        return [*other, *self]

    def __repr__(self) -> str:
        return repr(list(self))


Entry = Write | tuple[Write, ...] | Log
State = dict[str, Entry]
Merge = Callable[[list[Any]], Any]


class MergeFailed(ValueError):
    """A merge could not make one value of several."""


def read(state: Mapping[str, Entry], key: str, merges: Mapping[str, Merge]) -> Any:
    """The value of a key: of its one newest write, or the merge of several (R12). KeyError if it is absent."""
    entry = state[key]
    if entry.__class__ is Write:
        return entry.value
    if entry.__class__ is Log:
        return entry
    if entry.__class__ is Changed:
        return entry.value
    merge = merges.get(key)
    if merge is None:
        raise MergeFailed(f"{key!r} has {len(entry)} parallel writes and no merge")  # type: ignore[arg-type]
    return merged(merge, key, [write.value for write in entry])  # type: ignore[union-attr]


def merged(merge: Merge, key: str, values: list[Any]) -> Any:
    """What a merge makes of these values. Raises MergeFailed, which names the key."""
    try:
        return merge(values)
    except Exception as error:
        raise MergeFailed(f"the merge of {len(values)} values of {key!r} failed: {error}") from error


def origin_of(entry: Entry) -> int:
    """The origins of all writes of an entry."""
    if isinstance(entry, tuple):
        mask = 0
        for write in entry:
            mask |= write.origin
        return mask
    return entry.origin


def changed(entry: Entry | None, value: Any, node: int, origin: int) -> Entry:
    """What stands for an entry of a state when a fork gives its key another value at a call of this `node`.

    It counts as a write of whoever wrote the old one, so that the same later writes replace it; where the key was
    absent, as one of `start`. The items of a log are replaced.
    """
    if isinstance(entry, Log):
        return Log(list(value), None, origin)
    if entry is None:
        return Changed(value, 0, origin, ())
    before = entry if isinstance(entry, tuple) else (entry,)
    older = [other for write in before if isinstance(write, Changed) for other in write.replaces]
    return Changed(value, before[0].node if len(before) == 1 else node, origin, (*before, *older))


def join(states: Sequence[State], reach: Sequence[int]) -> State:
    """The union of states in the order of their edges (R11).

    `reach[u]` has bit v set where a forward path leads from node u to node v: then u's write is dropped beside v's.
    """
    result = dict(states[0])
    clashes: set[str] = set()
    for state in states[1:]:
        for key, entry in state.items():
            mine = result.get(key)
            if mine is None:
                result[key] = entry
            elif mine is not entry:
                if isinstance(mine, Log) and isinstance(entry, Log):
                    result[key] = mine.joined(entry)
                else:
                    clashes.add(key)
    for key in clashes:
        result[key] = _newest([state[key] for state in states if key in state], reach)
    return result


def _newest(entries: Iterable[Entry], reach: Sequence[int]) -> Entry:
    writes: list[Write] = []
    seen: set[int] = set()
    mask = 0
    for entry in entries:
        for write in entry if isinstance(entry, tuple) else (entry,):
            if isinstance(write, Write) and id(write) not in seen:
                seen.add(id(write))
                writes.append(write)
                mask |= 1 << write.node
    kept = [write for write in writes if not reach[write.node] & mask]
    changes = [write for write in writes if isinstance(write, Changed)]
    if changes:
        kept = [write for write in kept if not any(change.over(write) for change in changes)]
    return kept[0] if len(kept) == 1 else tuple(kept)
