"""`client.webhooks`, with what takes more than one request: rolling a signing secret."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from openrelay_async.config import check_seconds
from openrelay_async.errors import OpenRelayError
from openrelay_async.generated.models.webhooks import WebhookSecret
from openrelay_async.generated.resources.webhooks import Webhooks as GeneratedWebhooks
from openrelay_async.webhook_secrets import WebhookSecrets

OVERLAP = 600.0
"""Seconds: the service's last attempt to deliver comes 370 s after the first."""

_MOST_TRIES = 3


class Webhooks(GeneratedWebhooks):
    """Webhooks: where events are sent, and what was delivered."""

    __slots__ = ()

    @asynccontextmanager
    async def rolling_secret(
        self,
        id: str,
        secrets: WebhookSecrets | None = None,
        *,
        overlap: float = OVERLAP,
        org_id: str | None = None,
        timeout: float | None = None,
    ) -> AsyncIterator[WebhookSecret]:
        """Replace a webhook's signing secret without losing a delivery.

            secrets = WebhookSecrets(old)                       # the receiver was made with secrets=secrets
            async with client.webhooks.rolling_secret(webhook_id, secrets) as new:
                await store(new.secret)                         # for the other receivers, and the next start

        Inside, old and new are accepted. What arrives while the new secret is on its way is asked for again
        (503). After the block, the old ones are accepted for `overlap` seconds more; if the block raises,
        they stay. Receivers in other processes have the service's retries (370 s) to learn the new secret.

        If the answer with the new secret was lost, another one is asked for: nobody knows the lost one.

        Args:
            id: webhook id.
            secrets: what the receivers of this process accept.
            overlap: seconds.
            org_id: organization id; by default the client's organization.
            timeout: limit of each request in seconds, retries included; by default the client's.

        Raises:
            NotFound: the webhook does not exist, or the key cannot see it.

        Source: `POST /v1/orgs/{orgId}/webhooks/{id}/regenerate-secret` (regenerateOrgWebhookSecret).
        """
        accepted = WebhookSecrets() if secrets is None else secrets
        check_seconds("overlap", overlap)
        clock = self._calls.transport.shared.clock
        before = accepted.current(clock.wall())
        with accepted.rolling():
            new = await self._regenerate(id, org_id, timeout)
            accepted.add(new.secret)
        yield new
        for secret in before:
            if secret != new.secret:
                accepted.retire(secret, at=clock.wall() + overlap)

    async def _regenerate(self, id: str, org_id: str | None, timeout: float | None) -> WebhookSecret:
        for _ in range(_MOST_TRIES - 1):
            try:
                return await self.regenerate_secret(id, org_id=org_id, timeout=timeout)
            except OpenRelayError as error:
                if not error.maybe_applied:
                    raise
        return await self.regenerate_secret(id, org_id=org_id, timeout=timeout)
