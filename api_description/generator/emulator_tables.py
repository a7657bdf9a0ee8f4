"""The emulator's route and schema tables, rendered from the description.

Types are written in a small language that both a reader and `openrelay_async.emulator.validation` understand:
`string`, `integer`, `number`, `boolean`, `date-time`, `date`, `uuid`, `binary`, `any`; `[T]` is a list and
`{T}` a map of T; `=a|b` an enumeration; `#Name` an object of the schema table; a trailing `?` allows null.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from .refuse import DescriptionError, point

Node = Mapping[str, Any]

FOLDER = "openrelay_async/emulator/generated"
METHODS = ("get", "post", "put", "patch", "delete")
# What the emulator checks of a `format`; the width of integers is checked for all of them.
FORMATS = ("date-time", "date", "uuid", "binary")


def render_emulator_tables(description: Node, banner: str) -> dict[str, str]:
    """Return the generated modules of the emulator: path in the repository → source.

    Raises:
        DescriptionError: the description says something that the tables cannot express.
    """
    operations = sorted(_operations(description), key=lambda item: (item[0], METHODS.index(item[1])))
    rows = [_render_operation(path, method, node) for path, method, node in operations]
    wanted = _reachable(description, [node for _, _, node in operations])
    schemas = description["components"]["schemas"]
    shapes = [f"    {name!r}: {_render_shape(schemas[name], name)},\n" for name in sorted(wanted)]
    return {
        f"{FOLDER}/__init__.py": _spell_head("Tables of the emulator.", banner),
        f"{FOLDER}/routes.py": _spell_head("Every operation that the service has.", banner)
        + "from openrelay_async.emulator.operations import Operation\n\n"
        + "# fmt: off\nOPERATIONS: tuple[Operation, ...] = (\n"  # one line each: a table
        + "".join(rows)
        + ")\n# fmt: on\n",
        f"{FOLDER}/schemas.py": _spell_head("Every object that a request may carry.", banner)
        + "from openrelay_async.emulator.operations import Shape\n\n"
        + "SHAPES: dict[str, Shape] = {\n"
        + "".join(shapes)
        + "}\n",
    }


def _spell_head(title: str, banner: str) -> str:
    return f'"""{title}\n\n{banner}\n"""\n\n'


def _operations(description: Node) -> Iterator[tuple[str, str, Node]]:
    for path, item in description["paths"].items():
        for method, node in item.items():
            if method not in METHODS:
                raise DescriptionError(point("/paths", path, method), "not an operation")
            yield path, method, node


def _render_operation(path: str, method: str, node: Node) -> str:
    facts = node["x-openrelay"]
    generations = facts["generations"]
    first = (node["operationId"], method.upper(), path, f"{facts['resource']}.{facts['method']}")
    fields: dict[str, object] = {}
    if len(generations) == 1:
        fields["generations"] = generations[0]
    security = _security(node)
    if security != "key":
        fields["security"] = security
    for name in ("scope", "permission"):
        if facts.get(name):
            fields[name] = facts[name]
    if facts.get("host") == "inference":
        fields["inference"] = True
    query = tuple(
        (p["name"], _type_text(p["schema"], f"{node['operationId']}/{p['name']}"), bool(p.get("required")))
        for p in node.get("parameters", ())
        if p["in"] == "query"
    )
    if query:
        fields["query"] = query
    body = node.get("requestBody")
    if body:
        ((media, content),) = body["content"].items()
        fields["body"] = _type_text(content["schema"], node["operationId"])
        fields["body_required"] = bool(body.get("required"))
        if media != "application/json":
            fields["media"] = media
    arguments = [repr(value) for value in first] + [f"{name}={value!r}" for name, value in fields.items()]
    return f"    Operation({', '.join(arguments)}),\n"


def _security(node: Node) -> str:
    security = node.get("security", [])
    if node["x-openrelay"].get("session_only"):
        return "session"
    if not security:
        return "open"
    return "optional" if {} in security else "key"


def _render_shape(schema: Node, name: str) -> str:
    if schema.get("type") != "object":
        raise DescriptionError(point("/components/schemas", name), "a body that is not an object")
    properties = {
        key: _type_text(value, f"{name}.{key}") for key, value in schema.get("properties", {}).items()
    }
    arguments = [repr(properties)]
    required = tuple(schema.get("required", ()))
    required_in = {generation: tuple(names) for generation, names in schema.get("x-required-in", {}).items()}
    if required or required_in:
        arguments.append(repr(required))
    if required_in:
        arguments.append(repr(required_in))
    return f"Shape({', '.join(arguments)})"


def _type_text(schema: Node, where: str) -> str:
    if "$ref" in schema:
        return "#" + schema["$ref"].removeprefix("#/components/schemas/")
    kinds = schema.get("type", "any")
    nullable = "?" if isinstance(kinds, list) and "null" in kinds else ""
    kind = next((k for k in kinds if k != "null"), "any") if isinstance(kinds, list) else kinds
    if "enum" in schema:
        if any(not isinstance(value, str) or "|" in value for value in schema["enum"]):
            raise DescriptionError(where, "an enumeration of something else than plain texts")
        return "=" + "|".join(schema["enum"]) + nullable
    if kind == "array":
        return f"[{_type_text(schema['items'], where)}]" + nullable
    if kind == "object":
        if "properties" in schema:
            raise DescriptionError(where, "an object without a name")
        values = schema.get("additionalProperties", {})
        return "{" + (_type_text(values, where) if isinstance(values, dict) else "any") + "}" + nullable
    if kind not in ("string", "integer", "number", "boolean", "any"):
        raise DescriptionError(where, f"type {kind!r}")
    form = schema.get("format")
    return (form if form in FORMATS else kind) + nullable


def _reachable(description: Node, operations: list[Node]) -> set[str]:
    found: set[str] = set()
    waiting: list[Any] = [node.get("requestBody", {}) for node in operations]
    while waiting:
        node = waiting.pop()
        if isinstance(node, dict):
            name = str(node.get("$ref", "")).removeprefix("#/components/schemas/")
            if name and name not in found:
                found.add(name)
                waiting.append(description["components"]["schemas"][name])
            waiting.extend(node.values())
        elif isinstance(node, list):
            waiting.extend(node)
    return found
