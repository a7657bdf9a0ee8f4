"""The order of the modules: each imports only from those above it.

A package that stands for its modules ends in `.*`. A new module is added where it belongs: below all that
it imports.
"""

from __future__ import annotations

LAYERS: dict[str, list[str]] = {
    "values": [
        "version",
        "fork_guard",
        "unset",
        "key_shapes",
        "echoes",
        "redaction",
        "log_redaction",
        "errors",
        "clock",
        "operation",
    ],
    "pure policy: no await, no I/O": [
        "config",
        "model_classes",
        "wire",
        "request_path",
        "retry_after",
        "scope_rules",
        "key_access",
        "decoded_values",
        "row_shape",
        "structuring",
        "cells",
        "display",
        "frames",
        "daily_costs",
        "model",
        "cattrs_hooks",
        "signatures",
        "key_destination",
        "hooks",
        "observers",
    ],
    "credentials": ["single_flight", "off_loop", "credentials", "key_providers", "key_source"],
    "what is generated from the description, first part": [
        "generated",
        "generated.operation_rows.*",
        "generated.operations",
        "generated.models.*",
        "generated.orders",
        "orders",
    ],
    "requests and answers": [
        "models",
        "rotation",
        "download",
        "upload",
        "pagination",
        "messages",
        "scopes",
        "refusals",
        "key_inquiry",
        "retry",
        "responses",
        "recorded_response",
        "recording",
    ],
    "I/O": [
        "attempt_timer",
        "slots",
        "pace_rate",
        "pacing",
        "connector",
        "resolver",
        "proxies",
        "request_target",
        "content_encoding",
        "answer_body",
        "failures",
        "response_stream",
        "exchange",
        "session_request",
        "loop_pool",
        "http_session",
        "client_state",
        "call_events",
        "transport",
    ],
    "patterns over send": [
        "page_reading",
        "wait_limits",
        "lifecycles",
        "waiting",
        "watching",
        "roster",
        "poll_pace",
        "poll_source",
        "poll_timer",
        "fleet",
        "capacity",
        "lease_record",
        "lease",
        "organization",
        "raw_request",
        "bulk_calls",
    ],
    "resources": [
        "resource",
        "calls",
        "fleets",
        "availability",
        "generated.resources.*",
        "rotation_run",
        "machines",
        "balance",
    ],
    "webhooks": [
        "events",
        "webhook_secrets",
        "webhook_store",
        "webhook_verification",
        "webhook_inbox",
        "webhook_receivers",
        "webhooks",
    ],
    "hand-written additions to generated resources": ["resources.*"],
    "the client": ["client_resources", "client", "device_login", "leases", ""],
    "on top of it": [
        "emulator.*",
        "keys",
        "progress",
        "distributed",
        "redis_pace",
        "opentelemetry_hooks",
        "pytest_plugin",
        "demo",
    ],
}
"""Modules of `openrelay_async` from the top down; `""` is the package itself."""

SYNC_LAYERS: dict[str, list[str]] = {
    "the bridge": ["resource", "daemon_executor", "crossing", "running_loop", "loop_thread", "exit_care"],
    "resources": ["iteration", "contexts", "generated.*"],
    "the client": ["client", "device_login", "leases", ""],
}
"""Modules of `openrelay_sync`, which may import all of `openrelay_async`."""

LONGEST = 380
"""Lines that a hand-written module may have: about 350, says the design."""

FORBIDDEN_NAMES = {"utils", "util", "helpers", "helper", "common", "base", "misc", "shared_code"}
"""Names that say nothing of what a module is about."""
