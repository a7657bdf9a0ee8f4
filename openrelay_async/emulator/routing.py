"""Finding the operation of a request."""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import unquote

import attrs

from openrelay_async.emulator.answers import Refusal, not_found
from openrelay_async.emulator.operations import Operation


@attrs.define
class _Node:
    fixed: dict[str, _Node] = attrs.field(factory=dict)
    parameter: _Node | None = None
    operations: dict[str, Operation] = attrs.field(factory=dict)


class Router:
    """Operations by method and path; a fixed segment wins over a parameter."""

    def __init__(self, operations: Iterable[Operation]) -> None:
        self._root = _Node()
        for operation in operations:
            node = self._root
            for segment in operation.path.split("/")[1:]:
                if segment.startswith("{"):
                    node.parameter = node.parameter or _Node()
                    node = node.parameter
                else:
                    node = node.fixed.setdefault(segment, _Node())
            node.operations[operation.method] = operation

    def find(self, method: str, raw_path: str) -> tuple[Operation, dict[str, str]]:
        """The operation and its path parameters, percent-decoded.

        Raises:
            Refusal: 404 for an unknown path, 405 for a known one with another method.
        """
        found = self._walk(self._root, raw_path.split("/")[1:], ())
        if found is None:
            raise not_found("path")
        node, values = found
        operation = node.operations.get(method)
        if operation is None:
            allowed = ", ".join(sorted(node.operations))
            raise Refusal(405, f"use {allowed}", "METHOD_NOT_ALLOWED", headers={"Allow": allowed})
        names = [part[1:-1] for part in operation.path.split("/") if part.startswith("{")]
        return operation, dict(zip(names, values, strict=True))

    def _walk(
        self, node: _Node, segments: list[str], values: tuple[str, ...]
    ) -> tuple[_Node, tuple[str, ...]] | None:
        if not segments:
            return (node, values) if node.operations else None
        segment, rest = segments[0], segments[1:]
        fixed = node.fixed.get(segment)
        if fixed is not None:
            found = self._walk(fixed, rest, values)
            if found is not None:
                return found
        if node.parameter is None or not segment:
            return None
        try:
            value = unquote(segment, errors="strict")
        except UnicodeDecodeError:
            return None
        return self._walk(node.parameter, rest, (*values, value))
