"""`aiohttp_handler` in a real aiohttp server."""

from __future__ import annotations

import asyncio
import time

import aiohttp
import pytest
from aiohttp import web

from openrelay_async.webhooks import aiohttp_handler


@pytest.fixture
def serve(serve_aiohttp):
    async def serve(handler) -> str:
        app = web.Application()
        app.router.add_post("/hooks", handler)
        app.cleanup_ctx.append(handler.cleanup_ctx)
        return await serve_aiohttp(app) + "/hooks"

    return serve


async def post(http, url, delivery, **options) -> int:
    async with http.post(url, data=delivery.raw, headers=delivery.headers, **options) as response:
        await response.read()
        return response.status


async def test_a_delivery_arrives_verified(serve, http, deliver, secret, collector):
    """R12.2: the raw body, as it was signed"""
    url = await serve(aiohttp_handler(collector, secrets=[secret]))
    assert await post(http, url, deliver(extra="ünïcödé")) == 202
    assert await post(http, url, deliver()) == 200
    await collector.wait_for(1)
    assert collector.ids == ["evt_1"]


async def test_a_forged_one_does_not(serve, http, deliver, secret, collector):
    url = await serve(aiohttp_handler(collector, secrets=[secret]))
    assert await post(http, url, deliver(secret="whsec_forged")) == 400
    assert collector.calls == 0


async def test_the_answer_comes_within_50_ms_while_callbacks_take_10_s(serve, http, deliver, secret):
    async def slow(event) -> None:
        await asyncio.sleep(10)

    handler = aiohttp_handler(slow, secrets=[secret])
    url = await serve(handler)
    await post(http, url, deliver("evt_first"))
    times = []
    for number in range(40):
        delivery = deliver(f"evt_{number}")
        started = time.perf_counter()
        assert await post(http, url, delivery) == 202
        times.append(time.perf_counter() - started)
    await handler.inbox.aclose(timeout=0.01)
    # The median, because the machine may be busy with something else for a moment.
    assert sorted(times)[20] < 0.05


async def test_a_large_body_is_refused_before_it_is_read(serve, http, deliver, secret, collector):
    url = await serve(aiohttp_handler(collector, secrets=[secret], max_body=1000))
    assert await post(http, url, deliver(filler="x" * 1000)) == 413


async def test_an_endless_body_is_refused_at_the_limit(serve, http, deliver, secret, collector):
    url = await serve(aiohttp_handler(collector, secrets=[secret], max_body=1000))

    async def endless():
        for _ in range(10_000):
            yield b"x" * 1000

    try:
        async with http.post(url, data=endless(), headers=deliver().headers) as response:
            assert response.status == 413
    except aiohttp.ClientError:
        pass  # the server closed while we still wrote: refused all the same
    assert collector.calls == 0


async def test_a_compressed_body_is_refused(serve, http, deliver, secret, collector):
    url = await serve(aiohttp_handler(collector, secrets=[secret]))
    delivery = deliver()
    headers = {**delivery.headers, "Content-Encoding": "gzip"}
    async with http.post(url, data=delivery.raw, headers=headers) as response:
        assert response.status == 415


async def test_an_empty_post_is_a_malformed_delivery(serve, http, secret, collector):
    url = await serve(aiohttp_handler(collector, secrets=[secret]))
    async with http.post(url) as response:
        assert response.status == 400
        assert "X-VectorLay-Signature is missing" in await response.text()


async def test_it_works_without_the_applications_lifetime(serve_aiohttp, http, deliver, secret, collector):
    app = web.Application()
    app.router.add_post("/hooks", aiohttp_handler(collector, secrets=[secret]))
    assert await post(http, await serve_aiohttp(app) + "/hooks", deliver()) == 202
    await collector.wait_for(1)


async def test_a_sender_that_hangs_up_leaves_nothing_half_done(serve, deliver, secret, collector):
    url = await serve(aiohttp_handler(collector, secrets=[secret]))
    port = int(url.split(":")[2].split("/")[0])
    delivery = deliver()
    head = "".join(f"{name}: {value}\r\n" for name, value in delivery.headers.items())
    request = f"POST /hooks HTTP/1.1\r\nHost: x\r\n{head}Content-Length: {len(delivery.raw)}\r\n\r\n".encode()
    for sent in (request, request + delivery.raw[:20]):
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(sent)
        await writer.drain()
        writer.close()
        await writer.wait_closed()
    assert collector.calls == 0
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request + delivery.raw)
    await writer.drain()
    writer.close()
    await writer.wait_closed()
    await collector.wait_for(1)
