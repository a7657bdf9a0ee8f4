"""What a 401 or a 403 means: what the operation needs, and what the credential is and has. Pure text."""

from __future__ import annotations

from urllib.parse import unquote

from openrelay_async.errors import PermissionDenied, Unauthenticated
from openrelay_async.key_access import KeyAccess
from openrelay_async.messages import HttpRequest
from openrelay_async.operation import Operation
from openrelay_async.redaction import Secret
from openrelay_async.scope_rules import SESSION_ONLY, allows, describe_needs

_LONGEST_REASON = 400

_WHY_REFUSED = {
    "REVOKED_API_KEY": "was revoked",
    "EXPIRED_API_KEY": "has expired",
}


def explain_unauthenticated(error: Unauthenticated, operation: Operation, key: Secret | None) -> None:
    """Say in a 401 which credential was refused, and whether any key would do."""
    if key is None:
        reason = "no API key was sent"
    elif error.code == "SESSION_EXPIRED":
        reason = f"the session {key} has expired: sign in again"
    elif operation.session_only:
        reason = SESSION_ONLY
    else:
        reason = f"the key {key} {_WHY_REFUSED.get(error.code or '', 'was refused')}"
    _explain(error, reason)


def explain_forbidden(error: PermissionDenied, request: HttpRequest, access: KeyAccess | None) -> None:
    """Say in a 403 what was needed and what the credential has.

    Args:
        access: what whoami said of the credential; `None` if it could not be asked.
    """
    operation = request.operation
    error._with(
        permission=error.permission or operation.permission,
        scope=operation.scope,
        granted=() if access is None else access.scopes,
    )
    if operation.session_only and (access is None or access.is_key):
        _explain(error, SESSION_ONLY)
        return
    wanted_org = _organization_of(request)
    if access is not None and wanted_org is not None and access.organization_id not in (None, wanted_org):
        _explain(error, f"{_who(access)} belongs to organization {access.organization_id}, not {wanted_org}")
        return
    _explain(error, "; ".join(part for part in (_needs(error, access), _has(access)) if part))


def _needs(error: PermissionDenied, access: KeyAccess | None) -> str:
    """Return what would do: the permission is the one that the service names, if it names one."""
    if error.scope is not None and access and allows(access.scopes, error.scope):
        return ""
    needs = describe_needs(error.scope, error.permission)
    return f"it needs {needs}" if needs else ""


def _has(access: KeyAccess | None) -> str:
    return "" if access is None else access.describe_grants()


def _who(access: KeyAccess) -> str:
    return "the key" if access.is_key else "the session"


def _organization_of(request: HttpRequest) -> str | None:
    """Return the organization in a request's path, if it has one."""
    for part, value in zip(request.operation.path.split("/"), request.path.split("/"), strict=False):
        if part == "{orgId}":
            return unquote(value)
    return None


def _explain(error: Unauthenticated | PermissionDenied, reason: str) -> None:
    if reason not in error.message:
        error._with(explanation=" ".join(reason.split())[:_LONGEST_REASON])
