"""Spans of calls and attempts, as OpenTelemetry's own SDK gets them (R11.2)."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from openrelay_async import PoolLimits, errors
from openrelay_async.opentelemetry_hooks import OpenTelemetryHooks
from tests.transport.servers import KEY, ONCE, VM, Exchange, answering, make_client, serving, until


class Spans:
    """What was exported, and the hook that makes it."""

    def __init__(self) -> None:
        self.exporter = InMemorySpanExporter()
        self.provider = TracerProvider()
        self.provider.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.hook = OpenTelemetryHooks(self.provider)

    def of(self, kind: SpanKind) -> list[ReadableSpan]:
        return [span for span in self.exporter.get_finished_spans() if span.kind is kind]

    def calls(self) -> list[ReadableSpan]:
        return self.of(SpanKind.INTERNAL)

    def attempts(self) -> list[ReadableSpan]:
        return self.of(SpanKind.CLIENT)


@pytest.fixture
def spans() -> Spans:
    return Spans()


async def test_a_call_is_a_span_and_each_attempt_one_below_it(spans: Spans):
    handler = answering((503, None), (200, VM))
    async with serving(handler) as server, make_client(server, hooks=[spans.hook]) as client:
        await client.vms.get("vm_1")
    (call,) = spans.calls()
    first, second = spans.attempts()
    assert call.name == "getVm"
    assert call.status.status_code is StatusCode.UNSET
    assert [event.name for event in call.events] == ["retry"]
    for attempt in (first, second):
        assert attempt.name == "GET /v1/vms/{id}"
        assert attempt.parent is not None
        assert attempt.parent.span_id == call.context.span_id
        assert attempt.context.trace_id == call.context.trace_id
    assert dict(first.attributes) == {
        "http.request.method": "GET",
        "server.address": "127.0.0.1",
        "server.port": server.port,
        "url.scheme": "http",
        "url.template": "/v1/vms/{id}",
        "openrelay.operation": "getVm",
        "http.response.status_code": 503,
        "error.type": "503",
    }
    assert first.status.status_code is StatusCode.ERROR
    assert second.attributes["http.request.resend_count"] == 1
    assert second.attributes["http.response.status_code"] == 200
    assert second.status.status_code is StatusCode.UNSET


async def test_a_call_that_fails_says_by_which_error(spans: Spans):
    async with (
        serving(answering((404, {"error": "no such thing"}))) as server,
        make_client(server, hooks=[spans.hook]) as client,
    ):
        with pytest.raises(errors.NotFound):
            await client.vms.get("vm_1")
    (call,), (attempt,) = spans.calls(), spans.attempts()
    assert call.attributes["error.type"] == "NotFound"
    assert call.status.status_code is attempt.status.status_code is StatusCode.ERROR
    assert attempt.attributes["error.type"] == "404"
    assert call.status.description is attempt.status.description is None


async def test_an_attempt_without_an_answer_says_why_in_one_word(spans: Spans):
    async def reset(exchange: Exchange) -> None:
        exchange.reset()

    async with (
        serving(reset) as server,
        make_client(server, hooks=[spans.hook], retry=ONCE) as client,
    ):
        with pytest.raises(errors.ConnectionFailed):
            await client.vms.get("vm_1")
    (attempt,) = spans.attempts()
    assert attempt.attributes["error.type"] == "connection"
    assert "http.response.status_code" not in attempt.attributes


async def test_a_cancelled_call_ends_its_spans(spans: Spans):
    async def stall(exchange: Exchange) -> None:
        await exchange.wait_for_client_to_leave()

    async with serving(stall) as server, make_client(server, hooks=[spans.hook]) as client:
        task = asyncio.create_task(client.vms.get("vm_1"))
        await until(lambda: len(server.seen) == 1)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert spans.attempts()[0].attributes["error.type"] == "cancelled"
    assert spans.calls()[0].attributes["error.type"] == "CancelledError"


async def test_calls_at_once_keep_their_attempts_apart_and_hang_below_the_callers_span(spans: Spans):
    tracer = spans.provider.get_tracer("mine")

    async def vary(exchange: Exchange) -> None:
        await asyncio.sleep(0.001 * (exchange.number % 5))
        await exchange.answer(503 if exchange.number % 3 == 0 else 200, VM)

    limits = PoolLimits(max_connections=3)
    async with serving(vary) as server, make_client(server, hooks=[spans.hook], limits=limits) as client:
        with tracer.start_as_current_span("job", kind=SpanKind.SERVER) as job:
            await asyncio.gather(*(client.vms.get("vm_1") for _ in range(20)), return_exceptions=True)
        assert trace.get_current_span().get_span_context().is_valid is False
    calls = {call.context.span_id: call for call in spans.calls()}
    assert len(calls) == 20
    assert len(spans.attempts()) == len(server.seen) > 20
    assert {call.parent.span_id for call in calls.values()} == {job.get_span_context().span_id}
    for attempt in spans.attempts():
        call = calls[attempt.parent.span_id]
        assert call.start_time <= attempt.start_time <= attempt.end_time <= call.end_time
    assert any(event.name == "queued" for call in calls.values() for event in call.events)


async def test_two_hooks_do_not_mix_their_spans(spans: Spans):
    other = Spans()
    async with (
        serving(answering((503, None), (200, VM))) as server,
        make_client(server, hooks=[spans.hook, other.hook]) as client,
    ):
        await client.vms.get("vm_1")
    for one in (spans, other):
        (call,) = one.calls()
        assert {attempt.parent.span_id for attempt in one.attempts()} == {call.context.span_id}
        assert len(one.attempts()) == 2


async def test_no_span_has_an_id_or_a_secret(spans: Spans):
    """R4.1"""
    secret = "vl_canary_0123456789abcdefghijk"
    body = {"error": f"{KEY} {secret}", "code": secret, "requestId": secret}
    async with serving(answering((403, body))) as server, make_client(server, hooks=[spans.hook]) as client:
        with pytest.raises(errors.PermissionDenied):
            await client.with_options(org_id="org_hidden").vms.create(
                name="private name", idempotency_key="idem-hidden", env_vars={"TOKEN": secret}
            )
        with pytest.raises(errors.PermissionDenied):
            await client.request("GET", "/v1/raw", params={"q": "query-hidden"})
    text = "".join(span.to_json() for span in spans.exporter.get_finished_spans())
    for hidden in (KEY, secret, "org_hidden", "private name", "idem-hidden", "query-hidden"):
        assert hidden not in text
    assert "createVm" in text


async def test_the_processs_own_provider_is_the_default():
    async with (
        serving(answering((200, VM))) as server,
        make_client(server, hooks=[OpenTelemetryHooks()]) as client,
    ):
        # None is set up here: then nothing is made of it, and nothing breaks.
        await client.vms.get("vm_1")


def test_without_opentelemetry_the_package_works_and_the_hook_says_what_is_missing():
    program = """
import sys
sys.modules["opentelemetry"] = None
import openrelay_async
openrelay_async.AsyncClient("vl_0123456789abcdefghijklmnop")
assert "openrelay_async.opentelemetry_hooks" not in sys.modules
try:
    import openrelay_async.opentelemetry_hooks
except ImportError as error:
    print(error)
"""
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
        cwd=Path(__file__).parents[2],
    )
    assert "pip install 'openrelay-async[otel]'" in done.stdout
