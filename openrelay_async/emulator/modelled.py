"""What is modelled: operation → handler, and the tables of all areas. The one place that knows every area."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from openrelay_async.emulator import events, idempotency, metering
from openrelay_async.emulator.answers import Answer
from openrelay_async.emulator.areas.account import device_login
from openrelay_async.emulator.areas.account import routes as account
from openrelay_async.emulator.areas.account.storage import (
    DEVICE_LOGINS,
    MEMBERSHIPS,
    ORGANIZATIONS,
    SESSIONS,
    USERS,
)
from openrelay_async.emulator.areas.api_keys import editing
from openrelay_async.emulator.areas.api_keys import routes as api_keys
from openrelay_async.emulator.areas.api_keys.storage import API_KEYS
from openrelay_async.emulator.areas.audit import routes as audit
from openrelay_async.emulator.areas.audit.storage import AUDIT_EVENTS
from openrelay_async.emulator.areas.batches import routes as batches
from openrelay_async.emulator.areas.batches.storage import BATCHES
from openrelay_async.emulator.areas.billing import routes as billing
from openrelay_async.emulator.areas.billing.storage import (
    BILLING_SETTINGS,
    CARDS,
    SETUP_INTENTS,
    SPEND_LIMIT_REQUESTS,
    TRANSACTIONS,
)
from openrelay_async.emulator.areas.catalog import routes as catalog
from openrelay_async.emulator.areas.catalog.storage import TABLES as ALLOCATION_TABLES
from openrelay_async.emulator.areas.clusters import routes as clusters
from openrelay_async.emulator.areas.clusters.storage import CLUSTERS
from openrelay_async.emulator.areas.files import routes as files
from openrelay_async.emulator.areas.files.storage import FILES
from openrelay_async.emulator.areas.files.storage import TABLES as FILE_TABLES
from openrelay_async.emulator.areas.kubernetes import pool_routes as kubernetes_pools
from openrelay_async.emulator.areas.kubernetes import routes as kubernetes
from openrelay_async.emulator.areas.kubernetes.storage import KUBERNETES_CLUSTERS, NODE_POOLS
from openrelay_async.emulator.areas.organizations import members
from openrelay_async.emulator.areas.organizations import routes as organizations
from openrelay_async.emulator.areas.organizations.storage import INVITES
from openrelay_async.emulator.areas.pods import routes as pods
from openrelay_async.emulator.areas.provider import routes as provider
from openrelay_async.emulator.areas.provider.storage import APPLICATIONS, PROVIDER_NODES, PROVISIONING_TOKENS
from openrelay_async.emulator.areas.registry import routes as registry
from openrelay_async.emulator.areas.registry.storage import REGISTRY_CREDENTIALS
from openrelay_async.emulator.areas.roles import access, policies
from openrelay_async.emulator.areas.roles import routes as roles
from openrelay_async.emulator.areas.roles.storage import GUARDRAILS, KEY_SETTINGS, ROLES
from openrelay_async.emulator.areas.runners import routes as runners
from openrelay_async.emulator.areas.runners.storage import RUNNER_JOBS, RUNNER_POOLS
from openrelay_async.emulator.areas.snapshots import routes as snapshots
from openrelay_async.emulator.areas.snapshots.storage import SNAPSHOTS
from openrelay_async.emulator.areas.ssh_keys import routes as ssh_keys
from openrelay_async.emulator.areas.ssh_keys.storage import SSH_KEYS
from openrelay_async.emulator.areas.transfers import routes as transfers
from openrelay_async.emulator.areas.transfers.storage import TRANSFERS
from openrelay_async.emulator.areas.usage import routes as usage
from openrelay_async.emulator.areas.vms import routes as vms
from openrelay_async.emulator.areas.vms import telemetry
from openrelay_async.emulator.areas.vms.storage import VMS
from openrelay_async.emulator.areas.webhooks import routes as webhooks
from openrelay_async.emulator.areas.webhooks.storage import DELIVERIES, WEBHOOKS
from openrelay_async.emulator.call import Call
from openrelay_async.emulator.operations import Operation

Handler = Callable[[Call], Answer]

_AREAS = (
    access,
    account,
    api_keys,
    audit,
    batches,
    billing,
    catalog,
    clusters,
    device_login,
    editing,
    files,
    kubernetes,
    kubernetes_pools,
    members,
    organizations,
    pods,
    policies,
    provider,
    registry,
    roles,
    runners,
    snapshots,
    ssh_keys,
    telemetry,
    transfers,
    usage,
    vms,
    webhooks,
)
_COLLECTIONS = (
    USERS,
    ORGANIZATIONS,
    MEMBERSHIPS,
    SESSIONS,
    DEVICE_LOGINS,
    INVITES,
    REGISTRY_CREDENTIALS,
    ROLES,
    GUARDRAILS,
    KEY_SETTINGS,
    API_KEYS,
    AUDIT_EVENTS,
    SSH_KEYS,
    VMS,
    CLUSTERS,
    WEBHOOKS,
    DELIVERIES,
    FILES,
    BATCHES,
    SNAPSHOTS,
    APPLICATIONS,
    PROVIDER_NODES,
    PROVISIONING_TOKENS,
    RUNNER_POOLS,
    RUNNER_JOBS,
    TRANSFERS,
    KUBERNETES_CLUSTERS,
    NODE_POOLS,
    BILLING_SETTINGS,
    CARDS,
    SETUP_INTENTS,
    SPEND_LIMIT_REQUESTS,
    TRANSACTIONS,
)


def list_handlers() -> Mapping[str, Handler]:
    """Operation id → handler of everything that is modelled."""
    return {operation: handler for area in _AREAS for operation, handler in area.HANDLERS.items()}


def extra_operations() -> tuple[Operation, ...]:
    """Paths that are part of the service and not of its description."""
    return (files.PUT_UPLOAD,)


def list_tables() -> list[str]:
    """The statements that make the tables of a new database."""
    statements = [statement for collection in _COLLECTIONS for statement in collection.tables()]
    return [
        *statements,
        *ALLOCATION_TABLES,
        *FILE_TABLES,
        *idempotency.TABLES,
        *events.TABLES,
        *metering.TABLES,
    ]
