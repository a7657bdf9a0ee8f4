"""Which scopes a job needs: the smallest key for it.

A scope is `area:read` or `area:write`, or an area alone such as `inference`; `write` includes `read` of the
same area. What an operation needs comes from the API description (`openrelay_async.operations`).
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from openrelay_async.generated.operations import OPERATIONS
from openrelay_async.operation import Operation
from openrelay_async.scope_rules import allows


def find_operation(name: str) -> Operation:
    """Return an operation by its id (`createVm`) or by the client's method (`vms.create`).

    Raises:
        ValueError: there is none; the message names what is similar.
    """
    if name in OPERATIONS:
        return OPERATIONS[name]
    by_method = {f"{each.resource}.{each.method}": each for each in OPERATIONS.values()}
    if name in by_method:
        return by_method[name]
    similar = difflib.get_close_matches(name, [*by_method, *OPERATIONS], n=3)
    hint = f"; similar: {', '.join(similar)}" if similar else ""
    raise ValueError(f"there is no operation {name!r}{hint}")


def scopes_for(operations: Iterable[str]) -> list[str]:
    """Return the smallest list of scopes with which a key may do all of `operations`.

        scopes_for(["vms.create", "vms.list", "billing.get_balance"])  # ['billing:read', 'vms:write']

    Args:
        operations: ids (`createVm`) or methods (`vms.create`).

    Raises:
        ValueError: a name that is no operation, or one that no API key may do, whatever its scopes.
    """
    if isinstance(operations, str):
        raise TypeError("operations must be a list of names, not one text")
    found = [find_operation(name) for name in operations]
    beyond = sorted({f"{each.resource}.{each.method}" for each in found if each.session_only})
    if beyond:
        raise ValueError(f"no API key may do {', '.join(beyond)}: only a dashboard session")
    needed = {each.scope for each in found if each.scope is not None}
    return sorted(scope for scope in needed if not allows(needed - {scope}, scope))
