"""`client.access`: permissions, and whether this key may do something, before it is tried."""

from __future__ import annotations

from attrs import frozen

from openrelay_async.generated.models.account import Whoami
from openrelay_async.generated.operation_rows.account import WHOAMI
from openrelay_async.generated.resources.access import Access as GeneratedAccess
from openrelay_async.operation import Operation
from openrelay_async.scope_rules import SESSION_ONLY, allows, describe_needs
from openrelay_async.scopes import find_operation


@frozen
class AccessExplanation:
    """Whether a credential may do an operation, and why."""

    operation: str
    """Operation id, such as `createVm`."""
    allowed: bool | None
    """`None`: what is known does not say; try it."""
    reason: str
    scope: str | None
    """The scope that the operation needs."""
    permission: str | None
    """The permission that it needs, generation 2026-10."""
    session_only: bool
    """Whether only a dashboard session may do it."""
    scopes: tuple[str, ...]
    """What the credential has."""
    permissions: tuple[str, ...]

    def __bool__(self) -> bool:
        """`if await client.access.explain(…)`: whether it may."""
        return self.allowed is True


class Access(GeneratedAccess):
    """Permissions: roles' catalog, policies, what a principal may do, and settings for keys."""

    __slots__ = ()

    async def explain(self, operation: str, *, timeout: float | None = None) -> AccessExplanation:
        """Say whether the client's key may do an operation, what it needs and what the key has.

        Asks whoami, and changes nothing. The service decides by more than scopes (policies, restrictions of
        the key), so a yes is what the scopes say.

        Args:
            operation: id (`createVm`) or method (`vms.create`).
            timeout: limit of the whole call in seconds, retries included; by default the client's.

        Raises:
            ValueError: there is no such operation.
        """
        wanted = find_operation(operation)
        me = await self._calls.call(WHOAMI, Whoami, timeout=timeout)
        allowed, reason = _judge(wanted, me)
        return AccessExplanation(
            operation=wanted.id,
            allowed=allowed,
            reason=reason,
            scope=wanted.scope,
            permission=wanted.permission,
            session_only=wanted.session_only,
            scopes=tuple(me.scopes),
            permissions=tuple(me.permissions),
        )


def _judge(operation: Operation, me: Whoami) -> tuple[bool | None, str]:
    is_key = me.principal_type == "api_key"
    who = "the key" if is_key else "the session"
    if operation.authentication == "none":
        return True, "it needs no credential"
    if operation.session_only:
        return (False, SESSION_ONLY) if is_key else (None, "a session may, if its role allows it")
    if operation.scope is not None and allows(me.scopes, operation.scope):
        return True, f"{who} has the scope {operation.scope}"
    if operation.permission is not None and operation.permission in me.permissions:
        return True, f"{who} has the permission {operation.permission}"
    if operation.scope is None and operation.permission is None:
        return None, "what it needs is not documented"
    if operation.scope is None and not me.permissions:
        return None, f"it needs the permission {operation.permission}; {who} tells only its scopes"
    needs = describe_needs(operation.scope, operation.permission)
    has = ", ".join(me.scopes or me.permissions) or "none"
    return False, f"it needs {needs}; {who} has {has}"
