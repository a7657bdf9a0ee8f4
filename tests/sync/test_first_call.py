"""What a new process loads for its first call: counted in modules, never in time."""

from __future__ import annotations

import importlib.util

import pytest

FIRST_CALLS = {
    "openrelay_async": """
    import asyncio
    from openrelay_async import AsyncClient

    async def main():
        async with AsyncClient(base_url=sys.argv[1]) as client:
            await client.vms.get("vm_1")

    asyncio.run(main())
    """,
    "openrelay_sync": """
    from openrelay_sync import Client

    with Client(base_url=sys.argv[1]) as client:
        client.vms.get("vm_1")
    """,
}

NOT_FOR_A_FIRST_CALL = {
    "hooks": "events that nobody listens to",
    "recorded_response": "answers that nobody records",
    "raw_request": "what has a method needs no raw request",
    "bulk_calls": "one call is not many",
    "download": "no file comes",
    "upload": "no file goes",
    "session_request": "no file moves, and there is no proxy",
    "response_stream": "no file comes",
    "key_providers": "the key was given",
    "key_access": "nobody asked what the key may do",
    "refusals": "nothing was refused",
    "key_inquiry": "nothing was refused",
    "key_shapes": "no text had to be searched for credentials",
    "echoes": "no text had to be searched for secrets in use",
    "rotation": "the key stays",
    "display": "this is no notebook",
    "cells": "this is no notebook",
    "frames": "pandas is not used",
    "fleets": "nobody waits",
    "fleet": "nobody waits",
    "waiting": "nobody waits",
    "watching": "nobody watches",
    "lifecycles": "nobody waits",
    "lease": "nothing is leased",
    "availability": "nobody waits for capacity",
    "device_login": "the key was given",
    "webhooks": "nothing is received",
    "cattrs_hooks": "models are read without cattrs",
    "progress": "there is no bar",
    "emulator": "the service is elsewhere",
    "generated.operations": "a resource has its own operations",
    "generated.operation_rows.account": "nobody asked for the organization",
    "generated.operation_rows.pods": "pods are another resource",
    "generated.models.catalog": "no availability was asked for",
    "generated.resources.pods": "pods are another resource",
    "generated.resources.catalog": "the catalog is another resource",
}
"""Modules of `openrelay_async` that cost a cold process time and memory, and why it does not need them."""


@pytest.mark.parametrize("package", FIRST_CALLS)
def test_a_first_call_loads_only_what_it_needs(package: str, run_script, vm_server) -> None:
    """targets.md, cold process and memory: what is not on the way to the first answer stays away."""
    names = [f"openrelay_async.{name}" for name in NOT_FOR_A_FIRST_CALL]
    assert [name for name in names if importlib.util.find_spec(name) is None] == []
    done = run_script(
        "    import sys\n"
        + FIRST_CALLS[package]
        + f"""
    loaded = set(sys.modules)
    print(sorted(loaded & {{*{names!r}, "cattrs", "pandas", "IPython", "sqlite3"}}))
    print(sorted(name for name in loaded if name.startswith("openrelay_async.generated.models.")))
    """,
        vm_server.url,
    )
    own = ["openrelay_async.generated.models.shared", "openrelay_async.generated.models.vms"]
    assert (done.code, done.out, done.err) == (0, f"[]\n{own}\n", "")
