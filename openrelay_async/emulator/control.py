"""Control endpoints under `/_emulator/`, for tests in other languages and processes; only when asked for.

They need no key, so they are off by default. A web page cannot use them unasked: what changes something
must be `application/json` or a method that browsers ask about first, and no answer allows another origin.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol, cast

import attrs
import orjson

from openrelay_async.clock import Clock
from openrelay_async.emulator.answers import NO_CONTENT, Answer, bad_request, moment, not_found
from openrelay_async.emulator.areas.account.founding import FoundedOrganization
from openrelay_async.emulator.arguments import find_text_problem
from openrelay_async.emulator.fault_fields import find_fault_problem, find_missing_status
from openrelay_async.emulator.faults import Fault, FaultPlan
from openrelay_async.emulator.seen import SeenRequest
from openrelay_async.errors import ConfigurationError

PREFIX = "/_emulator/"


class Operated(Protocol):
    """What the endpoints do to an emulator."""

    @property
    def faults(self) -> FaultPlan: ...
    @property
    def clock(self) -> Clock: ...
    @property
    def requests(self) -> list[SeenRequest]: ...
    def clear_requests(self) -> None: ...
    def reset(self) -> FoundedOrganization: ...
    def add_organization(self, name: str) -> FoundedOrganization: ...
    def advance(self, seconds: float) -> None: ...
    def sign_in(self, email: str, password: str) -> str: ...


class Control:
    """Answers the control endpoints of one emulator."""

    def __init__(self, emulator: Operated) -> None:
        self._emulator = emulator
        self._endpoints: Mapping[tuple[str, str], Callable[[dict[str, object]], Answer]] = {
            ("POST", "reset"): self._reset,
            ("POST", "seed"): self._seed,
            ("GET", "faults"): self._list_faults,
            ("POST", "faults"): self._add_faults,
            ("DELETE", "faults"): self._clear_faults,
            ("GET", "clock"): self._read_clock,
            ("POST", "clock"): self._turn_clock,
            ("GET", "requests"): self._list_requests,
            ("DELETE", "requests"): self._clear_requests,
            ("POST", "login"): self._log_in,
        }

    def answer(self, method: str, path: str, content_type: str, raw_body: bytes) -> Answer:
        """Raises `Refusal` for what is no endpoint, or no JSON."""
        endpoint = self._endpoints.get((method, path.removeprefix(PREFIX)))
        if endpoint is None:
            raise not_found("control endpoint")
        if method != "POST":
            return endpoint({})
        if content_type != "application/json":
            raise bad_request("Content-Type", "must be application/json")
        try:
            body: object = orjson.loads(raw_body or b"{}")
        except orjson.JSONDecodeError:
            body = None
        if not isinstance(body, dict):
            raise bad_request("body", "must be a JSON object")
        return endpoint(body)

    def _reset(self, body: dict[str, object]) -> Answer:
        return Answer(_render_founded(self._emulator.reset()))

    def _seed(self, body: dict[str, object]) -> Answer:
        names = body.get("organizations", [])
        if not isinstance(names, list) or any(find_text_problem(name) for name in names):
            raise bad_request("organizations", "must be a list of names")
        founded = [self._emulator.add_organization(name) for name in cast("list[str]", names)]
        return Answer({"organizations": [_render_founded(item) for item in founded]})

    def _list_faults(self, body: dict[str, object]) -> Answer:
        return Answer({"faults": [attrs.asdict(fault) for fault in self._emulator.faults]})

    def _add_faults(self, body: dict[str, object]) -> Answer:
        wanted = body.get("faults")
        if not isinstance(wanted, list):
            raise bad_request("faults", "must be a list of objects")
        faults = [_read_fault(item, index) for index, item in enumerate(wanted)]
        self._emulator.faults.add(*faults)
        return NO_CONTENT

    def _clear_faults(self, body: dict[str, object]) -> Answer:
        self._emulator.faults.clear()
        return NO_CONTENT

    def _read_clock(self, body: dict[str, object]) -> Answer:
        now = self._emulator.clock.wall()
        return Answer({"now": moment(now), "unix": now})

    def _turn_clock(self, body: dict[str, object]) -> Answer:
        seconds = body.get("advance")
        if not isinstance(seconds, int | float) or isinstance(seconds, bool) or not 0 <= seconds <= 10**9:
            raise bad_request("advance", "must be a number of seconds from 0 to 1000000000")
        try:
            self._emulator.advance(seconds)
        except ConfigurationError as error:  # as far as it goes it has been turned already
            raise bad_request("advance", error.message.removeprefix("seconds ")) from None
        return self._read_clock({})

    def _list_requests(self, body: dict[str, object]) -> Answer:
        return Answer({"requests": [_render_seen(seen) for seen in self._emulator.requests]})

    def _clear_requests(self, body: dict[str, object]) -> Answer:
        self._emulator.clear_requests()
        return NO_CONTENT

    def _log_in(self, body: dict[str, object]) -> Answer:
        email, password = body.get("email"), body.get("password")
        if not isinstance(email, str) or not isinstance(password, str):
            raise bad_request("email", "email and password must be texts")
        return Answer({"session_token": self._emulator.sign_in(email, password)})


def _render_founded(founded: FoundedOrganization) -> dict[str, object]:
    return {
        "name": founded.name,
        "org_id": founded.org_id,
        "user_id": founded.user_id,
        "api_key": founded.api_key,
        "session_token": founded.session_token,
    }


def _render_seen(seen: SeenRequest) -> dict[str, object]:
    # Not the query and the body, which hold secrets: these endpoints ask nobody for a key.
    return {
        "method": seen.method,
        "path": seen.path,
        "operation": seen.operation,
        "status": seen.status,
        "headers": {name.lower(): value for name, value in seen.headers.items()},
        "request_id": seen.request_id,
        "at": seen.at,
        "fault": None if seen.fault is None else attrs.asdict(seen.fault),
    }


def _read_fault(item: object, index: int) -> Fault:
    where = f"faults[{index}]"
    if not isinstance(item, dict):
        raise bad_request(where, "must be an object")
    given: dict[str, object] = item
    for name, value in given.items():
        problem = find_fault_problem(name, value)
        if problem is not None:
            raise bad_request(f"{where}.{name}", problem)
    missing = find_missing_status(given)
    if missing is not None:
        raise bad_request(f"{where}.{missing}", "needs a status: it is a part of that answer")
    return Fault(**given)  # type: ignore[arg-type] # the fields were checked one by one
