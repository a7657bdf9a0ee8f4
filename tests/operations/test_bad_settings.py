"""Settings that cannot work: refused when the client is made, by name, and without their value."""

from __future__ import annotations

import ssl
from typing import Any

import pytest

from openrelay_async import AsyncClient, PoolLimits, RetryPolicy, Secret
from openrelay_async.errors import ConfigurationError

from .answers import sample_answer
from .conftest import KEY
from .description import case

CANARY = "canary-that-nobody-shall-see"
REMOTE = "http://api.example.test"


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENRELAY_API_KEY", "OPENRELAY_API_URL", "OPENRELAY_ORG_ID"):
        monkeypatch.delenv(name, raising=False)


def refuse(match: str, *args: Any, **settings: Any) -> None:
    with pytest.raises(ConfigurationError, match=match) as caught:
        AsyncClient(*args, **settings)
    check_error(caught.value)


def check_error(error: ConfigurationError) -> None:
    assert isinstance(error, ValueError)
    assert CANARY not in f"{error} {error!r}"
    assert error.__context__ is None
    assert "\n" not in str(error)


BAD_KEYS: list[Any] = [
    "",
    " ",
    "\n",
    "\t\r\n ",
    f"{CANARY} {CANARY}",
    f"Bearer {CANARY}",
    f"{CANARY}\n{CANARY}",
    f"{CANARY}\rx",
    f"{CANARY}\tx",
    f"{CANARY}é",
    f"{CANARY}\x00",
    f"{CANARY}\x7f",
    f"{CANARY}\u200b",
    f"\ufeff{CANARY}",
    Secret(""),
    Secret(f"{CANARY} x"),
    CANARY.encode(),
    7,
    [CANARY],
    {"key": CANARY},
    True,
]


@pytest.mark.parametrize("key", BAD_KEYS, ids=repr)
def test_bad_key_is_refused(key):
    """R4.5"""
    refuse(r"^api_key ", key)
    with pytest.raises(ConfigurationError, match=r"^api_key ") as caught:
        AsyncClient(KEY).with_options(api_key=key)
    check_error(caught.value)


@pytest.mark.parametrize("key", [f"{CANARY} x", f"Bearer {CANARY}", f"{CANARY}\n{CANARY}", f"{CANARY}é"])
def test_bad_key_in_the_environment_is_refused(key, monkeypatch):
    monkeypatch.setenv("OPENRELAY_API_KEY", key)
    refuse(r"^OPENRELAY_API_KEY ")


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("around", ["{}\n", "  {}", "\t{}\r\n"])
async def test_spaces_around_a_key_are_dropped(around, server, monkeypatch):
    """R4.5"""
    server.default = sample_answer(case("whoami"))
    async with AsyncClient(around.format(KEY), base_url=server.url) as client:
        await client.account.whoami()
    monkeypatch.setenv("OPENRELAY_API_KEY", around.format(KEY))
    async with AsyncClient(base_url=server.url) as client:
        await client.account.whoami()
    assert [seen.headers["Authorization"] for seen in server.seen] == [f"Bearer {KEY}"] * 2


@pytest.mark.parametrize(
    "url",
    [
        REMOTE,
        "http://API.EXAMPLE.TEST:8083/base",
        "http://10.0.0.1",
        "http://0.0.0.0",
        "http://[2001:db8::1]:80",
        "http://localhost.example.test",
        "http://api.localhost",
        "http://127.0.0.1.example.test",
        "http://example.test/localhost",
        "HTTP://api.example.test",
    ],
)
def test_a_key_does_not_travel_in_clear(url, monkeypatch):
    """R4.5: `http://` with a key is refused except on loopback, however the address came."""
    refuse("unencrypted", KEY, base_url=url)
    refuse("unencrypted", KEY, inference_url=url)
    refuse("unencrypted", lambda: KEY, base_url=url)
    with pytest.raises(ConfigurationError, match="unencrypted"):
        AsyncClient(base_url=url).with_options(api_key=KEY)
    monkeypatch.setenv("OPENRELAY_API_KEY", KEY)
    refuse("unencrypted", base_url=url)
    monkeypatch.setenv("OPENRELAY_API_URL", url)
    refuse("unencrypted")


@pytest.mark.parametrize(
    "url",
    [
        "http://localhost:8083",
        "http://127.0.0.1",
        "http://127.9.9.9:1",
        "http://[::1]:8083",
        "https://api.example.test/base/",
        " https://api.example.test\n",
    ],
)
def test_this_machine_and_https_are_fine(url):
    AsyncClient(KEY, base_url=url)
    AsyncClient(KEY, inference_url=url)


BAD_URLS: list[Any] = [
    "",
    " ",
    "api.openrelay.inc",
    f"ftp://{CANARY}.test",
    "https://",
    "https:///v1",
    "https:api.example.test",
    f"https://user:{CANARY}@api.example.test",
    f"https://{CANARY}@api.example.test",
    f"https://api.example.test?key={CANARY}",
    f"https://api.example.test/v1?{CANARY}",
    f"https://api.example.test#{CANARY}",
    f"https://api example.test/{CANARY}",
    "https://api.example.test/a b",
    "https://api.example.test\n/x",
    "https://api.example.test:0",
    "https://api.example.test:65536",
    "https://api.example.test:port",
    "https://[::1",
    "https://äpi.example.test",
    f"https://api.example.test\\@{CANARY}.test",
    f"javascript:{CANARY}",
    7,
    b"https://api.example.test",
    ["https://api.example.test"],
    False,
]


