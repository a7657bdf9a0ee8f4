"""`verify`: who signed it, and when."""

from __future__ import annotations

import hashlib
import hmac
import pickle
import traceback
from datetime import UTC, datetime, timedelta

import pytest
from multidict import CIMultiDict
from starlette.datastructures import Headers

from openrelay_async import Secret
from openrelay_async.errors import ConfigurationError, WebhookError
from openrelay_async.webhooks import VmWebhookEvent, WebhookSecrets, sign, verify


def code_of(*args, **options) -> str | None:
    with pytest.raises(WebhookError) as caught:
        verify(*args, **options)
    return caught.value.code


def test_a_signed_fresh_delivery_gives_its_event(deliver, secret):
    """R12.1"""
    delivery = deliver()
    event = verify(delivery.raw, delivery.headers, secrets=[secret])
    assert isinstance(event, VmWebhookEvent)
    assert (event.id, event.data.vm_id) == ("evt_1", "vm_1")


def test_the_signature_is_that_of_the_documentation(secret):
    """sha256=<hex HMAC-SHA256 of the raw body, keyed with SHA-256(webhook secret)>"""
    key = hashlib.sha256(secret.encode()).digest()
    assert sign(b"{}", secret) == "sha256=" + hmac.new(key, b"{}", hashlib.sha256).hexdigest()


def test_a_known_signature_stays_what_it_is():
    """Fixed values, made by openssl."""
    # KEY=$(printf whsec_test | sha256sum | cut -c-64)
    # printf '{"id":"evt_1"}' | openssl dgst -sha256 -mac HMAC -macopt hexkey:$KEY
    expected = "sha256=90d8688bdfc3ce9640bb462d509af8993520906bf7e97061301e1287563120e9"
    assert sign(b'{"id":"evt_1"}', "whsec_test") == expected


@pytest.mark.parametrize(
    "change",
    [lambda raw: raw + b" ", lambda raw: raw[:-1], lambda raw: b"", lambda raw: raw.replace(b"1", b"2")],
)
def test_a_changed_body_is_refused(deliver, secret, change):
    """R12.1"""
    delivery = deliver()
    assert code_of(change(delivery.raw), delivery.headers, secrets=[secret]) == "SIGNATURE_MISMATCH"


def test_another_secret_is_refused(deliver):
    assert code_of(*deliver(), secrets=["whsec_other"]) == "SIGNATURE_MISMATCH"


def test_several_secrets_are_accepted_while_one_is_rolled(deliver, secret):
    """R12.1"""
    for signer in (secret, "whsec_new"):
        delivery = deliver(secret=signer)
        assert verify(delivery.raw, delivery.headers, secrets=[Secret("whsec_new"), secret]).id == "evt_1"


def test_one_secret_need_not_be_put_into_a_list(deliver, secret):
    delivery = deliver()
    assert verify(delivery.raw, delivery.headers, secrets=secret).id == "evt_1"


def test_a_secret_may_end_with_the_line_of_its_file(deliver, secret):
    delivery = deliver()
    assert verify(delivery.raw, delivery.headers, [f"{secret}\n"]).id == "evt_1"
    assert sign(delivery.raw, f" {secret}\r\n") == sign(delivery.raw, secret)


@pytest.mark.parametrize("secrets", [[], [""], ["  "], "", [None], None, 5])
def test_without_a_usable_secret_nothing_is_verified(deliver, secrets):
    """An empty variable must not let everybody in: anybody can sign with an empty secret."""
    delivery = deliver(secret="")
    assert code_of(delivery.raw, delivery.headers, secrets=secrets) == "NO_SECRET"


def test_a_sealed_secret_verifies_nothing(deliver, secret):
    sealed = pickle.loads(pickle.dumps(Secret(secret)))  # noqa: S301 - ours
    assert code_of(*deliver(), secrets=[sealed]) == "NO_SECRET"


@pytest.mark.parametrize(
    "make",
    [
        dict,
        CIMultiDict,
        Headers,
        lambda given: {name.lower(): value for name, value in given.items()},
        lambda given: list(given.items()),
        lambda given: [(name.lower().encode(), value.encode()) for name, value in given.items()],
    ],
    ids=["dict", "multidict", "starlette", "lower case", "pairs", "ASGI"],
)
def test_headers_come_as_every_framework_has_them(deliver, secret, make):
    delivery = deliver()
    assert verify(delivery.raw, make(delivery.headers), secrets=[secret]).id == "evt_1"


