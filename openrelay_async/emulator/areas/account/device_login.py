"""Signing in a command line through the dashboard, in the manner of RFC 8628."""

from __future__ import annotations

import attrs

from openrelay_async.emulator.answers import NO_CONTENT, Answer, Refusal, moment, not_found, without_absent
from openrelay_async.emulator.areas.account.founding import open_session
from openrelay_async.emulator.areas.account.storage import (
    DEVICE_LOGINS,
    ORGANIZATIONS,
    SESSIONS,
    USERS,
    DeviceLogin,
)
from openrelay_async.emulator.call import Call
from openrelay_async.emulator.vault import hash_token, new_token

EXPIRES = 600
INTERVAL = 5
"""Seconds between two polls; one that comes earlier is told to slow down."""
_LONGEST_NAME = 255


def start(call: Call) -> Answer:
    name = call.body.text("deviceName").strip()[:_LONGEST_NAME] or "unnamed device"
    device_code = new_token("odc_")
    login = DeviceLogin(
        id=call.new_id("dev_"),
        org_id="",
        device_hash=hash_token(device_code),
        user_code=_free_user_code(call),
        device_name=name,
        client_ip=call.source_ip,
        requested_at=call.now,
    )
    DEVICE_LOGINS.insert(call.database, login)
    page = f"{call.base_url}/device"
    return Answer(
        {
            "deviceCode": device_code,
            "userCode": login.user_code,
            "verificationUri": page,
            "verificationUriComplete": f"{page}?code={login.user_code}",
            "expiresIn": EXPIRES,
            "interval": INTERVAL,
        }
    )


def _free_user_code(call: Call) -> str:
    """Six digits that nobody else is shown at the moment."""
    number = 0
    while True:
        digest = call.database.vault.digest("user code", call.request_id, str(number))
        code = f"{int.from_bytes(digest[:8], 'big') % 10**6:06d}"
        if not any(_is_open(login, call.now) for login in DEVICE_LOGINS.find(call.database, user_code=code)):
            return code
        number += 1


def _is_open(login: DeviceLogin, now: float) -> bool:
    return now < login.requested_at + EXPIRES and login.state in ("pending", "approved")


def poll(call: Call) -> Answer:
    found = DEVICE_LOGINS.find(call.database, device_hash=hash_token(call.body.text("deviceCode")))
    if not found:
        raise Refusal(400, "unknown device code", "invalid_grant")
    login = found[0]
    if login.state == "denied":
        raise Refusal(403, "the login was denied", "access_denied")
    if login.state == "used" or call.now >= login.requested_at + EXPIRES:
        raise Refusal(410, "the device code has expired", "expired_token")
    if login.state == "pending":
        return _keep_waiting(call, login)
    DEVICE_LOGINS.update(call.database, attrs.evolve(login, state="used"))
    user = USERS.get(call.database, login.user_id or "")
    if user is None:
        raise Refusal(410, "the device code has expired", "expired_token")
    token = open_session(call.database, user.id, login.org_id, call.now, device_name=login.device_name)
    (session,) = SESSIONS.find(call.database, token_hash=hash_token(token))
    organization = ORGANIZATIONS.get(call.database, login.org_id)
    return Answer(
        without_absent(
            {
                "token": token,
                "tokenType": "Bearer",
                "sessionId": session.id,
                "userId": user.id,
                "email": user.email,
                "orgId": login.org_id,
                "orgName": organization.name if organization else None,
                "expiresAt": moment(session.expires_at),
            }
        )
    )


def _keep_waiting(call: Call, login: DeviceLogin) -> Answer:
    """Not a refusal: when somebody polled has to be written down."""
    too_soon = login.polled_at is not None and call.now < login.polled_at + INTERVAL
    DEVICE_LOGINS.update(call.database, attrs.evolve(login, polled_at=call.now))
    if too_soon:
        headers = {"Retry-After": str(INTERVAL)}
        return Answer({"error": "poll less often", "code": "slow_down"}, status=429, headers=headers)
    return Answer({"error": "the login is not approved yet", "code": "authorization_pending"}, status=400)


def get_details(call: Call) -> Answer:
    login = _find(call)
    return Answer(
        without_absent(
            {
                "deviceName": login.device_name,
                "clientIp": login.client_ip,
                "requestedAt": moment(login.requested_at),
                "status": login.state,
            }
        )
    )


def approve(call: Call) -> Answer:
    login = _find(call)
    org_id = call.body.text("orgId")
    if org_id not in call.principal.grants:
        raise Refusal(403, "the organization is not one of yours", "FORBIDDEN")
    _require_pending(login)
    approved = attrs.evolve(login, state="approved", user_id=call.principal.user_id, org_id=org_id)
    DEVICE_LOGINS.update(call.database, approved)
    call.audit("cli_session.approved", "device_login", login.id, org_id=org_id)
    return NO_CONTENT


def deny(call: Call) -> Answer:
    login = _find(call)
    _require_pending(login)
    DEVICE_LOGINS.update(call.database, attrs.evolve(login, state="denied"))
    return NO_CONTENT


def _require_pending(login: DeviceLogin) -> None:
    if login.state != "pending":
        raise Refusal(409, f"the login is {login.state} already", "CONFLICT")


def _find(call: Call) -> DeviceLogin:
    found = DEVICE_LOGINS.find(call.database, user_code=call.path["userCode"])
    recent = [login for login in found if call.now < login.requested_at + EXPIRES]
    if not recent:
        raise not_found("device login")
    return recent[-1]


def list_sessions(call: Call) -> Answer:
    found = SESSIONS.find(call.database, user_id=call.principal.user_id)
    sessions: list[dict[str, object]] = []
    for session in found:
        if session.device_name is None:
            continue
        organization = ORGANIZATIONS.get(call.database, session.org_id)
        shown = {
            "id": session.id,
            "orgId": session.org_id,
            "orgName": organization.name if organization else None,
            "deviceName": session.device_name,
            "createdAt": moment(session.created_at),
            "expiresAt": moment(session.expires_at),
            "revokedAt": moment(session.revoked_at) if session.revoked_at is not None else None,
        }
        sessions.append(without_absent(shown))
    return Answer({"sessions": sessions})


def revoke_session(call: Call) -> Answer:
    session = SESSIONS.get(call.database, call.path["id"])
    if session is None or session.user_id != call.principal.user_id or session.device_name is None:
        raise not_found("session")
    if session.revoked_at is None:
        SESSIONS.update(call.database, attrs.evolve(session, revoked_at=call.now))
        call.audit("cli_session.revoked", "session", session.id, org_id=session.org_id)
    return NO_CONTENT


HANDLERS = {
    "startCliLogin": start,
    "pollCliLoginToken": poll,
    "getCliLoginDeviceDetails": get_details,
    "approveCliLogin": approve,
    "denyCliLogin": deny,
    "listCliSessions": list_sessions,
    "revokeCliSession": revoke_session,
}
