"""For every operation: the request that arrives is the one that the description asks for."""

from __future__ import annotations

import re
from urllib.parse import parse_qsl

import pytest

from .answers import sample_answer
from .conftest import KEY
from .description import Case, all_cases
from .recording_server import Seen
from .sampling import Call, rounds

pytestmark = pytest.mark.asyncio(loop_scope="module")

QUERY = re.compile(r"[A-Za-z0-9._~!$'()*,/?:@+%=&-]*")


@pytest.mark.parametrize("case", all_cases(), ids=repr)
async def test_request_is_what_the_description_asks_for(case, client, server):
    method = getattr(getattr(client, case.resource), case.method)
    server.default = sample_answer(case)
    for call in rounds(case):
        await method(*call.args, **call.kwargs)
        compare(case, call, server.take())


@pytest.mark.parametrize("case", all_cases(), ids=repr)
async def test_request_goes_to_the_host_of_its_operation(case, two_hosts, server):
    client, inference = two_hosts
    server.default = inference.default = sample_answer(case)
    call = rounds(case, 0)[0]
    await getattr(getattr(client, case.resource), case.method)(*call.args, **call.kwargs)
    assert [len(server.seen), len(inference.seen)] == ([0, 1] if case.inference else [1, 0])


def compare(case: Case, call: Call, seen: Seen) -> None:
    assert (seen.method, seen.path) == (case.http_method, call.path)
    assert QUERY.fullmatch(seen.query)
    assert sorted(parse_qsl(seen.query, keep_blank_values=True)) == sorted(call.query)
    assert ("Authorization" in seen.headers) == (case.id in KEYED)
    if "Authorization" in seen.headers:
        assert seen.headers["Authorization"] == f"Bearer {KEY}"
    compare_key(case, call, seen)
    if call.form:
        assert read_form(seen) == call.form
    elif call.body is None:
        assert seen.body == b""
        assert "Content-Type" not in seen.headers
    else:
        assert seen.headers["Content-Type"] == "application/json"
        body = seen.json()
        if case.key_property and call.key is None:
            made = body.pop(case.key_property)
            assert len(made) >= 32
        assert body == call.body


KEYED = {
    case.id
    for case in all_cases()
    if case.needs_key or case.id == "providerBootstrap"  # may be called with a key or without
}


def compare_key(case: Case, call: Call, seen: Seen) -> None:
    if case.key_header is None:
        assert "Idempotency-Key" not in seen.headers
    elif call.key is not None:
        assert seen.headers[case.key_header] == call.key
    else:
        assert len(seen.headers[case.key_header]) >= 32


def read_form(seen: Seen) -> dict[str, bytes]:
    """The parts of a multipart body by name, read as RFC 7578 says."""
    kind, _, boundary = seen.headers["Content-Type"].partition("; boundary=")
    assert kind == "multipart/form-data"
    assert int(seen.headers["Content-Length"]) == len(seen.body)
    first, *parts, last = seen.body.split(b"--" + boundary.encode())
    assert (first, last) == (b"", b"--\r\n")
    form = {}
    for part in parts:
        head, _, content = part.partition(b"\r\n\r\n")
        assert head.startswith(b"\r\n")
        assert content.endswith(b"\r\n")
        (name,) = re.findall(rb'[ ;]name="([^"]*)"', head)
        form[name.decode()] = content[:-2]
    return form
