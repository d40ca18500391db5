"""JSON schemas as strict backends want them, and replies back to what the model class expects."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from arkor_tui.errors import UsageError

_NOTES = ("title", "default", "examples", "deprecated", "readOnly", "writeOnly", "discriminator")
_ONE = ("items", "contains", "not", "if", "then", "else")
_MANY = ("prefixItems", "anyOf", "allOf")


class _MadeNullable(dict[str, Any]):
    """The schema of a field that may be left out: strict schemas cannot say so, null stands in."""


def strict_schema(schema: Mapping[str, Any]) -> dict[str, Any]:
    """A JSON schema as strict backends want it.

    Every object is closed and requires all its properties. A property that could be left out is
    required and may be null. Titles, defaults and other notes go; descriptions stay.

    Raises:
        UsageError: an object has free keys (``dict[str, int]``), which strict schemas cannot say.
    """
    defs = {str(name): part for name, part in schema.get("$defs", {}).items()}
    root = {key: part for key, part in schema.items() if key != "$defs"}
    while "$ref" in root and (name := _name_of(root["$ref"])) in defs:
        root = defs[name]  # a recursive model; the root must be an object itself
    result: dict[str, Any] = _strict(root, "the reply", defs)
    if defs:
        result["$defs"] = {name: _strict(part, name, defs) for name, part in defs.items()}
    return result


def _name_of(reference: Any) -> str:
    return str(reference).removeprefix("#/$defs/")


def _strict(node: Any, where: str, defs: Mapping[str, Any]) -> Any:
    if not isinstance(node, Mapping):
        return node
    result = {key: part for key, part in node.items() if key not in _NOTES}
    if "$ref" in result:
        # some backends want a $ref alone, and ignore or refuse what stands beside it
        said = result.pop("description", None)
        return result if said is None else {"description": said, "anyOf": [result]}
    if "oneOf" in result:
        result["anyOf"] = result.pop("oneOf")
    for key in _ONE:
        if key in result:
            result[key] = _strict(result[key], f"{where}[]" if key == "items" else where, defs)
    for key in _MANY:
        if key in result:
            result[key] = [_strict(part, where, defs) for part in result[key]]
    if result.get("type") != "object" and "properties" not in result:
        return result
    if "properties" not in result or "patternProperties" in result:
        raise UsageError(
            f"{where} has keys that are not known beforehand, which a strict schema cannot say.",
            hint="Use a list of objects with a key and a value instead of a dict.",
        )
    needed = node.get("required", ())
    result["properties"] = {
        name: _property(part, f"{where}.{name}", defs, optional=name not in needed)
        for name, part in result["properties"].items()
    }
    result["required"] = list(result["properties"])
    result["additionalProperties"] = False
    return result


def _property(node: Any, where: str, defs: Mapping[str, Any], *, optional: bool) -> Any:
    result = _strict(node, where, defs)
    if not optional or _takes_null(node, defs):
        return result
    said = {key: result[key] for key in ("description",) if key in result}
    bare = {key: part for key, part in result.items() if key not in said}
    branches = bare["anyOf"] if set(bare) == {"anyOf"} else [bare]
    return _MadeNullable({**said, "anyOf": [*branches, {"type": "null"}]})


def _takes_null(node: Any, defs: Mapping[str, Any]) -> bool:
    if not isinstance(node, Mapping):
        return True
    if "$ref" in node:
        return _takes_null(defs.get(_name_of(node["$ref"])), defs)
    if "anyOf" in node or "oneOf" in node:
        return any(
            _takes_null(part, defs) for part in (*node.get("anyOf", ()), *node.get("oneOf", ()))
        )
    if "enum" in node or "const" in node:
        return None in node.get("enum", (node.get("const", 0),))
    return node.get("type", "null") == "null" and "allOf" not in node


def without_made_nulls(value: Any, schema: Mapping[str, Any]) -> Any:
    """``value`` without the nulls that stand for "left out", so that defaults apply.

    ``schema`` is what :func:`strict_schema` made.
    """
    return _undone(value, schema, schema)


def _undone(value: Any, node: Any, root: Mapping[str, Any]) -> Any:
    if not isinstance(node, Mapping):
        return value
    if "$ref" in node:
        return _undone(value, root.get("$defs", {}).get(_name_of(node["$ref"])), root)
    if isinstance(value, list):
        first: list[Any] = node.get("prefixItems", [])
        parts = [*first, *[node.get("items")] * max(0, len(value) - len(first))]
        if "items" in node or first:
            return [_undone(v, p, root) for v, p in zip(value, parts, strict=False)]
    if isinstance(value, dict) and "properties" in node:
        known = node["properties"]
        return {
            key: _undone(part, known.get(key), root)
            for key, part in value.items()
            if not (part is None and isinstance(known.get(key), _MadeNullable))
        }
    for branch in _branches(value, node, root):
        return _undone(value, branch, root)
    return value


def _branches(value: Any, node: Mapping[str, Any], root: Mapping[str, Any]) -> Iterator[Any]:
    """Those of the alternatives that ``value`` fits."""
    import jsonschema

    yield from node.get("allOf", ())
    for branch in node.get("anyOf", ()) if isinstance(value, dict | list) else ():
        whole = {"$defs": root.get("$defs", {}), "allOf": [branch]}
        if jsonschema.Draft202012Validator(whole).is_valid(value):
            yield branch
