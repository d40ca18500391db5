"""Base classes of everything on the wire: camelCase there, snake_case here."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict
from pydantic.alias_generators import to_camel


class WireReader(BaseModel):
    """Something a server sent: unknown fields are kept, known ones are checked."""

    model_config = ConfigDict(
        alias_generator=to_camel, populate_by_name=True, extra="allow", frozen=True
    )

    @property
    def extra(self) -> dict[str, Any]:
        """Fields that this version does not know, under their wire names."""
        return self.__pydantic_extra__ or {}


class WireWriter(BaseModel):
    """Something we send: an unknown field is a mistake of ours and is refused."""

    model_config = ConfigDict(
        alias_generator=to_camel, populate_by_name=True, extra="forbid", frozen=True
    )

    def to_wire(self) -> dict[str, Any]:
        """The JSON object: unset fields are left out, an explicit ``False`` is sent."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)


def _as_timestamp(value: object) -> object:
    """Times are ISO-8601 strings or null; some servers send epoch milliseconds."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        try:
            return datetime.fromtimestamp(value / 1000, UTC).isoformat()
        except (OverflowError, OSError, ValueError):
            return None
    if isinstance(value, datetime):
        return value.isoformat()
    return value


Timestamp = Annotated[str | None, BeforeValidator(_as_timestamp)]
"""An ISO-8601 string as the server sent it, or None."""
