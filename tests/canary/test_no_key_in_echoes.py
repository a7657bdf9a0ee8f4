"""R4.7: what the service sends back of a key or a secret argument, in every form and at every place."""

from __future__ import annotations

import asyncio
import json
import pickle
from collections.abc import Awaitable, Callable
from urllib.parse import quote, quote_plus

import pytest

from openrelay_async import AsyncClient, RetryPolicy
from openrelay_async.errors import InvalidResponse, OpenRelayError, PermissionDenied
from openrelay_async.hooks import AttemptEnded, KeyExpiring
from tests.canary.conftest import BadServer
from tests.canary.leaks import LogCatcher, leaks_of_error

ONCE = RetryPolicy(max_attempts=1)
KEY = "k" * 30


async def error_of(call: Awaitable[object]) -> OpenRelayError:
    try:
        await call
    except OpenRelayError as error:
        return error
    pytest.fail("the call was to fail")


class Watcher:
    def __init__(self) -> None:
        self.ended: list[AttemptEnded] = []
        self.expiring: list[KeyExpiring] = []

    def on_response(self, event: AttemptEnded) -> None:
        self.ended.append(event)

    def on_key_expiring(self, event: KeyExpiring) -> None:
        self.expiring.append(event)


READS: dict[str, Callable[[AsyncClient], Awaitable[object]]] = {
    "one": lambda client: client.vms.get("vm_1"),
    "pages": lambda client: client.vms.list(),
    "list": lambda client: client.api_keys.list(),
}


@pytest.mark.parametrize("body", ["<html>", "3", ""])
@pytest.mark.parametrize("read", READS)
async def test_a_request_id_that_echoes_the_key_is_in_no_error_of_a_malformed_answer(
    read: str, body: str, server: BadServer, canary: str
) -> None:
    """R4.1 R4.7."""
    server.reply(200, body, headers={"X-Request-Id": f"req {canary}"})
    async with AsyncClient(canary, base_url=server.url, org_id="org_1", retry=ONCE) as client:
        error = await error_of(READS[read](client))
    assert type(error) is InvalidResponse
    assert error.request_id is not None
    assert error.request_id.startswith("req Canary0"[:10])
    assert canary not in repr(vars(error))
    assert canary.encode() not in pickle.dumps(error)
    assert leaks_of_error(canary, error) == []


def answer_whoami(server: BadServer, told: dict[str, object], *, refusal: str = "no") -> None:
    """Refuse every call, and tell this of the key."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, head: str) -> None:
        status, body = (200, told) if "/v1/whoami" in head else (403, {"error": refusal})
        content = json.dumps(body).encode()
        writer.write(f"HTTP/1.1 {status} Told\r\nContent-Length: {len(content)}\r\n\r\n".encode() + content)
        await writer.drain()

    server.answer = answer


@pytest.mark.parametrize("org_id", ["org_1", "org_2"])
async def test_what_whoami_echoes_of_the_key_is_in_no_error_log_or_hook(
    org_id: str, server: BadServer, canary: str, logs: LogCatcher
) -> None:
    """R4.1 R4.7 R9.4."""
    watcher = Watcher()
    echoing = {
        "principalType": "api_key",
        "organizationId": "org_1" if org_id == "org_1" else f"org {canary}",
        "scopes": [canary, "vms:list"],
        "key": {"id": f"key_{canary}", "name": f"my {canary}\x1b[31m", "expiresAt": "2020-01-01T00:00:00Z"},
    }
    answer_whoami(server, echoing)
    async with AsyncClient(canary, base_url=server.url, org_id=org_id, retry=ONCE, hooks=[watcher]) as client:
        error = await error_of(client.api_keys.list())
    assert isinstance(error, PermissionDenied)
    assert error.granted[1:] == ("vms:list",)
    assert leaks_of_error(canary, error) == []
    assert canary not in repr(vars(error))
    (told,) = watcher.expiring
    assert canary not in repr(told)
    assert "\x1b" not in str(told.name)
    assert [line for line in logs.lines if canary in line] == []
    assert any("expires at" in line for line in logs.lines)


async def test_the_message_of_a_403_keeps_its_limit_with_what_whoami_told(server: BadServer) -> None:
    """R4.7 R11.1."""
    scopes = [letter * 90 for letter in "abcdefgh"]
    told = {"principalType": "api_key", "organizationId": "o", "scopes": scopes, "key": {"name": "n" * 900}}
    answer_whoami(server, told, refusal="x" * 600)
    async with AsyncClient(KEY, base_url=server.url, org_id="o", retry=ONCE) as client:
        error = await error_of(client.vms.get("vm_1"))
    assert len(error.message) <= 500
    assert "it needs the scope vms:read" in error.explanation
    assert error.explanation in str(error)
    assert error.message.startswith("xxx")


def echo_in(server: BadServer, form: Callable[[str], str]) -> None:
    """Answer 400 with the body and the query of a request in a form of the service's choice."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, head: str) -> None:
        length = next((int(line[15:]) for line in head.split("\r\n") if line[:15] == "Content-Length:"), 0)
        sent = (await reader.readexactly(length)).decode()
        message = form(f"{sent}|{head.splitlines()[0]}")
        content = json.dumps({"error": message, "code": message, "seen": [message]}).encode()
        writer.write(f"HTTP/1.1 400 Told\r\nContent-Length: {len(content)}\r\n\r\n".encode() + content)
        await writer.drain()

    server.answer = answer


