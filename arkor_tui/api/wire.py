"""Base classes of everything on the wire: camelCase there, snake_case here."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Annotated, Any, NoReturn

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel
from pydantic_core import from_json


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
        alias_generator=to_camel,
        populate_by_name=True,
        extra="forbid",
        frozen=True,
        allow_inf_nan=False,  # JSON has neither
    )

    def to_wire(self) -> dict[str, Any]:
        """The JSON object: unset fields are left out, an explicit ``False`` is sent."""
        return self.model_dump(by_alias=True, exclude_none=True)


def _as_timestamp(value: object) -> object:
    """Times are ISO-8601 strings or null; some servers send epoch milliseconds."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        try:
            return datetime.fromtimestamp(value / 1000, UTC).isoformat()
        except (OverflowError, OSError, ValueError):
            return None
    return value


Timestamp = Annotated[
    str | Annotated[str | None, BeforeValidator(_as_timestamp)] | None,
    Field(union_mode="left_to_right"),  # texts, which is what nearly all are, skip the conversion
]
"""An ISO-8601 string as the server sent it, or None."""


def mistakes(error: ValidationError) -> str:
    """What was wrong with which field, in one line."""
    found = error.errors(include_url=False, include_input=False)
    return "; ".join(
        ": ".join(filter(None, (".".join(str(part) for part in item["loc"]), item["msg"])))
        for item in found
    )


def read_json(data: str | bytes) -> Any:
    """Read JSON as JavaScript does.

    The tokens ``NaN`` and ``Infinity`` are refused while ``1e309`` is infinity, and an escaped half
    of a surrogate pair, which a server makes when it cuts a text in the middle of an emoji, does
    not spoil the rest: it becomes U+FFFD.

    Raises:
        ValueError: it is not JSON.
    """
    try:
        return from_json(data, allow_inf_nan=False)
    except TypeError as error:  # halves of surrogate pairs in the text itself
        raise ValueError("not Unicode") from error
    except ValueError:
        text = data.decode("utf-8", "replace") if isinstance(data, bytes) else data
        if "\\ud" not in text.lower():
            raise
    try:
        return _without_surrogates(json.loads(text, parse_constant=_refuse))
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")


def _without_surrogates(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, list):
        return [_without_surrogates(item) for item in value]
    if isinstance(value, dict):
        return {_without_surrogates(k): _without_surrogates(v) for k, v in value.items()}
    return value
