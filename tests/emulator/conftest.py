"""Fixtures of the emulator's tests: an emulator with a clock that is turned, and a plain HTTP caller.

The caller checks every answer against the description, by a reading of the tests' own: what the emulator
sends must be what the service may send, with all that either generation requires.
"""

from __future__ import annotations

import copy
import json
import re
from collections.abc import AsyncIterator, Callable
from functools import cache
from pathlib import Path
from typing import Any

import aiohttp
import attrs
import jsonschema
import pytest

from openrelay_async.emulator import Emulator, TurnedClock

ROOT = Path(__file__).resolve().parents[2]


@cache
def description() -> dict[str, Any]:
    """The description, with `x-required-in` of all generations made plain `required`."""
    document = json.loads((ROOT / "api_description/openrelay.json").read_text())
    for schema in document["components"]["schemas"].values():
        demanded = {name for names in schema.get("x-required-in", {}).values() for name in names}
        if demanded:
            schema["required"] = sorted({*schema.get("required", ()), *demanded})
    return document


@cache
def operations() -> dict[tuple[str, str], dict[str, Any]]:
    return {
        (method.upper(), path): node
        for path, item in description()["paths"].items()
        for method, node in item.items()
    }


def find_operation(method: str, path: str) -> dict[str, Any] | None:
    """By the tests' own matching: the template with the most fixed segments wins."""
    fitting = []
    for (wanted, template), node in operations().items():
        pattern = re.sub(r"\{\w+\}", "[^/]+", template)
        if wanted == method and re.fullmatch(pattern, path.split("?")[0]):
            fitting.append((template.count("{"), template, node))
    return min(fitting, key=lambda item: item[:2])[2] if fitting else None


@cache
def validator(pointer: str) -> jsonschema.Draft202012Validator:
    schema = copy.deepcopy(json.loads(pointer))
    schema["components"] = description()["components"]
    return jsonschema.Draft202012Validator(schema, format_checker=jsonschema.FormatChecker())


def check_answer(method: str, path: str, status: int, body: object) -> None:
    """The answer is one that the description has for this operation."""
    node = find_operation(method, path)
    if node is None:
        return
    declared = node["responses"].get(str(status))
    if declared is None:
        # Errors that any operation may give are not listed at each one.
        assert status >= 400, f"{node['operationId']} answered {status}, which it never does"
        inference = node["x-openrelay"].get("host") == "inference"
        schema: dict[str, Any] = {
            "$ref": f"#/components/schemas/{'InferenceError' if inference else 'Error'}"
        }
    else:
        content = declared.get("content", {}).get("application/json")
        if content is None:
            return
        schema = content["schema"]
    errors = list(validator(json.dumps(schema)).iter_errors(body))
    assert not errors, f"{node['operationId']} {status}: {errors[0].json_path}: {errors[0].message}"


@attrs.frozen
class Answered:
    """A response that has been read."""

    status: int
    json: Any
    raw: bytes = attrs.field(repr=False)
    headers: Any = attrs.field(repr=False)

    @property
    def code(self) -> str | None:
        return self.json.get("code") if isinstance(self.json, dict) else None


@attrs.frozen
class Api:
    """Calls an emulator as curl would, and checks what comes back."""

    url: str
    token: str = attrs.field(repr=False)
    org_id: str
    session: aiohttp.ClientSession

    def with_token(self, token: str, org_id: str | None = None) -> Api:
        return attrs.evolve(self, token=token, org_id=org_id or self.org_id)

    async def __call__(self, method: str, path: str, json: object = None, **options: Any) -> Answered:
        path = path.replace("{org}", self.org_id)
        headers = {"Authorization": f"Bearer {self.token}", **options.pop("headers", {})}
        if json is not None:
            options["json"] = json
        async with self.session.request(method, self.url + path, headers=headers, **options) as response:
            raw = await response.read()
            answered = Answered(response.status, _parse(raw), raw, response.headers)
        assert answered.headers["X-Request-Id"]
        assert answered.headers["Date"]
        check_answer(method, path, answered.status, answered.json)
        return answered

    async def get(self, path: str, **options: Any) -> Any:
        return await self._expect_success("GET", path, None, options)

    async def post(self, path: str, json: object = None, **options: Any) -> Any:
        return await self._expect_success("POST", path, json, options)

    async def _expect_success(self, method: str, path: str, json: object, options: dict[str, Any]) -> Any:
        answered = await self(method, path, json, **options)
        assert answered.status < 300, f"{method} {path}: {answered.status} {answered.raw!r}"
        return answered.json


def _parse(raw: bytes) -> Any:
    try:
        return json.loads(raw)
    except ValueError:
        return None


@pytest.fixture(scope="session")
def answer_checker() -> Callable[[str, str, int, object], None]:
    """Fails on an answer that the description does not have: (method, path, status, body)."""
    return check_answer


@pytest.fixture
def clock() -> TurnedClock:
    return TurnedClock()


@pytest.fixture
async def emulator(clock: TurnedClock) -> AsyncIterator[Emulator]:
    async with Emulator(clock=clock) as running:
        yield running


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


@pytest.fixture
def connect(http: aiohttp.ClientSession) -> Callable[[Emulator], Api]:
    """A caller of any emulator, with its first key."""

    def connect(running: Emulator) -> Api:
        return Api(running.url, running.api_key, running.org_id, http)

    return connect


@pytest.fixture
def api(emulator: Emulator, connect: Callable[[Emulator], Api]) -> Api:
    """A caller with a key that has every scope."""
    return connect(emulator)


@pytest.fixture
def user(emulator: Emulator, api: Api) -> Api:
    """The same person with a dashboard session."""
    return api.with_token(emulator.session_token)
