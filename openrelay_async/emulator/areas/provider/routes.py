"""Providers: apply, make tokens, look at nodes and earnings."""

from __future__ import annotations

import attrs

from openrelay_async.emulator.answers import (
    NO_CONTENT,
    Answer,
    Refusal,
    bad_request,
    conflict,
    moment,
    rfc3339,
    without_absent,
)
from openrelay_async.emulator.areas.provider import rules
from openrelay_async.emulator.areas.provider.storage import (
    APPLICATIONS,
    PROVIDER_NODES,
    PROVISIONING_TOKENS,
    Application,
    ProviderNode,
    ProvisioningToken,
)
from openrelay_async.emulator.call import Call
from openrelay_async.emulator.validation import parse_time
from openrelay_async.emulator.vault import hash_token, new_token

_COMMISSION = 20


def get_status(call: Call) -> Answer:
    application = APPLICATIONS.get(call.database, call.org_id)
    return Answer(
        {
            "isProvider": rules.is_provider(application, call.now),
            "applicationStatus": rules.application_status(application, call.now),
            "applicationSubmittedAt": moment(application.submitted_at) if application else None,
        }
    )


def apply(call: Call) -> Answer:
    note = call.body.text("note")
    if APPLICATIONS.get(call.database, call.org_id) is not None:
        raise conflict("the organization has applied already", "ALREADY_APPLIED")
    APPLICATIONS.insert(call.database, Application(call.org_id, call.org_id, note, call.now))
    call.audit("provider.applied", "organization", call.org_id)
    return NO_CONTENT


def _require_provider(call: Call) -> None:
    if not rules.is_provider(APPLICATIONS.get(call.database, call.org_id), call.now):
        raise Refusal(403, "the organization is no provider", "NOT_A_PROVIDER", deniedBy="platform")


def create_token(call: Call) -> Answer:
    body = call.body
    hours = body.optional_integer("expiresInHours")
    if hours is not None and not 1 <= hours <= rules.LONGEST_TOKEN:
        raise bad_request("expiresInHours", f"must be from 1 to {rules.LONGEST_TOKEN}")
    field = "maxEnrollments" if "maxEnrollments" in body else "maxNodes"
    most = body.bounded(field, 1, least=1, most=rules.MOST_NODES)
    notice = body.optional_integer("noticeSeconds")
    if notice is not None and not 0 <= notice <= 86400:
        raise bad_request("noticeSeconds", "must be from 0 to 86400")
    _require_provider(call)
    token = new_token("orp_")
    record = ProvisioningToken(
        id=call.new_id("ptk_"),
        org_id=call.org_id,
        token_hash=hash_token(token),
        prefix=token[:10],
        created_at=call.now,
        max_nodes=most,
        node_type=body.text("class") or "persistent",
        name=body.optional_text("name") or None,
        expires_at=None if hours is None else call.now + hours * 3600,
        notice_seconds=notice,
    )
    PROVISIONING_TOKENS.insert(call.database, record)
    call.audit("provisioning_token.created", "provisioning_token", record.id)
    shown = without_absent(_common(record)) | {"name": record.name, "expiresAt": rfc3339(record.expires_at)}
    return Answer({**shown, "token": token, "warning": "The token is shown once."})


def list_tokens(call: Call) -> Answer:
    found = PROVISIONING_TOKENS.find(call.database, org_id=call.org_id)
    return Answer([_render_token(token, call.now) for token in found])


def revoke_token(call: Call) -> Answer:
    token = call.require(PROVISIONING_TOKENS, call.path["id"], "provisioning token")
    if token.revoked_at is None:
        PROVISIONING_TOKENS.update(call.database, attrs.evolve(token, revoked_at=call.now))
        call.audit("provisioning_token.revoked", "provisioning_token", token.id)
    return NO_CONTENT


def _common(token: ProvisioningToken) -> dict[str, object]:
    return {
        "id": token.id,
        "tokenPrefix": token.prefix,
        "maxNodes": token.max_nodes,
        "maxEnrollments": token.max_nodes,
        "nodeType": token.node_type,
        "noticeSeconds": token.notice_seconds,
    }


def _render_token(token: ProvisioningToken, now: float) -> dict[str, object]:
    return without_absent(_common(token)) | {
        "name": token.name,
        "createdAt": moment(token.created_at),
        "expiresAt": rfc3339(token.expires_at),
        "revokedAt": rfc3339(token.revoked_at),
        "usedAt": rfc3339(token.used_at),
        "lastUsedAt": rfc3339(token.used_at),
        "usedByNodeId": token.used_by[-1] if token.used_by else None,
        "usedCount": len(token.used_by),
        "enrollmentCount": len(token.used_by),
        "status": rules.token_status(token, now),
    }


def get_bootstrap_script(call: Call) -> Answer:
    """With a token that is good, or asked for with a key; the script says that it installs nothing."""
    token = call.query.optional_text("token")
    if token:
        _check_token(call, token, "persistent")
    elif not call.principal.grants:
        raise Refusal(401, "send a token or an API key", "UNAUTHORIZED")
    return Answer(
        rules.write_script(call.base_url, "persistent").encode(), content_type="text/plain; charset=utf-8"
    )


