"""`client.api_keys`: API keys, and replacing the one in use without a failed call."""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import timedelta

from openrelay_async.calls import ClientCalls
from openrelay_async.config import check_delay
from openrelay_async.errors import OpenRelayError
from openrelay_async.generated.models.api_keys import ApiKeySummary
from openrelay_async.generated.operation_rows.api_keys import CREATE_ORG_API_KEY
from openrelay_async.generated.resources.api_keys import ApiKeys as GeneratedApiKeys
from openrelay_async.lost_creates import SEARCH_TIME
from openrelay_async.orphan_keys import tell_left
from openrelay_async.rotation import (
    Journal,
    Rotation,
    RotationError,
    Store,
    check_lifetime,
    check_store,
    refuse_unfinished,
    rotation_error,
)
from openrelay_async.rotation_run import RotationRun


class ApiKeys(GeneratedApiKeys):
    """API keys: create, list, change, revoke and rotate them."""

    __slots__ = ()

    async def rotate(
        self,
        *,
        store: Store,
        name: str | None = None,
        scopes: Sequence[str] | None = None,
        expires_in: float | timedelta | None = None,
        grace: float = 0.0,
        drain_timeout: float = 60.0,
        journal: Journal | None = None,
        key_id: str | None = None,
    ) -> Rotation:
        """Replace the client's key by a new one; no call fails meanwhile.

        Creates the new key, verifies it with whoami, hands it to `store`, switches this client and its
        views to it (the next attempts of running calls too), waits until no request is under way with the
        old key, waits for `grace`, and revokes the old key. Nothing depends on the new key before `store`
        has returned. If creating, verifying or storing fails, the new key is revoked and the old one stays.
        A create whose answer is lost is looked for during 5 s, revoked, and made again; what cannot be told
        for certain then is named in the error, or in a warning of the logger `openrelay_async`.

        The key needs the scope `clusters:write`: it creates and revokes keys.

        Args:
            store: takes the plaintext and keeps it where the next process will look for it. A coroutine
                function is awaited, any other function runs in a thread.
            name: name of the new key; by default the old one's.
            scopes: scopes of the new key; by default the old one's. Never more than the old key has. One
                that may not revoke keys will do here, but cannot be rotated again.
            expires_in: lifetime in seconds or as a timedelta; by default that with which the old key was
                made.
            grace: seconds for which the old key stays valid after the switch, for other processes that
                read it from the same store.
            drain_timeout: seconds to wait for the calls under the old key.
            journal: a file that says how far the rotation is (no secrets), for `resume_rotation` after a
                crash. One that tells of another rotation which is not over is refused.
            key_id: id of the key in use, where neither whoami nor its prefix tells it.

        Returns:
            The finished rotation.

        Raises:
            ConfigurationError: an argument that cannot work; nothing was sent.
            RotationError: a step failed. It says which one, which key works, and what is left to do. A
                rotation that is cancelled says so in a note of the `CancelledError`, when the new key is
                revoked. One that is cancelled while the key is made looks for it for up to 5 s.
        """
        check_delay("grace", grace)
        check_delay("drain_timeout", drain_timeout)
        lifetime = check_lifetime(expires_in)
        check_store(store)
        if journal is not None:
            refuse_unfinished(journal)
        calls = self._client_calls()
        old = await calls.transport.key_source.get()
        with calls.transport.shared.rotation_of(old.secret) as is_free:
            if not is_free:
                raise RotationError("a rotation of this key is under way already")
            run = RotationRun(calls, old, journal)
            summary = await _prepare(run, name, scopes, key_id)
            # From here on all of it, or nothing: a client that drains waits for the end.
            with calls.transport.shared.admit(CREATE_ORG_API_KEY):
                await run.make(summary, store=store, lifetime=lifetime)
                return await run.finish(grace=grace, drain_timeout=drain_timeout)

    async def resume_rotation(self, rotation: Rotation | Journal) -> Rotation:
        """Finish a rotation that stopped: by an error after the switch, or because the process died.

        If the new key was not stored, it is revoked, as nobody has it. If it was, the old one is revoked, by
        a client whose key is the new one or, as that may have been rotated in turn or may lack the scope, any
        other of the organization that may revoke keys.

        Args:
            rotation: from `RotationError.rotation`, or the journal that was given to `rotate`.

        Raises:
            RotationError: the client's key is of no use for that, or the new key may be stored: then start
                the client with what the store has.
        """
        if isinstance(rotation, Rotation):
            journal = None
        else:
            journal = os.fspath(rotation)
            rotation = Rotation.load(journal)
        if rotation.is_over:
            return rotation
        calls = self._client_calls()
        credential = await calls.transport.key_source.get()
        run = RotationRun(calls, credential, journal, has_old_key=False)
        in_use = await _prepare(run, rotation.name, None, None)
        is_ours = run.rotation is not None and run.rotation.org_id == rotation.org_id
        run.rotation = rotation
        is_old = in_use.id == rotation.old_key_id
        if in_use.id == rotation.new_key_id or (is_ours and not is_old and rotation.is_stored):
            return await run.revoke_old()
        if not is_old:
            raise RotationError(f"the client's key {in_use.id} is neither of this rotation's keys")
        if rotation.step not in {"create", "verify"}:
            raise rotation_error(
                f"the new key {rotation.new_key_id} may be stored already, and this client uses the old one: "
                "make a client with what is stored, then resume",
                rotation,
            )
        run.known, run.scopes = set(rotation.known_key_ids), list(rotation.scopes)
        # Where it stopped while creating, nobody has the answer.
        run.unanswered = int(rotation.new_key_id is None)
        became = await run.undo(within=SEARCH_TIME)
        if not run.rotation.is_over:
            raise rotation_error(f"{became}, the old key stays in use", rotation)
        if run.unanswered:
            tell_left(rotation, became)
        return run.mark("undone")

    def _client_calls(self) -> ClientCalls:
        if not isinstance(self._calls, ClientCalls):
            raise TypeError("a rotation needs a client's own calls")
        return self._calls


async def _prepare(
    run: RotationRun, name: str | None, scopes: Sequence[str] | None, key_id: str | None
) -> ApiKeySummary:
    try:
        return await run.prepare(name, scopes, key_id)
    except RotationError:
        raise
    except OpenRelayError as error:
        cause = error
    raise rotation_error(f"did not begin: {cause._say()}; nothing was changed", None, cause) from None
