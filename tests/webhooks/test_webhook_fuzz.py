"""Any bytes, any headers: only `WebhookError`."""

from __future__ import annotations

import contextlib
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openrelay_async.errors import WebhookError
from openrelay_async.events import TYPED_EVENTS
from openrelay_async.webhooks import parse_event, sign, verify

SECRET = "whsec_fuzz"
FEW = settings(max_examples=60, deadline=None)

anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
    lambda inner: (
        st.lists(inner) | st.tuples(inner, inner) | st.dictionaries(st.text() | st.integers(), inner)
    ),
    max_leaves=10,
)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)
signature_values = st.sampled_from(["sha256=", "sha256=" + "0" * 64, "sha1=0"]) | st.text() | st.binary()
headers = (
    anything
    | st.dictionaries(st.sampled_from(["X-VectorLay-Signature", "x-vectorlay-signature"]), signature_values)
    | st.lists(st.tuples(st.just(b"x-vectorlay-signature"), signature_values))
)
times = (
    st.text()
    | st.datetimes().map(lambda time: time.isoformat() + "Z")
    | st.sampled_from(
        [
            "0001-01-01T00:00:00+23:59",
            "9999-12-31T23:59:59-23:59",
            "2026-W01-1T00:00Z",
            "24:00Z",
            "2026-01-01T24:00:00Z",
        ]
    )
)
envelopes = st.fixed_dictionaries(
    {},
    optional={
        "id": st.text() | json_values,
        "type": st.sampled_from(sorted(TYPED_EVENTS)) | st.text() | json_values,
        "created_at": times | json_values,
        "data": st.dictionaries(st.sampled_from(["vm_id", "status", "endpoint", "clusterId"]), json_values)
        | json_values,
    },
)


class Hostile:
    """Headers whose every use goes wrong."""

    def __getattr__(self, name: str) -> object:
        raise RuntimeError(name)


@FEW
@given(raw=st.binary() | anything, headers=headers, secrets=st.lists(st.text()) | anything)
def test_verify_raises_nothing_but_webhook_errors(raw, headers, secrets):
    """R12.1"""
    with pytest.raises(WebhookError) as caught:
        verify(raw, headers, secrets=secrets)
    assert len(str(caught.value)) <= 500


@FEW
@given(raw=st.binary())
def test_signed_bytes_that_are_no_event_raise_nothing_but_webhook_errors(raw):
    """R12.1"""
    with contextlib.suppress(WebhookError):
        verify(raw, {"X-VectorLay-Signature": sign(raw, SECRET)}, secrets=[SECRET])


@FEW
@given(value=envelopes)
def test_signed_json_of_any_shape_is_an_event_or_a_webhook_error(value):
    """R12.1"""
    raw = json.dumps(value).encode()
    for tolerance in (300.0, None):
        try:
            event = verify(raw, {"X-VectorLay-Signature": sign(raw, SECRET)}, SECRET, tolerance=tolerance)
        except WebhookError:
            pass
        else:
            assert (event.id, event.type) == (value["id"], value["type"])


@FEW
@given(raw=st.binary() | anything | json_values.map(lambda value: json.dumps(value).encode()))
def test_parse_event_raises_nothing_but_webhook_errors(raw):
    """R12.1"""
    with contextlib.suppress(WebhookError):
        parse_event(raw)


def test_headers_that_raise_are_a_webhook_error():
    with pytest.raises(WebhookError) as caught:
        verify(b"{}", Hostile(), secrets=[SECRET])  # type: ignore[arg-type]
    assert caught.value.__context__ is None
