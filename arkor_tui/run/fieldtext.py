"""A parameter's value as it stands in a field of the form, and what is typed there as a value."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field

from arkor_tui import params
from arkor_tui.params import Kind, Parameter

_EXACT = 2**53


def text_of(value: object) -> str:
    """A value as it stands in the form; no digit of a number is lost."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        short = f"{value:g}"
        return short if float(short) == value else repr(value)
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value))
    return str(value)


def parameter_text(kind: Kind, value: object) -> str:
    """A parameter's value, in whichever of its forms, as it stands in the form."""
    match kind:
        case params.Steps():
            return _steps_text(value)
        case params.Columns():
            return _columns_text(value)
        case params.Flag() if isinstance(value, Mapping):
            return text_of(value.get("enabled"))
        case params.Whole() if isinstance(value, float) and value.is_integer():
            return str(int(value))
    return text_of(value)


def typed_as(parameter: Parameter) -> Any:
    """The type that a form's text is checked with; an empty text is None."""
    kind = parameter.typed or parameter.kind
    match kind:
        case params.Whole():
            return _optional(Annotated[int, Field(ge=kind.low, le=kind.high)])
        case params.Real(above=True):
            return _number(Field(gt=kind.low, le=kind.high))
        case params.Real():
            return _number(Field(ge=kind.low, le=kind.high))
        case params.Share():
            return _number(Field(ge=0, lt=1))
        case params.Flag():
            return _optional(bool, yes_or_no)
        case params.Choice(closed=True):
            return _optional(str, _one_of(kind))
        case params.Choice():
            return _optional(str)
        case params.Steps():
            return _optional(Any, _steps)
        case params.Names():
            return _optional(list[str], _names)
        case params.Columns():
            return _optional(dict[str, str], _columns)


def blank_is_none(value: object) -> object:
    """An empty field says nothing."""
    return None if isinstance(value, str) and not value.strip() else value


def yes_or_no(value: object) -> object:
    """Yes and no as people write them; any other word is a mistake, and never taken for a no."""
    if not isinstance(value, str):
        return value
    word = value.strip().lower()
    if word in ("yes", "y", "true", "1", "on"):
        return True
    if word in ("no", "n", "false", "0", "off"):
        return False
    raise ValueError("yes or no")


def _optional(kind: Any, parse: Callable[[Any], Any] = lambda value: value) -> Any:
    def read(value: object) -> object:
        value = blank_is_none(value)
        return None if value is None else parse(value)

    return Annotated[kind | None if kind is not Any else Any, BeforeValidator(read)]


def _number(bounds: Any) -> Any:
    """A whole number is sent as one: 32, not 32.0."""

    def short(value: float | None) -> float | int | None:
        is_whole = value is not None and value.is_integer() and abs(value) < _EXACT
        return int(value) if is_whole and value is not None else value

    return Annotated[_optional(Annotated[float, bounds]), AfterValidator(short)]


def _one_of(kind: params.Choice) -> Callable[[str], str]:
    def check(value: str) -> str:
        if value.strip() not in kind.names:
            raise ValueError(f"one of: {', '.join(kind.names)}")
        return value

    return check


def _steps(value: object) -> object:
    """``25`` steps, or a share of all steps: ``0.1``."""
    try:
        number = float(str(value))
    except ValueError:
        raise ValueError("steps such as 25, or a share such as 0.1") from None
    if number < 0:
        raise ValueError("at least 0")
    if number.is_integer() and not (number == 0 and "." in str(value)):
        if number > (most := 1_000_000):
            raise ValueError(f"at most {most}")
        return int(number)
    if not number < 1:
        raise ValueError("a whole number, or a share below 1")
    return {"ratio": number}


def _steps_text(value: object) -> str:
    if isinstance(value, Mapping):
        steps, ratio = value.get("steps"), value.get("ratio")
    else:
        steps, ratio = getattr(value, "steps", value), getattr(value, "ratio", None)
    if ratio is not None and steps is None:
        return repr(float(ratio)) if isinstance(ratio, int | float) else str(value)
    if ratio is not None:
        return str(value)
    return str(int(steps)) if isinstance(steps, float) and steps.is_integer() else text_of(steps)


def _names(value: str) -> list[str]:
    return [name for part in value.split(",") if (name := part.strip())]


def _columns(value: str) -> dict[str, str]:
    if value.lstrip().startswith("{"):
        try:
            found = json.loads(value)
        except ValueError:
            found = None
        if isinstance(found, dict) and all(isinstance(name, str) for name in found.values()):
            return found
        raise ValueError("a JSON object of names")
    pairs = [part.partition("=") for part in value.split(",") if part.strip()]
    if not all(name.strip() and column.strip() for name, _, column in pairs):
        raise ValueError("name=column, name=column")
    return {name.strip(): column.strip() for name, _, column in pairs}


def _columns_text(value: object) -> str:
    if not isinstance(value, Mapping):
        return text_of(value)
    columns = {str(name): str(column) for name, column in value.items()}
    text = ", ".join(f"{name}={column}" for name, column in columns.items())
    try:
        is_plain = _columns(text) == columns
    except ValueError:
        is_plain = False
    return text if is_plain else json.dumps(columns, ensure_ascii=False)
