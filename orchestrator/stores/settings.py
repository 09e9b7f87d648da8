"""Where the runs of a graph are kept, as its file says it: `store: {type: sqlite, …}`."""

from __future__ import annotations

from abc import abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field, PrivateAttr, SecretStr

from ragweave.orchestrator.contracts import Resource
from ragweave.orchestrator.language.policies import Duration
from ragweave.orchestrator.stores import DAY, KEEP_DAYS
from ragweave.orchestrator.stores.beside import RUNS

if TYPE_CHECKING:
    from ragweave.orchestrator.resources import Resources
    from ragweave.orchestrator.stores import Store
    from ragweave.orchestrator.stores.packing import Cipher


class StoreSettings(Resource):
    """What a graph file says of its store; `make` gives the store itself, which opens nothing before its first use."""

    kind: ClassVar[str] = "stores"

    _folder: Path = PrivateAttr(default=Path())

    def open(self, resources: Resources) -> None:
        """Note where paths start."""
        self._folder = resources.folder

    @abstractmethod
    def make(self) -> Store:
        """The store. Raises MissingExtra, ResourceError."""


class MemorySettings(StoreSettings, type="memory"):
    """Keeps runs in this process alone: what is killed cannot go on, and nothing is left on a disk."""

    def make(self) -> Store:
        """A store of its own."""
        from ragweave.orchestrator.stores.memory import MemoryStore

        return MemoryStore()


class DurableSettings(StoreSettings):
    """What durable stores have in common."""

    keep: Duration = Field(
        KEEP_DAYS * DAY,
        description="How long runs are kept after they ended, such as 30d; those that wait for people stay.",
    )
    encrypt: SecretStr = Field(
        SecretStr(""),
        description="A key, such as ${env:RAGWEAVE_KEY}: 32 random bytes in hexadecimal or base64. What is kept can "
        "then be read only with it.",
    )

    def _cipher(self) -> Cipher | None:
        if "encrypt" not in self.model_fields_set:
            return None
        from ragweave.orchestrator.stores.sealing import cipher_of  # loads the package cryptography

        return cipher_of(self.encrypt.get_secret_value())


class SqliteSettings(DurableSettings, type="sqlite"):
    """Keeps runs in a SQLite file, which several processes of one machine may share."""

    path: str = Field(RUNS, min_length=1, description="The file, relative to the graph.")
    full: bool = Field(
        False, description="Wait for the disk at every commit, not only around effects: for power cuts, not for kills."
    )

    def make(self) -> Store:
        """A store on the file, which is made when the first run begins."""
        from ragweave.orchestrator.stores.durable import DurableStore
        from ragweave.orchestrator.stores.sqlite import SqliteDatabase

        database = SqliteDatabase(self._folder / Path(self.path).expanduser(), full=self.full)
        return DurableStore(database, keep_days=self.keep / DAY, cipher=self._cipher())


class PostgresSettings(DurableSettings, type="postgres"):
    """Keeps runs in a PostgreSQL database, which workers on any number of machines may share."""

    url: SecretStr = Field(description="The address, such as ${env:DATABASE_URL}.", min_length=1)
    namespace: str = Field(
        "ragweave",
        pattern="^[a-z_][a-z0-9_]{0,62}$",
        description="The schema of the database in which the tables are; it is made where there is none.",
    )

    def make(self) -> Store:
        """A store on the database, to which it connects when the first run begins."""
        from ragweave.orchestrator.stores.durable import DurableStore
        from ragweave.orchestrator.stores.postgres import PostgresDatabase

        return DurableStore(
            PostgresDatabase(self.url.get_secret_value(), schema=self.namespace),
            keep_days=self.keep / DAY,
            cipher=self._cipher(),
        )
