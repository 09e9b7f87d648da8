"""Who may see a passage, by fields of its metadata."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import BaseModel, ConfigDict, Field

from ragweave.orchestrator.errors import InputError, ResourceError, did_you_mean
from ragweave.orchestrator.filters import Demand, FieldKind, Filter


class Access(BaseModel):
    """The fields of metadata that say who may see a passage."""

    model_config = ConfigDict(extra="forbid")

    tenant: str | None = Field(default=None, description="Field that holds the tenant whose passage it is.")
    readers: str | None = Field(default=None, description="Field of kind list[str]: the users who may see it.")

    def check(self, fields: Mapping[str, FieldKind]) -> None:
        """Raise ResourceError for a field that is not there, or of another kind."""
        for setting, kind in (("tenant", "str"), ("readers", "list[str]")):
            field = getattr(self, setting)
            if field is None:
                continue
            if field not in fields:
                raise ResourceError(
                    f"access.{setting}: {field!r} is not among fields{did_you_mean(field, fields)}",
                    hint=f"add `{field}: {kind}` to fields",
                )
            if fields[field] != kind:
                raise ResourceError(f"access.{setting}: {field!r} is of kind {fields[field]}, not {kind}")

    def demands(self, tenant: str, user: str, name: str) -> Filter:
        """What every passage must fulfil that is shown to this user of this tenant. Raises InputError if a tenant or a
        user is needed and there is none; `name` is that of the index, for its message."""
        conditions: list[Demand] = []
        if self.tenant is not None:
            conditions.append(Demand(self.tenant, "str", "==", _given("tenant", tenant, name)))
        if self.readers is not None:
            conditions.append(Demand(self.readers, "list[str]", "contains", _given("user", user, name)))
        return tuple(conditions)


def _given(what: str, given: str, name: str) -> str:
    if given:
        return given
    raise InputError(
        f"{name} shows passages to the {what} that they are for, and the run has none",
        hint=f"pass {what}= to the run",
    )
