"""`type: sql`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

from pydantic import Field, PositiveInt, PrivateAttr, SecretStr

from ragweave.orchestrator.contracts import ToolSpec
from ragweave.orchestrator.errors import ResourceError
from ragweave.orchestrator.resources import Resources
from ragweave.orchestrator.running.bridge import wait_for
from ragweave.tools.function import MethodTool
from ragweave.tools.sql.postgres import PostgresQueries
from ragweave.tools.sql.sqlite import SqliteQueries

_LONGEST = 8_000
"""Characters of the description of the tables that a model is told at once."""


class Sql(MethodTool, type="sql"):
    """Queries of a SQLite file or a PostgreSQL database, which they can read and not change."""

    calls = {"query": "read"}
    private: ClassVar[bool] = True
    """It shows what not everybody may see: the checker warns where that meets a way out."""

    path: Path | None = Field(None, description="A SQLite file, relative to the graph file.")
    url: SecretStr | None = Field(None, description="A PostgreSQL database; its role must not be a superuser.")
    tables: tuple[str, ...] = Field((), description="The tables and views that may be read; without it, all of them.")
    max_rows: PositiveInt = Field(100, description="Rows that a query gives at most.")

    _queries: SqliteQueries | PostgresQueries | None = PrivateAttr(None)
    _described: str = PrivateAttr("")

    def check_settings(self) -> None:
        """Raise ResourceError unless one database is named."""
        if (self.path is None) == (self.url is None):
            raise ResourceError("a database is wanted: path of a SQLite file, or url of a PostgreSQL one, not both")

    def check_files(self, folder: Path) -> None:
        """Raise ResourceError if the file is not there."""
        if self.path is not None and not (folder / self.path).is_file():
            raise ResourceError(f"there is no database {str(self.path)!r}")

    def open(self, resources: Resources) -> None:
        """Read what tables there are. Raises ResourceError."""
        self.check_settings()
        shared = {"tables": self.tables, "max_rows": self.max_rows, "timeout": self.timeout}
        if self.path is not None:
            self.check_files(resources.folder)
            self._queries = SqliteQueries(path=resources.folder / self.path, **shared)
        else:
            self._queries = PostgresQueries(url=self.url, **shared)
        self._described = wait_for(self._queries.describe())

    def specs(self) -> Sequence[ToolSpec]:
        """The one tool, told with the tables that there are."""
        (spec,) = super().specs()
        cut = "\n… (more tables)" if len(self._described) > _LONGEST else ""
        kind = "SQLite" if self.path is not None else "PostgreSQL"
        said = f"{spec.description} The database is {kind}; its tables:\n{self._described[:_LONGEST]}{cut}"
        return (replace(spec, description=said),)

    async def query(self, sql: str) -> str:
        """Ask the database: one SELECT, whose rows come as a table.

        Args:
            sql: One SELECT statement.
        """
        assert self._queries is not None, "it is not open"
        return (await self._queries.query(sql)).text
