"""What the emulator knows of an operation: one row of the generated route table."""

from __future__ import annotations

from typing import NamedTuple


class Operation(NamedTuple):
    """One operation of the description, reduced to what answering it needs.

    The row is data: the generator writes it, `routing` finds it by method and path, `authentication` reads
    `security` and `scope`, `validation` reads `query` and `body`.
    """

    id: str
    method: str
    path: str
    call: str
    """The public name: `vms.create` is `client.vms.create`."""
    generations: str = "both"
    """`2026-07`, `2026-10` or `both`."""
    security: str = "key"
    """`key` (a key or a session), `session`, `optional` or `open`."""
    scope: str | None = None
    permission: str | None = None
    inference: bool = False
    """Served by the inference host: errors have the shape `InferenceError`."""
    query: tuple[tuple[str, str, bool], ...] = ()
    """(name, type, required) of every query parameter; types as in `validation`."""
    body: str | None = None
    """Type of the body, as in `validation`."""
    body_required: bool = False
    media: str = "application/json"
    """Media type of the body."""

    def serves(self, generation: str) -> bool:
        """Does a service of `generation` have this operation? (`both` has every one.)"""
        return "both" in (generation, self.generations) or generation == self.generations


class Shape(NamedTuple):
    """An object of the description: its properties and which of them must be there."""

    properties: dict[str, str]
    required: tuple[str, ...] = ()
    required_in: dict[str, tuple[str, ...]] = {}  # noqa: RUF012 - a NamedTuple field; never written to
