"""`client.webhooks.rolling_secret`: a new secret, and no delivery lost."""

from __future__ import annotations

import asyncio
import time

import pytest
from aiohttp import web

from openrelay_async import AsyncClient, RetryPolicy
from openrelay_async.errors import NotFound
from openrelay_async.webhooks import Inbox, WebhookSecrets

ORG = "org_1"


class Service:
    """The one operation: it makes a new secret at once, and answers when it is told to."""

    def __init__(self) -> None:
        self.made = 0
        self.lost_answers = 0
        self.gate = asyncio.Event()
        self.gate.set()

    @property
    def secret(self) -> str:
        return f"whsec_number_{self.made}_of_the_service"

    async def regenerate(self, request: web.Request) -> web.Response:
        if request.match_info["id"] != "wh_1":
            return web.json_response({"error": "no such webhook"}, status=404)
        self.made += 1
        body = {"id": "wh_1", "secret": self.secret, "secretPrefix": "whsec_num"}
        await self.gate.wait()
        if self.lost_answers:
            self.lost_answers -= 1
            assert request.transport is not None
            request.transport.close()
        return web.json_response(body)


@pytest.fixture
async def service():
    return Service()


@pytest.fixture
async def client(service, serve_aiohttp):
    app = web.Application()
    app.router.add_post("/v1/orgs/{org}/webhooks/{id}/regenerate-secret", service.regenerate)
    retry = RetryPolicy(base=0.01)
    url = await serve_aiohttp(app)
    async with AsyncClient("vl_key_of_the_test", base_url=url, org_id=ORG, retry=retry) as client:
        yield client


async def test_inside_both_are_accepted_and_the_old_one_ends_after_the_overlap(client, service):
    secrets = WebhookSecrets("whsec_old")
    async with client.webhooks.rolling_secret("wh_1", secrets, overlap=60) as new:
        assert new.secret.reveal() == service.secret
        assert len(secrets.current(time.time() + 9999)) == 2
    assert [each.reveal() for each in secrets.current(time.time() + 59)] == [service.secret, "whsec_old"]
    assert [each.reveal() for each in secrets.current(time.time() + 61)] == [service.secret]


async def test_if_storing_it_fails_the_old_one_stays_too(client):
    secrets = WebhookSecrets("whsec_old")
    with pytest.raises(RuntimeError, match="vault"):
        async with client.webhooks.rolling_secret("wh_1", secrets):
            raise RuntimeError("the vault is sealed")
    assert len(secrets.current(time.time() + 9999)) == 2


async def test_what_arrives_before_the_new_secret_does_is_asked_for_again(
    client, service, deliver, collector
):
    secrets = WebhookSecrets("whsec_old")
    service.gate.clear()

    async def roll() -> None:
        async with client.webhooks.rolling_secret("wh_1", secrets):
            pass

    async with Inbox(collector, secrets=secrets) as inbox:
        rolling = asyncio.create_task(roll())
        async with asyncio.timeout(5):
            while not service.made:
                await asyncio.sleep(0.005)
        early = deliver(secret=service.secret)
        assert (await inbox.accept(*early)).status == 503
        assert (await inbox.accept(*deliver("evt_2", secret="whsec_old"))).status == 202
        service.gate.set()
        await rolling
        assert (await inbox.accept(*early)).status == 202
        await collector.wait_for(2)


async def test_if_the_answer_is_lost_another_secret_is_asked_for(client, service):
    service.lost_answers = 2
    secrets = WebhookSecrets("whsec_old")
    async with client.webhooks.rolling_secret("wh_1", secrets) as new:
        assert (service.made, new.secret.reveal()) == (3, service.secret)


async def test_an_error_changes_nothing(client):
    secrets = WebhookSecrets("whsec_old")
    with pytest.raises(NotFound):
        async with client.webhooks.rolling_secret("wh_2", secrets):
            raise AssertionError("never reached")
    assert len(secrets.current(time.time())) == 1
    assert not secrets.is_rolling


async def test_it_works_without_receivers_in_this_process(client, service):
    async with client.webhooks.rolling_secret("wh_1") as new:
        assert new.secret.reveal() == service.secret
