"""The models, retrievers and other resources of one graph: built once, when first used, and closed together."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ValidationError

from ragweave.orchestrator import registry, shared, sources
from ragweave.orchestrator.errors import CircularResources, InputError, RagweaveError, ResourceError, did_you_mean
from ragweave.orchestrator.language.environment import missing, resolve
from ragweave.orchestrator.naming import ResourceSpec
from ragweave.orchestrator.stamps import Stamp, named_files, stamp

if TYPE_CHECKING:
    from ragweave.orchestrator.approvals import Rule
    from ragweave.orchestrator.blobs import Blobs
    from ragweave.orchestrator.contracts import ChatModel
    from ragweave.orchestrator.graph import Graph
    from ragweave.orchestrator.models.prices import Prices
    from ragweave.orchestrator.values import Usage

_KEPT = ("models", "embedders", "retrievers", "rerankers", "tools", "memories", "pipelines")
"""What is kept open when a graph is read again; prompts are read anew, and what was trained is trained anew."""


class Resources:
    """Finds resources by kind and name.

    A name that is declared means that resource. A name that is not declared, but is a registered type (`extractive`),
    means that type with its default settings. Thread-safe; `get` blocks while a resource is built.
    """

    def __init__(
        self,
        specs: Iterable[ResourceSpec] = (),
        *,
        folder: Path | None = None,
        environ: Mapping[str, str] | None = None,
        notice: Callable[[str], None] | None = None,
        prices: str = "",
    ) -> None:
        self.folder = folder if folder is not None else Path()
        """Paths in settings are relative to this: the folder of the graph file."""
        self.environ = os.environ if environ is None else environ
        self.notice = notice
        """Told things that a user should know once, such as which model `auto` became."""
        self.price_file = prices
        """Where the user keeps what models cost; empty if nowhere."""
        self.approval: Sequence[Rule] | None = None
        """What becomes of a model's calls of tools; None if the graph does not say."""
        self._prices: Prices | None = None
        self._blobs: Blobs | None = None
        self._lenders: list[Resources] = []
        self._specs = {(spec.kind, spec.name): spec for spec in specs}
        self.guarded = any("guard" in one.settings or _guards(one.implementation) for one in self._specs.values())
        """True if what some of them are asked is held against checks."""
        self._built: dict[tuple[str, str], Any] = {}
        self._building: list[tuple[str, str]] = []
        self._said: set[str] = set()
        self._lock = threading.RLock()
        self._stamps: dict[Path, Stamp] = {}
        """Of the files that settings name, when the graph was read."""
        self._adopted: set[tuple[str, str]] = set()
        """What an older reading of the graph has built."""
        self._heir: Resources | None = None
        """Those of a newer reading, which has taken over what they have in common."""
        self.files: sources.Files | None = None
        """The files that stand in for those on the disk, if the graph was read as it once was."""
        self.borrows = False
        """True if what was adopted is never to be closed with these."""

    @property
    def blobs(self) -> Blobs:
        """The bytes of images, sounds and files that were attached here."""
        with self._lock:
            if self._blobs is None:
                from ragweave.orchestrator.blobs import Blobs  # a graph of text needs none

                self._blobs = Blobs()
            return self._blobs

    def blob(self, digest: str, name: str = "") -> bytes:
        """The bytes of this hash, attached here or to a graph around this one, else kept with the run. Raises
        InputError that shows `name`, JournalError."""
        for lender in self._lenders:
            if lender.holds(digest):
                return lender.blob(digest, name)
        if digest not in self.blobs:
            from ragweave.orchestrator.blobs import from_store  # loaded with the blobs

            kept = from_store(digest)
            if kept is not None:
                self.blobs.take(digest, kept)
        return self.blobs.get(digest, name)

    def held(self, digest: str) -> bytes | None:
        """The bytes of this hash if they are here, in a graph around this one or in one inside it; else None."""
        for one in (self, *self._lenders, *(graph.resources for graph in self.inner_graphs())):
            if one._blobs is not None and digest in one._blobs:
                with contextlib.suppress(InputError):  # dropped in this moment, or changed in its folder
                    return one._blobs.get(digest)
        return None

    def holds(self, digest: str) -> bool:
        """True if the bytes of this hash were attached here or to a graph around this one."""
        here = self._blobs is not None and digest in self._blobs
        return here or any(lender.holds(digest) for lender in self._lenders)

    def borrow(self, outer: Resources) -> None:
        """Find the blobs of this graph too: what is attached to a graph reaches the models of the graphs inside it."""
        if outer is not self and outer not in self._lenders:
            self._lenders.append(outer)

    def names(self, kind: str) -> list[str]:
        """The names that the graph declares for a kind, such as `models`."""
        return [name for declared, name in self._specs if declared == kind]

    def built(self, kind: str, name: str) -> Any | None:
        """The resource if it is built already, else None."""
        return self._built.get((kind, name))

    def put(self, kind: str, name: str, resource: Any) -> None:
        """Use this object as the resource of that name (a test's model, an object that the program made itself)."""
        _name(resource, kind, name)
        self._built[kind, name] = resource
        self.guarded = self.guarded or _guards(resource)

    def get(self, kind: str, name: str) -> Any:
        """The resource, built and opened. Raises ResourceError that says which setting of which resource is wrong."""
        built = self._built.get((kind, name))
        if built is not None:
            return built
        if self._heir is not None and (kind, name) in self._heir._adopted:
            return self._heir.get(kind, name)
        with self._lock:
            built = self._built.get((kind, name))
            if built is None:
                self._enter(kind, name)
                try:
                    with sources.as_were(self.files):
                        built = self._build(kind, name)
                finally:
                    self._building.pop()
                self._built[kind, name] = built
            return built

    def has(self, kind: str, name: str) -> bool:
        """True if there is a resource of this name: declared, put here, or a registered type."""
        return (kind, name) in self._specs or (kind, name) in self._built or name in registry.names(kind)

    def unknown(self, kind: str, name: str) -> ResourceError:
        """The error of a name that is none, with what was probably meant."""
        known = [*registry.names(kind), *(other for other_kind, other in self._specs if other_kind == kind)]
        known += [other for other_kind, other in self._built if other_kind == kind]
        return ResourceError(f"no {kind[:-1]} is named {name!r}{did_you_mean(name, known)}")

    def description(self, kind: str, name: str) -> str:
        """What a name stands for: type and settings, as they are written, and what the names in them stand for."""
        spec = self._specs.get((kind, name))
        if spec is None:
            return name
        if spec.implementation is None:
            inside = (self.description(*one) for one in self._named(spec))
            return f"{spec.type} {dict(spec.settings)!r}" + "".join(f" {one}" for one in inside if one)
        made = spec.implementation if isinstance(spec.implementation, type) else type(spec.implementation)
        return f"{made.__module__}.{made.__qualname__} {dict(spec.settings) or spec.implementation!r}"

    def as_declared(self, kind: str, name: str) -> Any | None:
        """The resource with its settings, opened or not; None where they are wrong, or need what is not set here."""
        spec = self._specs.get((kind, name)) or ResourceSpec(kind, name, name)
        made = self._built.get((kind, name), spec.implementation) or registry.find(kind, spec.type)
        if not isinstance(made, type):
            return made
        try:
            return made(**resolve(spec.settings, self.environ, f"{kind}.{name}"))
        except (RagweaveError, ValidationError, TypeError):  # told of where it is declared
            return None

    def _named(self, spec: ResourceSpec) -> list[tuple[str, str]]:
        """The resources that one names in its settings; a graph with circles is never run."""
        from ragweave.orchestrator.language.names import names_in  # for those who cache

        thing = registry.find(spec.kind, spec.type)
        if not (isinstance(thing, type) and issubclass(thing, BaseModel)):
            return []
        return [(one.kind, one.name) for one in names_in(thing, spec.settings)]

    def say(self, text: str) -> None:
        """Pass a notice to whoever listens."""
        if self._heir is not None:
            self._heir.say(text)
        elif self.notice is not None:
            self.notice(text)

    def say_once(self, text: str, *, about: str = "") -> None:
        """The same, but a notice that was passed on before, or another one about the same, is not passed on again."""
        if (about or text) not in self._said:
            self._said.add(about or text)
            self.say(text)

    @property
    def prices(self) -> Prices | None:
        """What models cost; None if there is no price file. Raises ResourceError for one that is wrong."""
        if self._prices is None and self.price_file:
            from ragweave.orchestrator.models.prices import read_prices  # for those who have prices

            with sources.as_were(self.files):
                self._prices = read_prices(self.folder / self.price_file, self.price_file)
        return self._prices

    def name_of(self, kind: str, resource: Any) -> str:
        """Under which name a built resource is found here; empty if under none."""
        found = (name for (other, name), one in list(self._built.items()) if other == kind and one is resource)
        return next(found, "")

    def priced(self, usage: Usage, model: ChatModel, *, answered: bool = True) -> Usage:
        """What a call of a model has used, with its cost if there is a price file that has the model.

        Calls that failed before the model said anything cost nothing. That a model has no price is said once.
        """
        prices = self.prices
        pricing = model.pricing()
        if prices is None or usage.priced or pricing == "members":
            return usage
        from ragweave.orchestrator.models.prices import names_of

        if pricing == "free" or not answered:
            return prices.free(usage)
        names = names_of(model, self.name_of("models", model))
        price = prices.find(names)
        if price is None:
            self.say_once(f"{prices.file} has no price of {names[0]!r}: what runs with that model cost is not known")
            return usage
        return prices.priced(usage, price)

    def inner_graphs(self) -> list[Graph]:
        """The graphs that nodes of this one run."""
        return [one.graph for (kind, _), one in list(self._built.items()) if kind == "graphs"]

    async def close(self) -> None:
        """Close what was built, the newest first; one that fails to close does not keep the others open."""
        if self.borrows:
            self.borrows = False
            await self.disown()
            return
        while self._built:
            (kind, name), resource = self._built.popitem()
            if self._heir is not None and (kind, name) in self._heir._adopted:
                continue
            spec = self._specs.get((kind, name))
            if spec is not None and resource is spec.implementation and not shared.leave(resource):
                continue
            close = getattr(resource, "close", None)
            if close is not None:
                with contextlib.suppress(Exception):
                    await close()
        if self._blobs is not None and self._heir is None:
            self._blobs.clear()

    def note_files(self) -> None:
        """Note how the files are now that the settings name: what is built of them is of these."""
        files = [file for spec in self._specs.values() for file in self._files(spec)]
        files += [self.folder / self.price_file] if self.price_file else []
        self._stamps = {file: _stamp(file, self.files) for file in files}

    def adopt(self, older: Resources) -> None:
        """Use what an older reading has built, where it would be built alike; it belongs to that until `succeed`."""
        self.notice, self._lenders, self._said = older.notice, older._lenders, older._said
        self._blobs = older.blobs
        inner = {key: one.graph.resources for key, one in self._built.items() if key[0] == "graphs"}
        for key, resource in list(older._built.items()):
            if key in inner:
                inner[key].adopt(resource.graph.resources)
            elif key[0] in _KEPT and key not in self._built and self._alike(older, key):
                self._built[key] = resource
                self._adopted.add(key)

    def succeed(self, older: Resources) -> None:
        """From now on, what was adopted is closed with these, not with the older ones."""
        older._heir = self
        for key, one in list(older._built.items()):
            mine = self._built.get(key)
            if key[0] == "graphs" and mine is not None:
                mine.graph.resources.succeed(one.graph.resources)

    async def disown(self) -> None:
        """Close, but leave what was adopted to the older ones."""
        for graph in self.inner_graphs():
            await graph.resources.disown()
        for key in self._adopted:
            self._built.pop(key, None)
        self._blobs = None
        await self.close()

    def _alike(self, older: Resources, key: tuple[str, str]) -> bool:
        """True if a resource, and every other that it names, is declared as it was, with the same environment and
        files."""
        mine, theirs = self._specs.get(key), older._specs.get(key)
        if mine is None or theirs is None:
            return mine is theirs and key[0] != "prompts"
        if key[0] == "prompts" or (mine.type, mine.implementation) != (theirs.type, theirs.implementation):
            return False
        if missing(mine.settings, self.environ) or missing(theirs.settings, older.environ):
            return False
        where = ".".join(key)
        if resolve(mine.settings, self.environ, where) != resolve(theirs.settings, older.environ, where):
            return False
        if any(self._stamps.get(file) != older._stamps.get(file) for file in self._files(mine)):
            return False
        inside = self._named(mine)
        prices = self.folder / self.price_file, older.folder / older.price_file
        if inside and self._stamps.get(prices[0]) != older._stamps.get(prices[1]):
            return False  # it may choose by price
        return all(self._alike(older, one) for one in inside if one != key)

    def _files(self, spec: ResourceSpec) -> list[Path]:
        from ragweave.orchestrator.language.references import texts  # where a graph file is loaded, it is there

        return named_files((text for _, text in texts(spec.settings, ())), self.folder)

    def _enter(self, kind: str, name: str) -> None:
        """Note that this one is being built; the lock is held, so all of them are one another's reason."""
        if (kind, name) in self._building:
            circle = [*self._building[self._building.index((kind, name)) :], (kind, name)]
            raise CircularResources(
                f"resources name one another in a circle: {' -> '.join('.'.join(one) for one in circle)}",
                hint="take one of these names out",
            )
        self._building.append((kind, name))

    def _build(self, kind: str, name: str) -> Any:
        spec = self._specs.get((kind, name)) or ResourceSpec(kind, name, name, folder=self.folder)
        thing = spec.implementation
        if thing is not None and not isinstance(thing, type):
            _name(thing, kind, name)
            shared.take(thing, lambda: self._open(thing, kind, name))
            return thing
        thing = thing if thing is not None else registry.find(kind, spec.type)
        if thing is None:
            raise self.unknown(kind, name)
        try:
            resource = thing(**resolve(spec.settings, self.environ, f"{kind}.{name}"))
        except ValidationError as error:
            raise ResourceError(_said(error, kind, name, thing)) from None
        _name(resource, kind, name)
        self._open(resource, kind, name)
        return resource

    def _open(self, resource: Any, kind: str, name: str) -> None:
        if hasattr(resource, "open"):
            try:
                resource.open(self)
            except CircularResources:
                raise
            except ResourceError as error:
                raise ResourceError(f"{kind}.{name}: {error.message}", hint=error.hint) from None
        if _guards(resource):
            from ragweave.orchestrator.guardrails.guards import opened  # for those who have guards

            opened(resource, self)


def _stamp(file: Path, files: sources.Files | None) -> Stamp:
    """The stamp of a file, or of what stands in for it."""
    data = files.get(file.resolve()) if files is not None else None
    return stamp(file) if data is None else (0, len(data), hash(data))


def _guards(resource: Any) -> bool:
    """True if a resource has checks around its calls."""
    return bool(getattr(resource, "guard", None))


def _name(resource: Any, kind: str, name: str) -> None:
    """Let it say in messages how the graph calls it."""
    with contextlib.suppress(AttributeError, TypeError, ValueError):  # it may be anything that the program put there
        resource._declared_as = f"{kind}.{name}"


def _said(error: ValidationError, kind: str, name: str, thing: Any) -> str:
    from ragweave.orchestrator.language.reasons import reason_of  # only what is wrong needs them
    from ragweave.orchestrator.language.references import secret_fields

    return reason_of(error, at=(kind, name), secrets=secret_fields(thing))