@pytest.mark.parametrize("url", BAD_URLS, ids=repr)
@pytest.mark.parametrize("name", ["base_url", "inference_url"])
def test_bad_url_is_refused(name, url):
    refuse(rf"^{name} ", KEY, **{name: url})


@pytest.mark.parametrize("url", [url for url in BAD_URLS if isinstance(url, str) and url.strip()], ids=repr)
def test_bad_url_in_the_environment_is_refused(url, monkeypatch):
    monkeypatch.setenv("OPENRELAY_API_URL", url)
    refuse(r"^(OPENRELAY_API_URL|base_url) ", KEY)


@pytest.mark.parametrize("value", [0, -1, float("nan"), "7", None, True, [], CANARY], ids=repr)
@pytest.mark.parametrize("name", ["timeout", "attempt_timeout"])
def test_bad_time_limit_is_refused(name, value):
    refuse(rf"^{name} ", KEY, **{name: value})
    with pytest.raises(ConfigurationError, match=rf"^{name} ") as caught:
        AsyncClient(KEY).with_options(**{name: value})
    check_error(caught.value)


@pytest.mark.parametrize(
    ("kind", "name", "values"),
    [
        (RetryPolicy, "max_attempts", (0, -1, 1.5, "7", True, None, CANARY)),
        (RetryPolicy, "base", (-1, float("nan"), "7", True, None, CANARY)),
        (RetryPolicy, "cap", (-1, float("nan"), "7", True, None, CANARY)),
        (RetryPolicy, "max_retry_after", (-1, float("nan"), "7", True, None, CANARY)),
        (RetryPolicy, "budget_ratio", (-0.1, 1.1, float("nan"), "1", True, None, CANARY)),
        (RetryPolicy, "budget_burst", (-1, 1.5, "7", True, None, CANARY)),
        (PoolLimits, "max_connections", (0, -1, 1.5, "7", True, None, CANARY)),
        (PoolLimits, "queue_timeout", (0, -1, float("nan"), "7", True, CANARY)),
        (PoolLimits, "idle", (0, -1, float("nan"), "7", True, None, CANARY)),
        (PoolLimits, "max_body", (0, -1, 1.5, "7", True, None, CANARY)),
    ],
)
def test_bad_number_in_a_policy_is_refused(kind, name, values):
    for value in values:
        with pytest.raises(ConfigurationError, match=rf"^{name} ") as caught:
            kind(**{name: value})
        check_error(caught.value)


class WithoutEvents:
    """No hook at all."""


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("retry", 3),
        ("retry", None),
        ("retry", PoolLimits()),
        ("limits", 100),
        ("limits", {"max_connections": 5}),
        ("hooks", WithoutEvents()),
        ("hooks", [WithoutEvents()]),
        ("hooks", [None]),
        ("hooks", None),
        ("hooks", 7),
        ("proxy", "garbage"),
        ("proxy", f"socks5://{CANARY}:1080"),
        ("proxy", "http://"),
        ("proxy", 7),
        ("ssl_context", CANARY),
        ("ssl_context", True),
        ("ssl_context", ssl.SSLContext),
        ("clock", object()),
        ("clock", None),
        ("default_headers", CANARY),
        ("default_headers", [("X", "y")]),
        ("default_headers", {"Authorization": f"Bearer {CANARY}"}),
        ("default_headers", {"authorization": CANARY}),
        ("default_headers", {"Host": "example.test"}),
        ("default_headers", {"X": f"{CANARY}\r\nY: z"}),
        ("default_headers", {"X Y": CANARY}),
        ("default_headers", {"": "x"}),
        ("default_headers", {"X": 7}),
        ("default_headers", {7: CANARY}),
        ("app_name", ""),
        ("app_name", 7),
        ("app_name", f"{CANARY}\n"),
        ("org_id", ""),
        ("org_id", " "),
        ("org_id", 7),
        ("org_id", ".."),
        ("org_id", f"{CANARY}\n"),
    ],
)
def test_bad_setting_is_refused(name, value):
    if name == "hooks":
        refuse(r"(?i)hook", KEY, hooks=value)
    else:
        refuse(rf"^{name}\b", KEY, **{name: value})


@pytest.mark.parametrize("org_id", ["", " ", 7, "..", f"{CANARY}\n"])
def test_bad_organization_of_a_view_is_refused(org_id):
    with pytest.raises(ConfigurationError, match=r"^org_id ") as caught:
        AsyncClient(KEY).with_options(org_id=org_id)
    check_error(caught.value)


@pytest.mark.parametrize("retry", [3, None, {}])
def test_bad_policy_of_a_view_is_refused(retry):
    with pytest.raises(ConfigurationError, match=r"^retry "):
        AsyncClient(KEY).with_options(retry=retry)


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("given", [b"key", 7, "", "two words", None, Secret("a\nb")], ids=repr)
async def test_bad_key_from_a_provider_is_refused_at_the_call(given, server):
    async with AsyncClient(lambda: given, base_url=server.url) as client:
        with pytest.raises((ConfigurationError, TypeError)) as caught:
            await client.account.whoami()
    assert "words" not in str(caught.value)
    assert server.seen == []


def test_settings_are_keywords():
    with pytest.raises(TypeError, match="positional"):
        AsyncClient(KEY, "org_1")  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="unexpected"):
        AsyncClient(KEY, url="https://api.example.test")  # type: ignore[call-arg]
