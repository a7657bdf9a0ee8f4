"""What the fields of a fault may be: one table for `Fault` and for what the control endpoints read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from difflib import get_close_matches
from functools import partial

from openrelay_async.emulator.arguments import (
    find_choice_problem,
    find_integer_problem,
    find_number_problem,
    find_text_problem,
    find_time_problem,
)

ANY_OPERATION = "*"


def find_operation_problem(value: object) -> str | None:
    """What keeps a value from being the id of an operation, or `*`; with the id that was meant, if any."""
    if value == ANY_OPERATION:
        return None
    if not isinstance(value, str):
        return f"must be the id of an operation, such as createVm, or *, not {type(value).__name__}"
    calls = _list_operations()
    if value in calls.values():
        return None
    names = {operation.lower(): operation for operation in calls.values()}
    names |= {call.lower(): operation for call, operation in calls.items()}
    nearest = get_close_matches(value.lower()[:100], names, n=1)
    # What resembles nothing is not shown: it may be a key that went astray.
    meant = f"; did you mean {names[nearest[0]]}?" if nearest else ""
    shown = f", not {value!r}" if nearest else ""
    return f"must be the id of an operation, such as createVm, or *{shown}{meant}"


def _list_operations() -> Mapping[str, str]:
    """Public name → id of every operation."""
    # Here, because the tables take 20 ms to load; an emulator that starts loads them anyway.
    from openrelay_async.emulator.generated.routes import OPERATIONS
    from openrelay_async.emulator.modelled import extra_operations

    return {operation.call: operation.id for operation in (*OPERATIONS, *extra_operations())}


def _find_retry_after_problem(value: object) -> str | None:
    if not isinstance(value, str):
        return find_number_problem(value, least=0)
    return None if value.isprintable() else "must be text that a header can have"


_Check = Callable[[object], str | None]


def _optional(check: _Check) -> _Check:
    return lambda value: None if value is None else check(value)


_CHECKS: Mapping[str, _Check] = {
    "operation": find_operation_problem,
    "call": _optional(partial(find_integer_problem, least=1)),
    "times": _optional(partial(find_integer_problem, least=1)),
    "status": _optional(partial(find_integer_problem, least=300, most=599)),
    "code": _optional(find_text_problem),
    "message": _optional(find_text_problem),
    "retry_after": _optional(_find_retry_after_problem),
    "delay": find_time_problem,
    "reset": _optional(partial(find_choice_problem, choices=("before", "after"))),
    "body": _optional(partial(find_choice_problem, choices=("truncated", "garbage", "slow"))),
}


def find_fault_problem(name: str, value: object) -> str | None:
    """What is wrong with a field of a fault."""
    check = _CHECKS.get(name)
    return f"is no field of a fault: there are {', '.join(_CHECKS)}" if check is None else check(value)


def find_missing_status(fields: Mapping[str, object]) -> str | None:
    """The first field that says something about an answer which no `status` asks for."""
    if fields.get("status") is not None:
        return None
    return next((name for name in ("code", "message", "retry_after") if fields.get(name) is not None), None)
