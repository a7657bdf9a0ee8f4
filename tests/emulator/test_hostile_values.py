"""Nothing that is sent makes it answer 500: every operation, with values that nobody sensible sends."""

from __future__ import annotations

import asyncio
import json
import os
from urllib.parse import quote, urlencode

import aiohttp
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from openrelay_async.emulator import Emulator, TurnedClock
from openrelay_async.emulator.generated.routes import OPERATIONS
from openrelay_async.emulator.generated.schemas import SHAPES

HOSTILE_TEXTS = st.sampled_from(
    [
        *("", " ", "\x00", "..", "/", "%2F", "'; DROP TABLE vms;--", "🦊" * 70, "a" * 5000, "\u202e", "-1"),
        *("2026-11-01T00:00:00Z", "9999-12-31T23:59:59Z", "0001-01-01T00:00:00+14:00", "null", "{}"),
        *("http://[", "a@b", "10.0.0.0/8"),
    ]
)
TEXTS = st.one_of(HOSTILE_TEXTS, st.text(max_size=30))
INTEGERS = st.one_of(
    st.sampled_from([0, -1, 1, 2, 2**31, 2**53, 2**63 - 1, -(2**63), 2**63, 10**30, 500, 1000]),
    st.integers(-5, 200),
)
ANYTHING = st.recursive(
    st.one_of(st.none(), st.booleans(), INTEGERS, st.floats(allow_nan=False, allow_infinity=False), TEXTS),
    lambda children: st.one_of(st.lists(children, max_size=3), st.dictionaries(TEXTS, children, max_size=3)),
    max_leaves=8,
)


def typed(kind, depth=0):
    """Values that are right in type, as often as not."""
    if kind.endswith("?"):
        return st.one_of(st.none(), typed(kind[:-1], depth))
    if kind.startswith("["):
        return st.lists(typed(kind[1:-1], depth + 1), max_size=3)
    if kind.startswith("{"):
        return st.dictionaries(TEXTS, typed(kind[1:-1], depth + 1), max_size=3)
    if kind.startswith("="):
        return st.sampled_from(kind[1:].split("|"))
    if kind.startswith("#"):
        shape = SHAPES[kind[1:]]
        fields = {name: typed(value, depth + 1) for name, value in shape.properties.items()}
        required = {name: fields.pop(name) for name in shape.required}
        return st.fixed_dictionaries(required, optional=fields if depth < 2 else {})
    plain = {
        "integer": INTEGERS,
        "number": st.floats(allow_nan=False, allow_infinity=False),
        "boolean": st.booleans(),
        "date-time": st.sampled_from(
            ["2026-11-02T00:00:00Z", "9999-12-31T23:59:59.999999999Z", "2026-13-01T00:00:00Z"]
        ),
        "any": ANYTHING,
    }
    return plain.get(kind, TEXTS)


# Real ids make a request get further than random ones do.
KNOWN = {"ids": [""]}


@st.composite
def requests(draw, operation):
    ids = st.one_of(st.sampled_from(KNOWN["ids"]), TEXTS)
    path = operation.path
    for name in [part[1:-1] for part in path.split("/") if part.startswith("{")]:
        value = KNOWN["org"] if name == "orgId" and draw(st.integers(0, 9)) else draw(ids)
        path = path.replace("{" + name + "}", quote(value, safe="") or "%20")
    query = {}
    for name, kind, required in operation.query:
        if required or draw(st.booleans()):
            value = draw(st.one_of(typed(kind), TEXTS))
            query[name] = str(value).lower() if isinstance(value, bool) else str(value)
    body = None
    if operation.body is not None and operation.media == "application/json":
        body = draw(st.one_of(typed(operation.body), typed(operation.body), typed(operation.body), ANYTHING))
        if isinstance(body, dict) and body and draw(st.booleans()):
            field = draw(st.sampled_from(sorted(body)))
            body = {**body, field: draw(st.one_of(ANYTHING, st.sampled_from(KNOWN["ids"])))}
    return operation, path, urlencode(query, errors="surrogatepass"), body


async def send(session, emulator, request):
    operation, path, query, body = request
    data = None if body is None else json.dumps(body).encode(errors="surrogatepass")
    results = []
    for token in (emulator.api_key, emulator.session_token):
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        if operation.media.startswith("multipart"):
            headers["Content-Type"] = "multipart/form-data; boundary=x"
        from yarl import URL

        url = URL(f"{emulator.url}{path}?{query}", encoded=True)
        async with session.request(operation.method, url, data=data, headers=headers) as response:
            raw = await response.read()
            results.append((response.status, raw))
    return results


async def furnish(session, emulator):
    """One of everything, so that there are real ids to be hostile with."""
    headers = {"Authorization": f"Bearer {emulator.api_key}"}
    org = emulator.org_id
    bodies = {
        f"/v1/orgs/{org}/vms/create": {"name": "vm", "resourceSize": "small"},
        f"/v1/orgs/{org}/clusters/create": {"name": "c", "resourceSize": "small"},
        f"/v1/orgs/{org}/webhooks/create": {"name": "h", "url": "http://127.0.0.1:9/"},
        "/v1/pods": {"image": "x", "sshKeyIds": []},
        "/v1/files/presign": {"bytes": 10},
        "/v1/batches": {
            "endpoint": "/v1/completions",
            "completion_window": "24h",
            "requests": [{"custom_id": "a"}],
        },
        "/v1/kubernetes/clusters": {
            "name": "k",
            "locationId": "us-east",
            "nodePools": [{"name": "p", "count": 1, "sku": {"cpuSku": "small"}}],
        },
    }
    ids = [org]
    for path, body in bodies.items():
        async with session.post(emulator.url + path, json=body, headers=headers) as response:
            made = await response.json()
            ids.append(made.get("id") or made.get("file_id"))
    async with session.post(
        f"{emulator.url}/v1/vms/{ids[1]}/snapshots", json={"name": "s"}, headers=headers
    ) as response:
        ids.append((await response.json()).get("id") or "none")
    KNOWN["ids"], KNOWN["org"] = ids, org


EXAMPLES = int(os.environ.get("HOSTILE_EXAMPLES", "6"))


@pytest.mark.parametrize("part", range(4))
def test_no_operation_answers_500_whatever_is_sent(part, answer_checker):
    clock = TurnedClock()
    chosen = OPERATIONS[part::4]

    async def live():
        async with (
            Emulator(clock=clock, credit_cents=10**12) as emulator,
            aiohttp.ClientSession() as session,
        ):
            await furnish(session, emulator)
            clock.advance(10)
            loop = asyncio.get_running_loop()

            def explore():
                for operation in chosen:

                    @settings(
                        max_examples=EXAMPLES,
                        deadline=None,
                        derandomize=True,
                        suppress_health_check=list(HealthCheck),
                    )
                    @given(request=requests(operation))
                    def check(request):
                        future = asyncio.run_coroutine_threadsafe(send(session, emulator, request), loop)
                        for status, raw in future.result(30):
                            assert status != 500, raw
                            assert status in (501, 503) or status < 500, (status, raw)
                            if raw[:1] in (b"{", b"["):
                                answer_checker(request[0].method, request[1], status, json.loads(raw))

                    check()

            await loop.run_in_executor(None, explore)

    asyncio.run(live())