def get_interruptible_script(call: Call) -> Answer:
    _check_token(call, call.query.text("token"), "interruptible")
    return Answer(
        rules.write_script(call.base_url, "interruptible").encode(), content_type="text/plain; charset=utf-8"
    )


def _check_token(call: Call, token: str, kind: str) -> None:
    found = PROVISIONING_TOKENS.find(call.database, token_hash=hash_token(token))
    if not found or rules.token_status(found[0], call.now) != "active" or found[0].node_type != kind:
        raise Refusal(401, f"that is no good token for a {kind} node", "UNAUTHORIZED")


def list_nodes(call: Call) -> Answer:
    query = call.query
    kind, status = query.optional_text("class"), query.optional_text("status")
    shown: list[dict[str, object]] = []
    for node in PROVIDER_NODES.find(call.database, org_id=call.org_id):
        state = rules.node_status(node, call.now)
        if state == "removed" and status != "removed" and not query.boolean("includeRemoved"):
            continue
        if kind in (None, node.node_type) and status in (None, state):
            shown.append(_render_node(call, node))
    return Answer(shown)


def update_node(call: Call) -> Answer:
    node = _find_node(call)
    status = call.body.text("status")
    if rules.node_status(node, call.now) == "removed":
        raise conflict("the node is removed", "INVALID_NODE_STATE")
    changed = attrs.evolve(node, status=status)
    return Answer(_render_node(call, PROVIDER_NODES.update(call.database, changed)))


def offboard_node(call: Call) -> Answer:
    node, body = _find_node(call), call.body
    notice, text = body.optional_integer("noticeSeconds"), body.optional_text("terminateAt")
    if notice is not None and not 0 <= notice <= 30 * 86400:
        raise bad_request("noticeSeconds", "must be from 0 to 2592000")
    terminate_at = parse_time(text, "terminateAt") if text else call.now + (notice or 0)
    if terminate_at < call.now:
        raise bad_request("terminateAt", "is past")
    changed = attrs.evolve(node, status="draining", notice_seconds=notice, terminate_at=terminate_at)
    return Answer(_render_node(call, PROVIDER_NODES.update(call.database, changed)))


def _find_node(call: Call) -> ProviderNode:
    return call.require(PROVIDER_NODES, call.path["nodeId"], "node")


def _render_node(call: Call, node: ProviderNode) -> dict[str, object]:
    kind = call.settings.fleet.kind(node.gpu_model_id)
    gpus = {
        "gpuName": kind.name if kind else node.gpu_model_id,
        "quantity": node.gpus,
        "vramGb": kind.vram_gb if kind else 0,
    }
    return {
        "id": node.id,
        "hostname": node.hostname,
        "status": rules.node_status(node, call.now),
        "nodeType": node.node_type,
        "gpus": [gpus],
        "cpuCores": node.gpus * 16,
        "cpuModel": None,
        "ramGb": node.gpus * 64,
        "locationCity": None,
        "locationCountry": None,
        "tdxEnabled": False,
        "noticeSeconds": node.notice_seconds,
        "terminateAt": rfc3339(node.terminate_at),
        "createdAt": moment(node.created_at),
    }


def get_stats(call: Call) -> Answer:
    states = [
        rules.node_status(node, call.now) for node in PROVIDER_NODES.find(call.database, org_id=call.org_id)
    ]
    left = [state for state in states if state != "removed"]
    tokens = PROVISIONING_TOKENS.find(call.database, org_id=call.org_id)
    return Answer(
        {
            "totalNodes": len(left),
            "onlineNodes": left.count("online"),
            "offlineNodes": len(left) - left.count("online"),
            "activeTokens": sum(rules.token_status(token, call.now) == "active" for token in tokens),
        }
    )


def get_earnings(call: Call) -> Answer:
    """Nobody rents from an emulated provider: there are nodes, and they have earned nothing."""
    nodes = PROVIDER_NODES.find(call.database, org_id=call.org_id)
    return Answer(
        {
            "availableForPayoutCents": 0,
            "pendingEarningsCents": 0,
            "totalEarningsCents": 0,
            "totalPaidOutCents": 0,
            "currentMonthEarningsCents": 0,
            "currentMonthHours": 0,
            "totalHours": 0,
            "commissionPercent": _COMMISSION,
            "byGpuModel": [],
            "byNode": [
                {
                    "nodeId": node.id,
                    "hostname": node.hostname,
                    "gpuCount": node.gpus,
                    "earningsCents": 0,
                    "hours": 0,
                }
                for node in nodes
            ],
            "recentPayouts": [],
        }
    )


HANDLERS = {
    "getProviderStatus": get_status,
    "applyForProvider": apply,
    "generateProvisioningToken": create_token,
    "listProvisioningTokens": list_tokens,
    "revokeProvisioningToken": revoke_token,
    "providerBootstrap": get_bootstrap_script,
    "interruptibleBootstrap": get_interruptible_script,
    "listProviderNodes": list_nodes,
    "updateProviderNode": update_node,
    "offboardProviderNode": offboard_node,
    "getProviderStats": get_stats,
    "getProviderEarnings": get_earnings,
}
