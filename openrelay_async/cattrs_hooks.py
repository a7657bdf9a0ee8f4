"""The SDK's models inside classes of your own, read and written by cattrs.

    @attrs.frozen
    class Inventory:
        vms: list[VmSummary]
        taken_at: datetime

    inventory = make_converter().structure({"vms": rows, "taken_at": "2026-10-31T12:00:00Z"}, Inventory)

The client does not need cattrs: a model's `Reader` does what a structure hook does, quicker than cattrs can
by going through lists column by column, and importing cattrs would cost a process 25 ms before its first
answer. Here the same readers are hooks, so that a model is read in one way wherever it stands.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime
from typing import Any, TypeVar

from cattrs import Converter

from openrelay_async.decoded_values import read_date, read_time
from openrelay_async.model import ApiModel
from openrelay_async.redaction import Secret
from openrelay_async.structuring import structure
from openrelay_async.wire import encode_date, encode_time

M = TypeVar("M", bound=ApiModel)


def make_converter() -> Converter:
    """Return a cattrs converter that knows the SDK's models, times, dates and secrets."""
    converter = Converter()
    register_models(converter)
    return converter


def register_models(converter: Converter) -> None:
    """Teach a cattrs converter the SDK's models, times, dates and secrets.

    Structuring is as strict as the client's and raises `StructureError`. Unstructuring writes wire names;
    secrets come out as their masks: `to_wire(reveal=True)` reveals a model's.
    """
    converter.register_structure_hook_factory(_is_model, _make_structure_hook)
    converter.register_unstructure_hook_func(_is_model, _unstructure_model)
    converter.register_structure_hook(Secret, lambda value, _: Secret(value))
    converter.register_unstructure_hook(Secret, repr)
    converter.register_structure_hook(datetime, lambda value, _: _keep(value, datetime) or read_time(value))
    converter.register_unstructure_hook(datetime, lambda value: encode_time(value, "time"))
    converter.register_structure_hook(date, lambda value, _: _keep(value, date) or read_date(value))
    converter.register_unstructure_hook(date, lambda value: encode_date(value, "date"))


def _is_model(kind: object) -> bool:
    return isinstance(kind, type) and issubclass(kind, ApiModel)


def _make_structure_hook(model: type[M]) -> Callable[[Any, Any], M]:
    return lambda raw, _: raw if isinstance(raw, model) else structure(raw, model)


def _unstructure_model(model: ApiModel) -> dict[str, object]:
    return model.to_wire()


def _keep(value: object, kind: type[object]) -> Any:
    """Return a value that is what it shall become."""
    return value if isinstance(value, kind) else None
