"""`ASGIReceiver` in the real Starlette and FastAPI under a real uvicorn."""

from __future__ import annotations

import asyncio
import time

import pytest
from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.routing import Mount, Route

from openrelay_async.webhook_receivers import read_body
from openrelay_async.webhooks import ASGIReceiver, Receipt


def in_fastapi(receiver: ASGIReceiver) -> FastAPI:
    app = FastAPI(lifespan=receiver.lifespan)
    app.add_route("/hooks", receiver, methods=["POST"])
    return app


def in_starlette(receiver: ASGIReceiver) -> Starlette:
    return Starlette(routes=[Route("/hooks", receiver)], lifespan=receiver.lifespan)


def mounted(receiver: ASGIReceiver) -> Starlette:
    return Starlette(routes=[Mount("/", receiver)])


def alone(receiver: ASGIReceiver) -> ASGIReceiver:
    return receiver


async def post(http, url, delivery, **options) -> int:
    async with http.post(url + "/hooks", data=delivery.raw, headers=delivery.headers, **options) as response:
        await response.read()
        return response.status


@pytest.mark.parametrize("build", [in_fastapi, in_starlette, mounted, alone])
async def test_a_delivery_arrives_verified_and_once(build, serve_uvicorn, http, deliver, secret, collector):
    """R12.2"""
    url = await serve_uvicorn(build(ASGIReceiver(collector, secrets=[secret])))
    assert await post(http, url, deliver()) == 202
    assert await post(http, url, deliver()) == 200
    assert await post(http, url, deliver("evt_2", secret="whsec_forged")) == 400
    await collector.wait_for(1)
    assert collector.ids == ["evt_1"]


async def test_the_answer_comes_within_50_ms_while_callbacks_take_10_s(serve_uvicorn, http, deliver, secret):
    async def slow(event) -> None:
        await asyncio.sleep(10)

    receiver = ASGIReceiver(slow, secrets=[secret], queue_size=41)
    url = await serve_uvicorn(in_fastapi(receiver))
    await post(http, url, deliver("evt_first"))
    times = []
    for number in range(40):
        delivery = deliver(f"evt_{number}")
        started = time.perf_counter()
        assert await post(http, url, delivery) == 202
        times.append(time.perf_counter() - started)
    assert await post(http, url, deliver("evt_last")) == 503
    await receiver.inbox.aclose(timeout=0.01)
    assert sorted(times)[20] < 0.05


async def test_shutting_down_lets_events_under_way_end(deliver, secret, collector, http, serve_uvicorn):
    receiver = ASGIReceiver(collector, secrets=[secret])
    collector.gate.clear()
    async with receiver.lifespan():
        await receiver.inbox.accept(*deliver())
        asyncio.get_running_loop().call_later(0.05, collector.gate.set)
    assert collector.ids == ["evt_1"]


async def test_other_methods_and_other_bodies_are_refused(serve_uvicorn, http, deliver, secret, collector):
    url = await serve_uvicorn(ASGIReceiver(collector, secrets=[secret], max_body=1000))
    async with http.get(url) as response:
        assert response.status == 405
    assert await post(http, url, deliver(filler="x" * 1000)) == 413
    delivery = deliver()
    delivery.headers["Content-Encoding"] = "br"
    assert await post(http, url, delivery) == 415
    assert collector.calls == 0


async def test_a_body_without_a_length_is_bounded_too(deliver, secret, collector):
    receiver = ASGIReceiver(collector, secrets=[secret], max_body=1000)
    sent = []
    reads = 0

    async def receive():
        nonlocal reads
        reads += 1
        return {"type": "http.request", "body": b"x" * 300, "more_body": True}

    async def send(message):
        sent.append(message)

    await receiver({"type": "http", "method": "POST", "headers": []}, receive, send)
    assert (sent[0]["status"], reads) == (413, 4)


async def test_a_message_whose_body_is_none_has_no_body(deliver, secret, collector):
    """R12.1: some servers say so that there is nothing more."""
    receiver = ASGIReceiver(collector, secrets=[secret])
    delivery = deliver()
    messages = [{"type": "http.request", "body": delivery.raw, "more_body": True}]
    messages.append({"type": "http.request", "body": None})
    sent = []

    async def receive():
        return messages.pop(0)

    async def send(message):
        sent.append(message)

    headers = [(name.lower().encode(), value.encode()) for name, value in delivery.headers.items()]
    async with receiver.lifespan():
        await receiver({"type": "http", "method": "POST", "headers": headers}, receive, send)
    assert sent[0]["status"] == 202
    assert collector.ids == ["evt_1"]


async def test_a_body_that_takes_too_long_is_refused():
    async def trickle():
        for _ in range(1000):
            await asyncio.sleep(0.005)
            yield b"x"

    receipt = await read_body(trickle(), 10_000, seconds=0.05)
    assert isinstance(receipt, Receipt)
    assert receipt.status == 408


async def test_a_sender_that_hangs_up_is_answered_nothing(secret, collector):
    receiver = ASGIReceiver(collector, secrets=[secret])
    sent = []

    async def receive():
        return {"type": "http.disconnect"}

    async def send(message):
        sent.append(message)

    await receiver({"type": "http", "method": "POST", "headers": []}, receive, send)
    assert sent == []


async def test_a_store_that_cannot_be_used_stops_the_start(tmp_path, secret, collector):
    from openrelay_async.webhooks import SQLiteStore

    receiver = ASGIReceiver(collector, secrets=[secret], store=SQLiteStore(tmp_path / "no" / "folder.db"))
    incoming = iter([{"type": "lifespan.startup"}])
    sent = []

    async def receive():
        return next(incoming)

    async def send(message):
        sent.append(message)

    await receiver({"type": "lifespan"}, receive, send)
    assert sent[0]["type"] == "lifespan.startup.failed"
    assert "folder.db" in sent[0]["message"]
