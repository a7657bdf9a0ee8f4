"""R4.4: no other host ever gets the key."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator

import attrs
import pytest

from openrelay_async import AsyncClient, RetryPolicy
from openrelay_async.errors import ConfigurationError, InvalidResponse, OpenRelayError
from openrelay_async.hooks import AttemptStarted

KEY = "vl_OnlyForOneHost0123456789abcdef"


@attrs.define
class Listener:
    """A host that writes down everything it is sent, and answers what it is told."""

    url: str = ""
    port: int = 0
    status: int = 200
    headers: dict[str, str] = attrs.field(factory=dict[str, str])
    body: str = "{}"
    received: bytearray = attrs.field(factory=bytearray)
    connections: int = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while data := await reader.read(65536):
                self.received += data
                if b"\r\n\r\n" in data:
                    lines = [f"HTTP/1.1 {self.status} Told", f"Content-Length: {len(self.body)}"]
                    lines += [f"{name}: {value}" for name, value in self.headers.items()]
                    writer.write("\r\n".join([*lines, "", self.body]).encode())
        except ConnectionError:
            pass
        finally:
            writer.close()

    @property
    def heads(self) -> list[str]:
        return [line for line in self.received.decode("latin-1").split("\r\n") if line.endswith("HTTP/1.1")]


async def listen() -> tuple[Listener, asyncio.Server]:
    listener = Listener()
    server = await asyncio.start_server(listener.serve, "127.0.0.1", 0)
    listener.port = server.sockets[0].getsockname()[1]
    listener.url = f"http://127.0.0.1:{listener.port}"
    return listener, server


@pytest.fixture
async def own() -> AsyncIterator[Listener]:
    listener, server = await listen()
    yield listener
    server.close()


@pytest.fixture
async def evil() -> AsyncIterator[Listener]:
    listener, server = await listen()
    yield listener
    server.close()
    assert not listener.received
    assert listener.connections == 0


@pytest.fixture
async def client(own: Listener) -> AsyncIterator[AsyncClient]:
    retry = RetryPolicy(max_attempts=2, base=0.001)
    async with AsyncClient(KEY, base_url=own.url, org_id="org_1", retry=retry) as client:
        yield client


@pytest.mark.parametrize("status", [300, 301, 302, 303, 307, 308])
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
async def test_a_redirect_is_not_followed_and_is_an_error(
    status: int, method: str, own: Listener, evil: Listener, client: AsyncClient
) -> None:
    own.status, own.headers = status, {"Location": f"{evil.url}/v1/vms", "Refresh": f"0; url={evil.url}"}
    with pytest.raises(InvalidResponse, match="redirect"):
        await client.request(method, "/v1/vms")
    assert len(own.heads) == 1


@pytest.mark.parametrize("status", [200, 201, 202])
async def test_a_location_beside_a_success_is_not_asked(
    status: int, own: Listener, evil: Listener, client: AsyncClient
) -> None:
    own.status = status
    own.headers = {
        "Location": evil.url,
        "Content-Location": evil.url,
        "Link": f'<{evil.url}>; rel="next"',
        "Alt-Svc": f'h2="127.0.0.1:{evil.port}"',
    }
    await client.request("GET", "/v1/x")
    await client.request("GET", "/v1/x")


@pytest.mark.parametrize(
    "form", ["{}", "{}/v1/vms?cursor=2", "//127.0.0.1:{port}/x", "/\\127.0.0.1:{port}", "@{}"]
)
async def test_a_cursor_that_is_an_address_stays_a_cursor(
    form: str, own: Listener, evil: Listener, client: AsyncClient
) -> None:
    cursor = form.format(evil.url, port=evil.port)
    own.body = json.dumps({"items": [], "nextCursor": cursor})
    with pytest.raises(OpenRelayError, match="same cursor"):
        await client.vms.list()
    assert len(own.heads) >= 1
    assert all(head.split(" ")[1].startswith("/v1/orgs/org_1/vms") for head in own.heads)


async def test_addresses_in_a_body_are_not_asked(own: Listener, evil: Listener, client: AsyncClient) -> None:
    own.body = json.dumps({"next": evil.url, "organizationId": evil.url, "principalType": "api_key"})
    await client.account.whoami()


@pytest.mark.parametrize(
    "id", ["{}", "//127.0.0.1:{port}", "..", "../../x", "x?y", "x#y", "@127.0.0.1:{port}"]
)
async def test_an_id_that_is_an_address_or_a_path_does_not_leave_its_place(
    id: str, own: Listener, evil: Listener, client: AsyncClient
) -> None:
    own.status, own.body = 404, "{}"
    with pytest.raises((OpenRelayError, ValueError)):
        await client.vms.get(id.format(evil.url, port=evil.port))
    assert all(head.split(" ")[1].count("/") == 3 for head in own.heads)


@pytest.mark.parametrize(
    "path",
    ["{}", "//127.0.0.1:{port}/x", "/../x", "/x/../../y", "/x?y=1", "/x y", "", "x", "/\\evil", "/%0a"],
)
async def test_a_raw_path_cannot_name_a_host(
    path: str, own: Listener, evil: Listener, client: AsyncClient
) -> None:
    own.status = 404
    with pytest.raises((OpenRelayError, ValueError)):
        await client.request("GET", path.format(evil.url, port=evil.port))
    assert all(head.startswith("GET /%0a ") for head in own.heads)


@pytest.mark.parametrize("address", ["http://user:{key}@127.0.0.1:1", "http://{key}@127.0.0.1:1"])
def test_an_address_with_user_info_is_refused_without_being_shown(address: str) -> None:
    for name in ("base_url", "inference_url"):
        with pytest.raises(ConfigurationError, match=name) as caught:
            AsyncClient(KEY, **{name: address.format(key=KEY)})  # type: ignore[arg-type]
        assert KEY not in str(caught.value)


@pytest.mark.parametrize(
    "address",
    [
        "http://api.openrelay.inc",
        "http://127.0.0.1.evil.example",
        "http://localhost.evil.example",
        "http://0.0.0.0:80",
        "http://10.0.0.1",
        "http://[::ffff:10.0.0.1]",
        "HTTP://api.example",
    ],
)
def test_a_key_is_not_sent_in_clear_to_another_machine(address: str) -> None:
    """R4.5."""
    with pytest.raises(ConfigurationError, match="unencrypted"):
        AsyncClient(KEY, base_url=address)
    with pytest.raises(ConfigurationError, match="unencrypted"):
        AsyncClient(KEY, base_url="https://api.example", inference_url=address)
    with pytest.raises(ConfigurationError, match="unencrypted"):
        AsyncClient(base_url=address).with_options(api_key=KEY)
    with pytest.raises(ConfigurationError, match="unencrypted"):
        AsyncClient(lambda: KEY, base_url=address)


@pytest.mark.parametrize(
    "address", ["http://localhost:1", "http://127.0.0.1:1", "http://[::1]:1", "https://x.example"]
)
def test_a_key_may_go_to_this_machine_or_through_tls(address: str) -> None:
    """R4.5."""
    AsyncClient(KEY, base_url=address)


async def test_a_proxy_that_tunnels_sees_no_key(evil: Listener) -> None:
    """The key is inside TLS; what the proxy is asked for is a tunnel."""
    proxy, server = await listen()
    proxy.status = 200
    async with AsyncClient(
        KEY, base_url="https://api.example", proxy=proxy.url, retry=RetryPolicy(max_attempts=1)
    ) as client:
        with pytest.raises(OpenRelayError):
            await client.account.whoami(timeout=0.5)
    server.close()
    assert proxy.heads == ["CONNECT api.example:443 HTTP/1.1"]
    assert KEY.encode() not in proxy.received


async def test_requests_to_this_machine_do_not_go_through_the_environments_proxy(
    own: Listener, evil: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    """R2.1: it is the only place where a key travels in clear."""
    for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, evil.url)
    async with AsyncClient(KEY, base_url=own.url) as client:
        await client.request("GET", "/v1/x")
    assert len(own.heads) == 1


async def test_inference_calls_go_to_the_inference_host_and_others_do_not(evil: Listener) -> None:
    own, server = await listen()
    inference, inference_server = await listen()
    hosts: list[str] = []

    class Observer:
        def on_attempt(self, event: AttemptStarted) -> None:
            hosts.append(event.base_url)

    async with AsyncClient(
        KEY,
        base_url=own.url,
        inference_url=inference.url,
        hooks=[Observer()],
        retry=RetryPolicy(max_attempts=1),
    ) as client:
        for call in (client.batches.get("batch_1"), client.vms.get("vm_1")):
            with pytest.raises(OpenRelayError):
                await call
    server.close()
    inference_server.close()
    assert set(hosts) <= {own.url, inference.url}
    assert hosts[-1] == own.url


async def test_a_custom_base_url_does_not_make_the_key_travel_to_production() -> None:
    client = AsyncClient(KEY, base_url="https://relay.example")
    assert client._calls.transport.endpoints.inference == "https://relay.example"


async def test_no_netrc_entry_takes_the_place_of_the_key(
    own: Listener, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """R2.1."""
    netrc = tmp_path_factory.mktemp("home") / ".netrc"
    netrc.write_text("machine 127.0.0.1 login user password secret\ndefault login a password b\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    async with AsyncClient(KEY, base_url=own.url) as client:
        await client.request("GET", "/v1/x")
    assert f"Authorization: Bearer {KEY}".encode() in own.received


async def test_the_other_host_would_notice() -> None:
    """The fixture `evil` proves silence: it writes down whatever reaches it."""
    listener, server = await listen()
    async with AsyncClient(KEY, base_url=listener.url) as client:
        await client.request("GET", "/v1/x")
    server.close()
    assert KEY.encode() in listener.received
    assert listener.connections == 1
