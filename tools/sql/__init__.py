"""Databases that a model may ask and cannot change: SQLite files and PostgreSQL servers.

What a statement may do is judged by the database itself, not by searching its text for bad words.
"""

from __future__ import annotations

from ragweave.tools.sql.postgres import PostgresQueries
from ragweave.tools.sql.rows import Rows
from ragweave.tools.sql.sqlite import SqliteQueries

__all__ = ["PostgresQueries", "Rows", "SqliteQueries"]
