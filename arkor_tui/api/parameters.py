"""Pydantic models of the run parameters, made from their table (``arkor_tui.params``)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from pydantic import BaseModel, Field, create_model

from arkor_tui.params import PARAMETERS, Parameter

FieldType = Callable[[Parameter], tuple[Any, Any]]
GroupType = Callable[[str, type[BaseModel]], Any]


def model_of(
    base: type[BaseModel], name: str, field_type: FieldType, group_type: GroupType
) -> type[BaseModel]:
    """A model with a field for each parameter, under its name on the wire.

    ``field_type`` gives the type of a parameter's value, and what stands for none. Parameters that
    stand in an object on the wire have a model of their own, which ``group_type`` makes a type of.
    """
    return _model(base, name, field_type, group_type, PARAMETERS.values(), 0)


def value_in(model: BaseModel, parameter: Parameter) -> Any:
    """What a parameter is in such a model; None where it is not set."""
    *groups, _ = parameter.wire.split(".")
    value: Any = model
    for name in (*map(_snake, groups), field_name(parameter)):
        value = getattr(value, name, None)
    return value


def field_name(parameter: Parameter) -> str:
    """The name of a parameter's field in its model."""
    return parameter.path[-1] if "." in parameter.wire else parameter.name


def _model(
    base: type[BaseModel],
    name: str,
    field_type: FieldType,
    group_type: GroupType,
    parameters: Iterable[Parameter],
    depth: int,
) -> type[BaseModel]:
    fields: dict[str, Any] = {}
    groups: dict[str, list[Parameter]] = {}
    for parameter in parameters:
        segments = parameter.wire.split(".")[depth:]
        if len(segments) > 1:
            group = groups.setdefault(segments[0], [])
            if not group:  # holds its place in the order
                fields[_snake(segments[0])] = None
            group.append(parameter)
        else:
            kind, default = field_type(parameter)
            fields[field_name(parameter)] = (kind, Field(default=default, alias=segments[0]))
    for wire, members in groups.items():
        title = wire[:1].upper() + wire[1:]
        model = _model(_plain_base(base), title, field_type, group_type, members, depth + 1)
        fields[_snake(wire)] = (group_type(wire, model) | None, Field(default=None, alias=wire))
    return create_model(name, __base__=base, **fields)


def _plain_base(base: type[BaseModel]) -> type[BaseModel]:
    """The base of a group: as strict as ``base``, without its fields."""
    while base.model_fields:
        base = base.__bases__[0]
    return base


def _snake(name: str) -> str:
    return "".join(f"_{char.lower()}" if char.isupper() else char for char in name)