@pytest.mark.parametrize(
    ("value", "code"),
    [
        (None, "SIGNATURE_MISSING"),
        ("", "SIGNATURE_MALFORMED"),
        ("sha256=", "SIGNATURE_MALFORMED"),
        ("sha1=" + "0" * 64, "SIGNATURE_MALFORMED"),
        ("sha256=" + "0" * 63, "SIGNATURE_MALFORMED"),
        ("sha256=" + "0" * 65, "SIGNATURE_MALFORMED"),
        ("sha256=" + "g" * 64, "SIGNATURE_MALFORMED"),
        ("sha256=" + "٠" * 64, "SIGNATURE_MALFORMED"),
        ("sha256=" + "0" * 64, "SIGNATURE_MISMATCH"),
    ],
)
def test_a_signature_that_is_none_is_refused(deliver, secret, value, code):
    """R12.1"""
    headers = {} if value is None else {"X-VectorLay-Signature": value}
    assert code_of(deliver().raw, headers, secrets=[secret]) == code


def test_the_headers_name_is_a_parameter(deliver, secret):
    """That of generation 2026-10 is not documented."""
    delivery = deliver()
    headers = {"X-OpenRelay-Signature": delivery.headers["X-VectorLay-Signature"]}
    assert code_of(delivery.raw, headers, secrets=[secret]) == "SIGNATURE_MISSING"
    assert verify(delivery.raw, headers, [secret], signature_header="X-OpenRelay-Signature").id == "evt_1"


@pytest.mark.parametrize(
    ("age", "fresh"), [(0, True), (290, True), (-290, True), (310, False), (-310, False)]
)
def test_freshness_comes_from_the_signed_body(deliver, secret, age, fresh):
    """R12.1"""
    delivery = deliver(age=age)
    if fresh:
        assert verify(delivery.raw, delivery.headers, secrets=[secret]).id == "evt_1"
    else:
        assert code_of(delivery.raw, delivery.headers, secrets=[secret]) == "STALE"


def test_now_is_a_time_or_seconds_and_tolerance_may_be_none(deliver, secret):
    delivery = deliver(age=86400)
    then = datetime.now(UTC) - timedelta(days=1)
    assert verify(delivery.raw, delivery.headers, [secret], 300, then).id == "evt_1"
    for options in ({"now": then}, {"now": then.timestamp()}, {"tolerance": None}, {"tolerance": 90000}):
        assert verify(delivery.raw, delivery.headers, [secret], **options).id == "evt_1"


@pytest.mark.parametrize(
    "options",
    [
        {"tolerance": -1},
        {"tolerance": float("nan")},
        {"tolerance": "5"},
        {"tolerance": 10**400},
        {"now": 10**400},
        {"signature_header": None},
        {"signature_header": b"X-VectorLay-Signature"},
        {"signature_header": ""},
        {"now": datetime(2026, 1, 1)},  # noqa: DTZ001 - naive on purpose
        {"now": "x"},
    ],
)
def test_times_that_cannot_be_are_the_callers_mistake(deliver, secret, options):
    with pytest.raises(ConfigurationError):
        verify(*deliver(), [secret], **options)


@pytest.mark.parametrize("raw", ["text", None, 5, bytearray(b"{}"), memoryview(b"{}"), {"id": "evt_1"}])
def test_only_bytes_are_verified(deliver, secret, raw):
    """R12.1: never a TypeError"""
    assert code_of(raw, deliver().headers, secrets=[secret]) == "MALFORMED"


def test_no_secret_and_no_right_signature_shows_anywhere(deliver, secret):
    """R4.1"""
    delivery = deliver()
    right = delivery.headers["X-VectorLay-Signature"].removeprefix("sha256=")
    headers = {"X-VectorLay-Signature": "sha256=" + "0" * 64}

    def check(secrets: object) -> None:
        with pytest.raises(WebhookError) as caught:
            verify(delivery.raw, headers, secrets=secrets)  # type: ignore[arg-type]
        stack = traceback.TracebackException.from_exception(caught.value, capture_locals=True).stack
        shown = "".join(f"{frame.locals}" for frame in stack if "/openrelay_async/" in frame.filename)
        assert shown
        assert secret not in shown + str(caught.value) + repr(caught.value)
        assert right not in shown
        assert caught.value.__context__ is None

    check([secret])
    check(WebhookSecrets(secret))
    check([secret, None])


def test_secrets_can_be_added_and_retired_while_in_use(deliver, secret):
    secrets = WebhookSecrets(secret)
    secrets.add("whsec_new")
    assert [each.reveal() for each in secrets.current(0)] == ["whsec_new", secret]
    secrets.retire(secret, at=100)
    assert [each.reveal() for each in secrets.current(99)] == ["whsec_new", secret]
    assert [each.reveal() for each in secrets.current(100)] == ["whsec_new"]
    assert secret not in repr(secrets)
    with pytest.raises(ConfigurationError):
        secrets.add(" ")


def test_a_secret_that_was_pickled_is_refused_as_such(deliver, secret):
    """Its text is gone, and so nobody could sign with it."""
    sealed = pickle.loads(pickle.dumps(Secret(secret)))  # noqa: S301 - made here
    for use in (WebhookSecrets, WebhookSecrets().add, lambda given: sign(b"{}", given)):
        with pytest.raises(ConfigurationError, match="pickled"):
            use(sealed)
    assert code_of(*deliver(), secrets=sealed) == "NO_SECRET"
