"""Carries out a rotation: one method for each step, and one to undo what was made."""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Awaitable, Iterable, Sequence
from datetime import timedelta
from typing import TypeVar

import attrs
from attrs import define, field

from openrelay_async.calls import ClientCalls
from openrelay_async.config import check_integer
from openrelay_async.credentials import Credential, check_key
from openrelay_async.errors import (
    ConfigurationError,
    ConnectionFailed,
    InvalidResponse,
    OpenRelayError,
    Unauthenticated,
)
from openrelay_async.generated.models.account import Whoami
from openrelay_async.generated.models.api_keys import ApiKeySummary, KeyBudgetRequest
from openrelay_async.generated.operation_rows.account import WHOAMI
from openrelay_async.generated.resources.api_keys import ApiKeys
from openrelay_async.key_source import StaticKey
from openrelay_async.off_loop import run_off_loop
from openrelay_async.redaction import scrub_text
from openrelay_async.rotation import (
    Journal,
    Rotation,
    RotationError,
    Step,
    Store,
    find_old_key,
    find_orphan,
    lifetime_of,
    rotation_error,
)
from openrelay_async.unset import UNSET, Unset

T = TypeVar("T")

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
    scopes: list[str] = field(factory=list[str])
    """What the new key shall have."""
    known: set[str] = field(factory=set[str])
    """Ids of the keys that were there before."""

    def keys_by(self, credential: Credential) -> ApiKeys:
        """Return the calls about API keys, made with one certain key."""
        return ApiKeys(self._calls_by(credential))

    def _calls_by(self, credential: Credential) -> ClientCalls:
        transport = attrs.evolve(self.calls.transport, key_source=StaticKey(credential))
        return ClientCalls.over(transport, None if self.rotation is None else self.rotation.org_id)

    def mark(self, step: Step, *, new_key_id: str | None = None) -> Rotation:
        """Note what is done next, also in the journal."""
        assert self.rotation is not None  # noqa: S101 - set by `prepare`
        self.rotation = self.rotation.at(step, new_key_id=new_key_id)
        if self.journal is not None:
            self.rotation.save(self.journal)
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

    async def create(self, old: ApiKeySummary, expires_in: float | timedelta | None) -> None:
        """Make the new key. A create without an answer is looked for, so that no key stays behind."""
        rotation = self.mark("create")
        keys = self.keys_by(self.old)
        lost: OpenRelayError = InvalidResponse("no key was made")
        for _ in range(CREATE_ATTEMPTS):
            try:
                made = await keys.create(
                    name=rotation.name,
                    scopes=self.scopes or UNSET,
                    expires_in_seconds=_lifetime(old, expires_in),
                    kind=old.kind if old.kind in {"org", "personal"} else UNSET,
                    note=old.note or UNSET,
                    budget=_same_budget(old),
                    restrictions=old.restrictions or UNSET,
                )
            except OpenRelayError as error:
                if not error.maybe_applied:
                    raise
                lost = error
            else:
                self.mark("verify", new_key_id=made.id)
                self.new = check_key(made.key, source="the new key")
                self.calls.transport.shared.credentials.add(self.new)
                return
            await self._revoke_orphan()
        raise lost

    async def _revoke_orphan(self) -> str | None:
        """Revoke the key that a create without an answer made; return its id if there was one."""
        keys = self.keys_by(self.old)
        name = "" if self.rotation is None else self.rotation.name
        orphan = find_orphan(await keys.list(), known=self.known, name=name, scopes=self.scopes)
        if orphan is None:
            return None
        await keys.revoke(orphan.id)
        self.known.add(orphan.id)
        return orphan.id

    async def verify(self) -> None:
        """Use the new key once: it must be known, in the right organization, with the scopes asked for."""
        assert self.rotation is not None and self.new is not None  # noqa: S101, PT018 - set by `create`
        me = await self._ask_new(self.new)
        if me.organization_id != self.rotation.org_id:
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
        secret = self.new.secret
        try:
            if inspect.iscoroutinefunction(store) or inspect.iscoroutinefunction(
                getattr(store, "__call__", None)  # noqa: B004 - an object with an async __call__
            ):
                await _awaited(store(secret.reveal()))
            else:
                await _awaited(await run_off_loop(lambda: store(secret.reveal())))
        except Exception as error:  # whatever the caller's own code raises
            text = scrub_text(" ".join(str(error).split()), [secret])[:200]
            problem = f"store() raised {type(error).__name__}{': ' if text else ''}{text}"
        else:
            return
        # Not chained: the frames of the caller's code, and perhaps its message, hold the plaintext.
        raise ConfigurationError(problem)

    def switch(self) -> Credential:
        """Use the new key from now on: in all views of the client that used the old one."""
        assert self.new is not None  # noqa: S101 - set by `create`
        self.mark("switch")
        shared = self.calls.transport.shared
        for source in {self.calls.transport.key_source, *_snapshot(shared.key_sources)}:
            current = source.current
            if source is self.calls.transport.key_source or (
                current is not None and current.secret == self.old.secret
            ):
                source.switch(self.new)
        return self.new

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
            holders = [each for each in _snapshot(shared.credentials) if each.secret == self.old.secret]
            running = sum(len(each.in_flight) for each in {self.old, *holders})
            if not running:
                return
            if time.monotonic() >= ends:
                raise ConnectionFailed(f"{running} calls with the old key still ran after {limit:g} s")

    async def revoke_old(self, credential: Credential) -> Rotation:
        rotation = self.mark("revoke")
        await self.keys_by(credential).revoke(rotation.old_key_id)
        return self.mark("done")

    async def make(self, old: ApiKeySummary, *, store: Store, expires_in: float | timedelta | None) -> None:
        """Create, verify and store the new key; undo what was done if one of them fails.

        Raises:
            RotationError: a step failed. The old key stays in use.
        """
        cause: OpenRelayError | OSError
        try:
            await self.create(old, expires_in)
            await self.verify()
            await self.store(store)
        except (OpenRelayError, OSError) as error:
            cause = error
        except BaseException:
            # Cancelled, say. Whether a store that was interrupted has stored nobody knows: then both keys
            # stay, and the journal says so.
            if self.rotation is not None and self.rotation.step != "store":
                await asyncio.shield(self.undo())
            raise
        else:
            return
        step = "create" if self.rotation is None else self.rotation.step
        became = await self.undo()
        raise _stopped(step, cause, f"{became}, the old key stays in use", self.rotation) from None

    async def finish(self, new: Credential, *, grace: float, drain_timeout: float) -> Rotation:
        """Drain, wait and revoke the old key.

        Raises:
            RotationError: a step failed. The new key is in use, the old one works as well.
        """
        cause: OpenRelayError | OSError
        try:
            await self.drain(drain_timeout)
            if grace > 0:
                self.mark("grace")
                await self.calls.transport.shared.clock.sleep(grace)
            return await self.revoke_old(new)
        except (OpenRelayError, OSError) as error:
            cause = error
        rotation = self.rotation
        assert rotation is not None  # noqa: S101 - set by `prepare`
        became = (
            f"the new key {rotation.new_key_id} is in use, the old key {rotation.old_key_id} still works: "
            "resume_rotation() finishes it"
        )
        raise _stopped(rotation.step, cause, became, rotation) from None

    async def undo(self) -> str:
        """Revoke the new key with the old one; return what became of it, in words."""
        assert self.rotation is not None  # noqa: S101 - set by `prepare`
        new_key_id = self.rotation.new_key_id
        try:
            if new_key_id is not None:
                await self.keys_by(self.old).revoke(new_key_id, timeout=UNDO_TIMEOUT)
            elif (new_key_id := await self._revoke_orphan()) is None:
                return "no new key was made"
        except OpenRelayError as error:
            which = f"the new key {new_key_id}" if new_key_id else "a new key, if there is one,"
            return f"{which} could not be revoked ({error.status or 'no answer'}): do it yourself"
        self.mark("undone")
        return f"the new key {new_key_id} was revoked"


def _snapshot(items: Iterable[T]) -> list[T]:
    """Return what is in a set that other threads may add to at this moment."""
    while True:
        try:
            return list(items)
        except RuntimeError:
            continue


def _stopped(
    step: Step, cause: OpenRelayError | OSError, became: str, rotation: Rotation | None
) -> RotationError:
    if isinstance(cause, OpenRelayError):
        return rotation_error(f"stopped at step {step}: {cause.message}; {became}", rotation, cause)
    return rotation_error(f"stopped at step {step}: the journal: {cause.strerror}; {became}", rotation)


async def _awaited(result: object) -> None:
    if isinstance(result, Awaitable):
        await result


def _same_budget(old: ApiKeySummary) -> KeyBudgetRequest | Unset:
    if old.budget is None:
        return UNSET
    return KeyBudgetRequest(limit_nano_usd=old.budget.limit_nano_usd, period=old.budget.period)


def _lifetime(old: ApiKeySummary, expires_in: float | timedelta | None) -> int | Unset:
    if expires_in is None:
        return lifetime_of(old) or UNSET
    seconds = expires_in.total_seconds() if isinstance(expires_in, timedelta) else expires_in
    return check_integer("expires_in", int(seconds), minimum=1)
