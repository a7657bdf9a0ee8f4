"""The loop of a call: queue, attempt, decide, sleep, attempt.

What is decided is decided in `retry.py`, what goes over the network goes in `http_session.py`; this keeps
the two in step, and the call inside its deadline.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Coroutine

import attrs
from attrs import frozen

from openrelay_async import recording
from openrelay_async.call_events import tell_attempt, tell_queued, tell_response, tell_retry, watch_call
from openrelay_async.client_state import Shared
from openrelay_async.config import Endpoints
from openrelay_async.credentials import Credential
from openrelay_async.errors import (
    ConfigurationError,
    ConnectionFailed,
    OpenRelayError,
    RequestTimeout,
)
from openrelay_async.fork_guard import importing
from openrelay_async.key_source import KeySource
from openrelay_async.loop_pool import LoopPool
from openrelay_async.messages import AttemptFailure, HttpRequest, HttpResponse, Outcome
from openrelay_async.pacing import Governor
from openrelay_async.program_end import let_program_end
from openrelay_async.redaction import Payload, Secret
from openrelay_async.responses import ErrorBody, error_from_failure, error_from_response, parse_error_body
from openrelay_async.retry import RetryPolicy, decide, may_have_acted, was_done_before
from openrelay_async.retry_after import parse_retry_after
from openrelay_async.turns import Progress, await_next_attempt, await_turn, cut_short, miss_place, miss_turn

_REFUSALS = frozenset({401, 403})
_ONE_ATTEMPT = RetryPolicy(max_attempts=1)


@frozen(eq=False)
class Transport:
    """Sends requests for one view of a client."""

    shared: Shared
    endpoints: Endpoints
    key_source: KeySource
    retry: RetryPolicy
    timeout: float
    attempt_timeout: float

    def send(
        self, request: HttpRequest, timeout: float | None = None
    ) -> Coroutine[object, object, HttpResponse]:
        """Return the coroutine that sends a request until it succeeds, cannot succeed, or its time is up.

        Args:
            timeout: seconds for the whole call: queue, attempts and waits; `None` is the client's.

        Returns:
            An answer with a 2xx status, when it is awaited.

        Raises:
            OpenRelayError: any of its kinds. `CancelledError` passes as it is, and so does what the
                caller's own file raises.
        """
        # Not a coroutine itself: thousands of calls may wait, and each frame of each of them is memory.
        shared = self.shared
        shared.check_open(request.operation)
        whole = timeout is not None
        if timeout is None:
            # How long a file takes is its size's business; what must not happen is that nothing moves.
            timeout = math.inf if request.upload is not None else self.timeout
        call = self._send(request, timeout, whole=whole)
        if shared.hooks.on_call or shared.hooks.on_done:
            return watch_call(shared.hooks, shared.clock, request, call)
        return call

    async def _send(self, request: HttpRequest, timeout: float, *, whole: bool) -> HttpResponse:
        shared, clock = self.shared, self.shared.clock
        pool = shared.session.pool()
        pool.enter()
        goes_on = False
        try:
            deadline = clock.monotonic() + timeout
            shared.budget.earn()
            credential = self.key_source.current
            if credential is None or request.operation.authentication != "required":
                credential = await self._find_credential(request, timeout)
            attempt, maybe_applied = 0, False
            refused: Credential | None = None
            outcome: Outcome | None = None
            governor = shared.pacing.api if request.operation.host == "api" else shared.pacing.inference
            while True:
                attempt += 1
                is_paced = False
                while True:
                    if not is_paced and governor.is_limiting():
                        is_paced, progress = True, Progress(attempt, deadline, maybe_applied)
                        if not await await_turn(shared, pool, governor, request, progress, self.retry):
                            raise self._missed_turn(pool, governor, request, outcome, progress)
                        credential = credential and self.key_source.latest
                    if pool.slots.take_now():
                        break
                    remaining = deadline - clock.monotonic()
                    tell_queued(shared.hooks, request, pool.slots.waiting, "connections")
                    has_place = await pool.slots.take(shared.session.queue_limit(remaining))
                    if has_place and (pool.connector.closed or clock.monotonic() >= deadline):
                        pool.slots.give_back()
                        has_place = False
                    if not has_place:
                        # Made here, not before: of thousands that wait, few ever need it.
                        progress = Progress(attempt, deadline, maybe_applied)
                        raise miss_place(shared, pool, remaining, request, progress)
                    credential = credential and self.key_source.latest
                    if is_paced or not governor.is_limiting():
                        break
                    # The first 429 came while it stood in the queue: until its turn, its place is another's.
                    pool.slots.give_back()
                outcome = await self._attempt(request, pool, credential, attempt, deadline, whole)
                if isinstance(outcome, HttpResponse):
                    if 200 <= outcome.status < 300:
                        governor.note()
                        if request.operation.id == "whoami" and credential is not None:
                            self._note_access(request, credential, outcome)
                        # A stream is under way until its body has ended, and says so itself.
                        goes_on = outcome.stream is not None
                        return outcome
                    if outcome.status != 429:
                        governor.note()
                    if was_done_before(request, outcome.status, maybe_applied):
                        return HttpResponse(204, outcome.headers, Payload(b""))
                    if outcome.status == 401 and refused is None and request.can_repeat():
                        replacement = await self._replace(credential, deadline)
                        if replacement is not None:
                            # Held on to: what the service says of this call can still quote the old key.
                            refused, credential = credential, replacement
                            tell_retry(
                                shared.hooks, request, attempt, 0.0, "status 401, and the key has changed"
                            )
                            continue
                progress = Progress(attempt, deadline, maybe_applied)
                if isinstance(outcome, HttpResponse) and outcome.status in _REFUSALS:
                    raise await self._refusal(request, outcome, credential, progress)
                delay = self._plan_retry(request, outcome, progress, governor)
                maybe_applied = maybe_applied or may_have_acted(request, outcome)
                await await_next_attempt(pool, governor, clock, delay)
                if pool.connector.closed or clock.monotonic() >= deadline:
                    raise cut_short(pool, request, Progress(attempt + 1, deadline, maybe_applied))
                credential = credential and self.key_source.latest
        except ConnectionFailed as error:
            if pool.connector.closed:
                await let_program_end(error)
            raise
        finally:
            if not goes_on:
                pool.leave()

    async def _find_credential(self, request: HttpRequest, timeout: float) -> Credential | None:
        """Return the key for a request where it is not simply the one in use, `None` where none is sent."""
        operation = request.operation
        if operation.authentication == "none":
            return None
        asks = self.key_source.has_key or operation.authentication == "required"
        # Read once: the time to ask again may come between two looks.
        current = self.key_source.current
        if current is None and asks:
            try:
                async with asyncio.timeout(None if timeout == math.inf else timeout):
                    credential = await self.key_source.get()
            except TimeoutError:
                problem: OpenRelayError = RequestTimeout(f"the API key was not there within {timeout:.3g} s")
            except ConfigurationError as error:
                problem = error
            else:
                self.shared.credentials.add(credential)
                return credential
            raise problem._with(**operation.facts())
        return current

    def _note_access(self, request: HttpRequest, credential: Credential, whoami: HttpResponse) -> None:
        """Remember what a key may do, for errors that have to say it, and tell if it expires soon."""
        with importing:
            from openrelay_async.key_inquiry import note_access
        shared, known = self.shared, self.known_secrets(request)
        note_access(credential, whoami, shared.hooks, shared.clock.wall(), known)

    async def _replace(self, refused: Credential | None, deadline: float) -> Credential | None:
        """Return the key that took a refused one's place, `None` if none did in time."""
        if refused is None:
            return None
        remaining = deadline - self.shared.clock.monotonic()
        try:
            async with asyncio.timeout(None if remaining == math.inf else remaining):
                replacement = await self.key_source.replace(refused)
        except (TimeoutError, ConfigurationError):
            # The service's refusal is what the caller has to see.
            return None
        if replacement is not None:
            self.shared.credentials.add(replacement)
        return replacement

    async def _refusal(
        self,
        request: HttpRequest,
        response: HttpResponse,
        credential: Credential | None,
        progress: Progress,
    ) -> OpenRelayError:
        """Return the error of a 401 or 403 with what was needed and what the key has."""
        with importing:
            from openrelay_async.key_inquiry import explain_refusal
        body = parse_error_body(response, self.known_secrets(request))
        error = self._error(request, response, body, None, progress)
        asking = attrs.evolve(self, retry=_ONE_ATTEMPT)

        async def ask(question: HttpRequest, limit: float) -> None:
            await asking._send(question, limit, whole=True)

        remaining = progress.deadline - self.shared.clock.monotonic()
        await explain_refusal(error, request, credential, ask, remaining, self.shared.clock)
        return error

    async def _attempt(
        self,
        request: HttpRequest,
        pool: LoopPool,
        credential: Credential | None,
        attempt: int,
        deadline: float,
        whole: bool,
    ) -> Outcome:
        """Send the request once, inside what is left of the call's time; give its place back after it."""
        shared, clock = self.shared, self.shared.clock
        operation, hooks = request.operation, shared.hooks
        began, outcome = 0.0, None
        keeps_slot, mark = False, object()
        try:
            if credential is not None:
                credential.in_flight.add(mark)
            base_url = self.endpoints.api if operation.host == "api" else self.endpoints.inference
            if hooks.on_response:
                began = clock.monotonic()
            if hooks.on_attempt:
                tell_attempt(hooks, request, attempt, base_url)
            outcome = await shared.session.attempt(
                pool,
                base_url,
                request,
                credential,
                number=attempt,
                limit=self.attempt_timeout,
                within=deadline - clock.monotonic(),
                whole=whole,
            )
            if isinstance(outcome, HttpResponse):
                keeps_slot = outcome.stream is not None
                outcome.attempts = attempt
                recording.keep(shared, operation.id, outcome, attempt)
            return outcome
        finally:
            if credential is not None:
                credential.in_flight.discard(mark)
            if not keeps_slot:
                pool.slots.give_back()
            if hooks.on_response:
                # Here, because an attempt that was cancelled has ended as well.
                elapsed, known = clock.monotonic() - began, self.known_secrets
                tell_response(hooks, request, outcome, attempt=attempt, elapsed=elapsed, known=known)

    def _plan_retry(
        self, request: HttpRequest, outcome: Outcome, progress: Progress, governor: Governor
    ) -> float:
        """Return the seconds to wait before the next attempt; after a 429 all calls slow down.

        Raises:
            OpenRelayError: there is none, so this is the call's error.
        """
        shared, clock = self.shared, self.shared.clock
        body, retry_after = self._read(request, outcome)
        decision = decide(
            self.retry,
            request,
            outcome,
            attempt=progress.attempt,
            code=body.code,
            retry_after=retry_after,
            remaining=progress.deadline - clock.monotonic(),
            jitter=clock.uniform(0.0, 1.0),
        )
        refused = isinstance(outcome, HttpResponse) and outcome.status == 429 and body.code != "slow_down"
        if refused and isinstance(outcome, HttpResponse):
            # As long as this call itself waits: of many that are refused together, none finds the way free.
            least = decision.delay if decision.retry else self.retry.backoff(progress.attempt)
            wait = max(least, retry_after or 0.0)
            # What is not waited for must not keep all other calls waiting: one of them may ask again.
            governor.refuse(min(wait, self.retry.max_retry_after), outcome.headers)
        # The budget is for a service that fails; one that asks for less is given less by the governor.
        if not decision.retry or not (refused or shared.budget.spend()):
            error = self._error(request, outcome, body, retry_after, progress)
            if decision.lacks_time:
                error._again_after = decision.delay
            raise error
        tell_retry(shared.hooks, request, progress.attempt, decision.delay, decision.reason)
        return decision.delay

    def _missed_turn(
        self,
        pool: LoopPool,
        governor: Governor,
        request: HttpRequest,
        outcome: Outcome | None,
        progress: Progress,
    ) -> OpenRelayError:
        """Return the error of a call whose turn does not come: the 429 that it came to, if it was sent."""
        is_closed, pause = pool.connector.closed, governor.blocked_for()
        error: OpenRelayError
        if not isinstance(outcome, HttpResponse) or outcome.status != 429 or is_closed:
            error = miss_turn(pool, governor, request, progress)
        else:
            made = progress._replace(attempt=progress.attempt - 1)
            error = self._error(request, outcome, *self._read(request, outcome), made)
        if not is_closed and pause <= self.retry.max_retry_after:
            error._again_after = pause
        return error

    def _read(self, request: HttpRequest, outcome: Outcome) -> tuple[ErrorBody, float | None]:
        """Return what an answer says of its error, and the seconds that it asks to wait."""
        if not isinstance(outcome, HttpResponse):
            return ErrorBody(), None
        headers = outcome.headers
        retry_after = parse_retry_after(
            headers.get("Retry-After"), date=headers.get("Date"), now=self.shared.clock.wall()
        )
        return parse_error_body(outcome, self.known_secrets(request)), retry_after

    def known_secrets(self, request: HttpRequest) -> list[Secret]:
        """Return what no text of the service may show: the keys in use, and what this request has sent."""
        return [*self.shared.known_secrets(), *request.secrets()]

    def _error(
        self,
        request: HttpRequest,
        outcome: Outcome,
        body: ErrorBody,
        retry_after: float | None,
        progress: Progress,
    ) -> OpenRelayError:
        if isinstance(outcome, AttemptFailure):
            return error_from_failure(
                request, outcome, attempts=progress.attempt, maybe_applied=progress.maybe_applied
            )
        return error_from_response(
            request,
            outcome,
            body,
            attempts=progress.attempt,
            retry_after=retry_after,
            maybe_applied=progress.maybe_applied,
            known=self.known_secrets(request),
        )
