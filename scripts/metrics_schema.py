"""Write docs/metrics.schema.json, the JSON Schema of metrics.json, from the types of a report.

python scripts/metrics_schema.py > docs/metrics.schema.json
"""

from __future__ import annotations

import dataclasses
import json
import re
import types
from typing import Any, Union, get_args, get_origin

from histocnn.metrics.plain import hints_of
from histocnn.metrics.report import SCHEMA_VERSION, Report

PLAIN = {int: "integer", float: "number", str: "string", type(None): "null"}


def schema() -> dict[str, Any]:
    """The schema of a report, with a definition for each of its sections."""
    definitions: dict[str, Any] = {}
    of_kind(Report, definitions)
    whole = definitions.pop("Report")
    whole["properties"]["schema_version"] = {"const": SCHEMA_VERSION}
    whole["required"] = sorted({*whole["required"], "schema_version", "purpose", "versions"})
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "metrics.json of histocnn train and histocnn evaluate",
        **whole,
        "$defs": definitions,
    }


def of_kind(kind: Any, definitions: dict[str, Any]) -> dict[str, Any]:
    """The schema of one type; that of a dataclass goes into the definitions."""
    if kind is Any:
        return {}
    if dataclasses.is_dataclass(kind) and isinstance(kind, type):
        if kind.__name__ not in definitions:
            definitions[kind.__name__] = {}
            definitions[kind.__name__] = of_dataclass(kind, definitions)
        return {"$ref": f"#/$defs/{kind.__name__}"}
    origin, arguments = get_origin(kind), get_args(kind)
    if origin in (types.UnionType, Union):
        parts = [of_kind(part, definitions) for part in arguments]
        if all(set(part) == {"type"} for part in parts):
            return {"type": [part["type"] for part in parts]}
        return {"anyOf": parts}
    if origin is tuple:
        return {"type": "array", "items": of_kind(arguments[0], definitions)}
    if origin is not None:
        return {"type": "object", "additionalProperties": of_kind(arguments[1], definitions)}
    return {"type": PLAIN[kind]}


def of_dataclass(kind: type, definitions: dict[str, Any]) -> dict[str, Any]:
    """The schema of a dataclass, described by its docstring."""
    text = kind.__doc__ or ""
    lines = re.findall(r"^ {8}(\w+): (.+?)(?=\n {8}\w+: |\n\n|\n {4}\S|\n? *\Z)", text, re.M | re.S)
    said = {name: " ".join(line.split()) for name, line in lines}
    properties = {
        name: of_kind(hint, definitions) | ({"description": said[name]} if name in said else {})
        for name, hint in hints_of(kind).items()
    }
    needed = [
        field.name
        for field in dataclasses.fields(kind)
        if field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
    ]
    return {
        "type": "object",
        "description": " ".join(text.partition("\n\n")[0].split()),
        "properties": properties,
        "required": needed,
        "additionalProperties": False,
    }


if __name__ == "__main__":
    print(json.dumps(schema(), indent=2, ensure_ascii=False))
