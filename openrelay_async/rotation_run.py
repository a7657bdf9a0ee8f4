"""Carries out a rotation: one method for each step, and one to undo what was made."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Sequence
from functools import partial

import attrs
from attrs import define, field

from openrelay_async.calls import ClientCalls
from openrelay_async.client_state import snapshot
from openrelay_async.credentials import Credential, check_key
from openrelay_async.errors import (
    ConfigurationError,
    ConnectionFailed,
    InvalidResponse,
    OpenRelayError,
    PermissionDenied,
    Unauthenticated,
)
from openrelay_async.generated.models.account import Whoami
from openrelay_async.generated.models.api_keys import ApiKeySummary, KeyBudgetRequest
from openrelay_async.generated.operation_rows.account import WHOAMI
from openrelay_async.generated.resources.api_keys import ApiKeys
from openrelay_async.key_handover import hand_over
from openrelay_async.key_source import StaticKey
from openrelay_async.lost_creates import SEARCH_TIME
from openrelay_async.orphan_keys import describe_left, look_for_orphans, tell_left
from openrelay_async.rotation import (
    Journal,
    Rotation,
    RotationError,
    Step,
    Store,
    describe_switched,
    describe_unrevoked,
    find_old_key,
    lifetime_of,
    stopped_error,
)
from openrelay_async.uncancelled import carry_to_the_end
from openrelay_async.unset import UNSET, Unset

CREATE_ATTEMPTS = 5
"""A create whose answer was lost is looked for, revoked and made again at most so often."""

VERIFY_WAITS = (0.1, 0.2, 0.4, 0.8, 1.6)
"""Seconds between the attempts to use a new key: the service may need a moment to know it."""

UNDO_TIMEOUT = 15.0
"""Seconds that revoking a new key may take when the rotation has failed."""

_DRAIN_CHECK = 0.005


@define(eq=False)
class RotationRun:
    """One rotation under way."""

    calls: ClientCalls
    old: Credential
    journal: Journal | None = None
    rotation: Rotation | None = None
    new: Credential | None = None
    has_old_key: bool = True
    """Whether `old` is the key that the rotation replaces: one that is resumed may be finished by another."""
    scopes: list[str] = field(factory=list[str])
    """What the new key shall have."""
    known: set[str] = field(factory=set[str])
    """Ids of the keys that were there before, and of those that the rotation has accounted for."""
    unanswered: int = 0
    """Creates whose answer is not there: each may have made a key, or may still do so."""

    def keys_by(self, credential: Credential) -> ApiKeys:
        """Return the calls about API keys, made with one certain key."""
        return ApiKeys(self._calls_by(credential))

    def _calls_by(self, credential: Credential) -> ClientCalls:
        transport = attrs.evolve(self.calls.transport, key_source=StaticKey(credential))
        return ClientCalls.over(transport, None if self.rotation is None else self.rotation.org_id)

    def mark(self, step: Step, *, new_key_id: str | None = None) -> Rotation:
        """Note what is done next, also in the journal."""
        self.rotation = self._begun.at(step, new_key_id=new_key_id)
        if self.journal is not None:
            self.rotation.save(self.journal)
        return self.rotation

    @property
    def _begun(self) -> Rotation:
        assert self.rotation is not None  # noqa: S101 - set by `prepare`
        return self.rotation

    async def prepare(
        self, name: str | None, scopes: Sequence[str] | None, key_id: str | None
    ) -> ApiKeySummary:
        """Find out which key is in use and what the new one shall be; return the one in use."""
        me = await self._calls_by(self.old).call(WHOAMI, Whoami)
        if me.principal_type != "api_key":
            raise RotationError("only an API key can be rotated; this client uses a session")
        keys = await self.keys_by(self.old).list(org_id=me.organization_id)
        own_id = key_id or (me.key.id if me.key is not None else None)
        text = self.old.secret
        found = find_old_key(keys, key_id=own_id, has_prefix=lambda prefix: text.reveal().startswith(prefix))
        self.scopes = list(found.scopes) if scopes is None else list(scopes)
        self.known = {key.id for key in keys}
        self.rotation = Rotation(
            me.organization_id,
            found.id,
            None,
            name or found.name,
            "create",
            scopes=tuple(self.scopes),
            known_key_ids=tuple(sorted(self.known)),
        )
        return found

    async def create(self, old: ApiKeySummary, lifetime: int | None) -> None:
        """Make the new key. A create without an answer is looked for, so that no key stays behind."""
        rotation = self.mark("create")
        keys = self.keys_by(self.old)
        lost: OpenRelayError = InvalidResponse("no key was made")
        for _ in range(CREATE_ATTEMPTS):
            self.unanswered += 1  # before it is sent: it may be cancelled at any moment
            try:
                made = await keys.create(
                    name=rotation.name,
                    scopes=self.scopes or UNSET,
                    expires_in_seconds=lifetime or lifetime_of(old) or UNSET,
                    kind=old.kind if old.kind in {"org", "personal"} else UNSET,
                    note=old.note or UNSET,
                    budget=_same_budget(old),
                    restrictions=old.restrictions or UNSET,
                )
            except OpenRelayError as error:
                if not error.maybe_applied:
                    self.unanswered -= 1
                    raise
                lost = error
            else:
                self.unanswered -= 1
                self.known.add(made.id)
                self.mark("verify", new_key_id=made.id)
                self.new = check_key(made.key, source="the new key")
                self.calls.transport.shared.credentials.add(self.new)
                return
            await self._end_orphan(within=SEARCH_TIME)
        raise lost

    async def _end_orphan(self, *, within: float) -> str:
        """Look for the key that a create without an answer made, and revoke it; return what became of it.

        Args:
            within: seconds for which it is looked for. It is always looked for once.

        Raises:
            OpenRelayError: it could not be looked for, or not be revoked.
        """
        keys, shared = self.keys_by(self.old), self.calls.transport.shared
        found = await look_for_orphans(keys, shared, self._begun, self.known, within=within)
        if len(found) != 1:
            return describe_left(self._begun, found)
        await keys.revoke(found[0].id, timeout=UNDO_TIMEOUT)
        self.known.add(found[0].id)
        self.unanswered -= 1
        return f"the new key {found[0].id} was revoked"

    async def _look_once_more(self) -> None:
        """End what a create without an answer has made since it was looked for, while the old key can.

        What is left is told in the log: the rotation itself has succeeded.
        """
        if not self.unanswered:
            return
        try:
            became = await self._end_orphan(within=0.0)
        except OpenRelayError as error:
            became = describe_unrevoked("a second new key, if there is one,", error)
        if self.unanswered:
            tell_left(self._begun, became)

    async def verify(self) -> None:
        """Use the new key once: it must be known, in the right organization, with the scopes asked for."""
        assert self.new is not None  # noqa: S101 - set by `create`
        me = await self._ask_new(self.new)
        if me.organization_id != self._begun.org_id:
            raise ConfigurationError("the new key belongs to another organization")
        missing = sorted(set(self.scopes) - set(me.scopes))
        if missing and me.scopes:
            raise ConfigurationError(f"the new key lacks {', '.join(missing)}")

    async def _ask_new(self, new: Credential) -> Whoami:
        calls = self._calls_by(new)
        for wait in VERIFY_WAITS:
            try:
                return await calls.call(WHOAMI, Whoami)
            except Unauthenticated:
                await self.calls.transport.shared.clock.sleep(wait)
        return await calls.call(WHOAMI, Whoami)

    async def store(self, store: Store) -> None:
        """Hand the plaintext over. From here on the new key may be in use elsewhere."""
        assert self.new is not None  # noqa: S101 - set by `create`
        self.mark("store")
        await hand_over(self.new.secret, store)

    def switch(self) -> None:
        """Use the new key from now on: in all views of the client that used the old one."""
        assert self.new is not None  # noqa: S101 - set by `create`
        shared = self.calls.transport.shared
        for source in {self.calls.transport.key_source, *snapshot(shared.key_sources)}:
            latest = source.latest
            if source is self.calls.transport.key_source or (
                latest is not None and latest.secret == self.old.secret
            ):
                source.switch(self.new)
        # Only now: what is stored is to be used, also where the journal cannot be written any more.
        self.mark("switch")

    async def drain(self, limit: float) -> None:
        """Return when no request is under way with the old key.

        Raises:
            ConnectionFailed: there still was one after `limit` seconds.
        """
        self.mark("drain")
        shared = self.calls.transport.shared
        ends = time.monotonic() + limit
        while True:
            await asyncio.sleep(_DRAIN_CHECK)
            holders = [each for each in snapshot(shared.credentials) if each.secret == self.old.secret]
            running = sum(len(each.in_flight) for each in {self.old, *holders})
            if not running:
                return
            if time.monotonic() >= ends:
                raise ConnectionFailed(f"{running} calls with the old key still ran after {limit:g} s")

    async def revoke_old(self) -> Rotation:
        """Revoke the old key with the one that the client uses by now: a later rotation may have come.

        Raises:
            RotationError: it was not revoked, or the journal does not say so.
        """
        cause: OpenRelayError | OSError
        try:
            rotation = self.mark("revoke")
            keys = ApiKeys(ClientCalls.over(self.calls.transport, rotation.org_id))
            try:
                await keys.revoke(rotation.old_key_id)
            except PermissionDenied:
                if not self.has_old_key:
                    raise
                await self._revoke_itself(rotation.old_key_id)
            return self.mark("done")
        except (OpenRelayError, OSError) as error:
            cause = error
        raise stopped_error(cause, describe_switched(self._begun, cause), self.rotation) from None

    async def _revoke_itself(self, old_key_id: str) -> None:
        """Revoke the old key with itself: it has made a key, so it may, whatever scopes the new one has."""
        try:
            await self.keys_by(self.old).revoke(old_key_id)
        except Unauthenticated as error:
            if not error.maybe_applied:
                raise
            # The answer was lost, and the key is refused when it asks again.

    async def make(self, old: ApiKeySummary, *, store: Store, lifetime: int | None) -> None:
        """Create, verify and store the new key; undo what was done if one of them fails.

        Raises:
            RotationError: a step failed. The old key stays in use.
        """
        cause: OpenRelayError | OSError
        try:
            await self.create(old, lifetime)
            await self.verify()
            await self.store(store)
        except (OpenRelayError, OSError) as error:
            cause = error
        except BaseException as error:  # cancelled, say
            stopped = self._begun
            if stopped.step == "store":
                # Nobody knows whether a store that was interrupted has stored: then both keys stay.
                became = f"the old key {old.id} works, and so does {stopped.new_key_id}, stored or not"
            else:
                # A create that was cut off is still under way at the service.
                within = SEARCH_TIME if stopped.step == "create" else 0.0
                undone, _ = await carry_to_the_end(partial(self.undo, within=within))
                became = f"{undone.result()}, the old key stays in use"
            error.add_note(f"The rotation stopped at step {stopped.step}: {became}.")
            raise
        else:
            return
        stopped = self._begun
        undone, cancelled = await carry_to_the_end(partial(self.undo, within=0.0))
        failure = stopped_error(cause, f"{undone.result()}, the old key stays in use", stopped)
        if cancelled is not None:
            cancelled.add_note(failure.message)
            raise cancelled
        raise failure._with(rotation=self.rotation) from None

    async def finish(self, *, grace: float, drain_timeout: float) -> Rotation:
        """Switch, drain, wait and revoke the old key.

        Raises:
            RotationError: a step failed. The new key is in use, the old one works as well.
        """
        cause: OpenRelayError | OSError
        try:
            self.switch()
            await self.drain(drain_timeout)
            if grace > 0:
                self.mark("grace")
                await self.calls.transport.shared.clock.sleep(grace)
            await self._look_once_more()
            return await self.revoke_old()
        except RotationError:
            raise
        except (OpenRelayError, OSError) as error:
            cause = error
        except BaseException as error:  # cancelled, say
            stopped = self._begun
            error.add_note(
                f"The rotation stopped at step {stopped.step}: {describe_switched(stopped, error)}."
            )
            raise
        raise stopped_error(cause, describe_switched(self._begun, cause), self.rotation) from None

    async def undo(self, *, within: float) -> str:
        """Revoke the new key with the old one; return what became of it, in words.

        Args:
            within: seconds for which the key of a create without an answer is looked for.
        """
        became: list[str] = []
        which = f"the new key {self._begun.new_key_id}"
        try:
            if self._begun.new_key_id is not None:
                await self.keys_by(self.old).revoke(self._begun.new_key_id, timeout=UNDO_TIMEOUT)
                became.append(f"{which} was revoked")
            if self.unanswered:
                which = "a new key, if there is one,"
                became.append(await self._end_orphan(within=within))
        except OpenRelayError as error:
            return ", ".join([*became, describe_unrevoked(which, error)])
        with contextlib.suppress(OSError):
            # What is reported is what became of the keys, and why.
            self.mark("undone")
        return ", ".join(became) or "no new key was made"


def _same_budget(old: ApiKeySummary) -> KeyBudgetRequest | Unset:
    if old.budget is None:
        return UNSET
    return KeyBudgetRequest(limit_nano_usd=old.budget.limit_nano_usd, period=old.budget.period)
