"""The server that workers are killed on."""

from __future__ import annotations

from tests.support.postgres import postgres_schema, postgres_server

__all__ = ["postgres_schema", "postgres_server"]