SECRETS = {
    "quotes": 'pass"word\\with quotes',
    "lines": "first hunter2\nsecond hunter3\n",
    "no ASCII": "hunter2 é ü 😀 pass",
    "of a URL": "a+b/c=d&e f%2Bg~h",
    "long": "Top" + "S3cret" * 1500,
    "long, with lines": "#cloud-config\n" + 'runcmd: ["root pass hunter2"]\n' * 600,
}
FORMS: dict[str, Callable[[str], str]] = {
    "as it came": str,
    "as JSON": json.dumps,
    "as repr": repr,
    "as bytes": lambda text: repr(text.encode()),
    "as a URL": lambda text: quote(text, safe=""),
    "as a form": quote_plus,
    "cut": lambda text: text[:300] + "…",
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", SECRETS)
async def test_a_secret_argument_is_in_no_error_in_whatever_form_it_is_echoed(
    name: str, form: str, server: BadServer
) -> None:
    """R4.7."""
    secret = SECRETS[name]
    echo_in(server, FORMS[form])
    async with AsyncClient(KEY, base_url=server.url, org_id="o", retry=ONCE) as client:
        error = await error_of(
            client.registry_credentials.create(
                name="r", auth_type="basic", server="r.example", credentials={"password": secret}
            )
        )
        assert hidden_parts(secret, str(vars(error))) == []
        assert "authType" in error.message
        if len(secret) < 100:
            error = await error_of(client.billing.create_setup_intent(turnstile_token=secret))
            assert hidden_parts(secret, str(vars(error))) == []
            assert "turnstileToken" in error.message


def hidden_parts(secret: str, text: str) -> list[str]:
    """Which parts of a secret a text shows: words of it that nobody escapes."""
    words = ("hunter2", "hunter3", "S3cret", "word", "quotes", "pass", "c=d", "c%3Dd", "Bg~h", "root")
    # What the mask shows is the beginning.
    return [word for word in words if word in secret[7:] and word in text.replace("password", "")]


async def test_what_follows_a_long_secret_is_told(server: BadServer) -> None:
    secret = "Top" + "S3cret" * 1500
    echo_in(
        server, lambda text: f"not a password: {json.loads(text.split('|')[0])['credentials']['password']}!"
    )
    async with AsyncClient(KEY, base_url=server.url, org_id="o", retry=ONCE) as client:
        error = await error_of(
            client.registry_credentials.create(
                name="r", auth_type="basic", server="r.example", credentials={"password": secret}
            )
        )
    assert error.message.startswith("not a password: TopS3cr…(sha256:")
    assert error.message.endswith(")!")


@pytest.mark.parametrize("where", ["client", "request"])
async def test_the_value_of_a_header_is_in_no_error_that_echoes_the_request(
    where: str, server: BadServer, canary: str, logs: LogCatcher
) -> None:
    """R4.7: the library masks it as what it is, a token."""
    server.reply(400, echo=True)
    headers = {"X-Token": canary, "X-Request-Id": "my-request-1", "X-Team": "ml"}
    async with AsyncClient(
        KEY,
        base_url=server.url,
        org_id="o",
        retry=ONCE,
        default_headers=headers if where == "client" else None,
    ) as client:
        sent = headers if where == "request" else None
        error = await error_of(client.request("POST", "/v1/x", json={}, headers=sent))
    assert leaks_of_error(canary, error) == []
    assert canary not in repr(vars(error))
    for plain in ("application/json", "openrelay-async/", "gzip, deflate", "my-request-1", "X-Team: ml"):
        assert plain in error.message
    assert [line for line in logs.lines if canary in line] == []


async def test_the_event_of_an_answer_has_a_clean_request_id(server: BadServer, canary: str) -> None:
    """R4.7 R11.2: as clean as an error's."""
    watcher = Watcher()
    async with AsyncClient(
        KEY,
        base_url=server.url,
        org_id="o",
        retry=ONCE,
        hooks=[watcher],
        default_headers={"X-Token": KEY[1:]},
    ) as client:
        server.reply(500, "{}", headers={"X-Request-Id": f"req {canary}"})
        error = await error_of(
            client.registry_credentials.create(
                name="r", auth_type="basic", server="r.example", credentials={"password": canary}
            )
        )
        server.reply(500, "{}", headers={"X-Request-Id": f"a\x9b\t b{'c' * 300}"})
        await error_of(client.vms.get("vm_1"))
    first, second = watcher.ended
    assert canary not in repr(first)
    assert first.request_id == error.request_id
    assert second.request_id == "a b" + "c" * 97
