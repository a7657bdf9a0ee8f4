"""R4.1: what is refused before anything is sent stands in no frame either, whatever shape it was given in."""

from __future__ import annotations

import importlib
import logging
import pickle
import pkgutil
import traceback
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import openrelay_async.generated.models as generated_models
from openrelay_async import AsyncClient, RetryPolicy, Secret, install_redaction, models
from openrelay_async.errors import ConfigurationError, OpenRelayError
from openrelay_async.log_redaction import RedactionFilter
from openrelay_async.model import ApiModel
from openrelay_async.model_classes import WireField
from openrelay_async.structuring import StructureError
from openrelay_async.webhooks import ASGIReceiver, Inbox, WebhookSecrets, aiohttp_handler, sign, verify
from openrelay_sync import Client
from tests.canary.leaks import leaks_of_error

ONCE = RetryPolicy(max_attempts=1)
NOWHERE = "http://127.0.0.1:9"
LOGGER = logging.getLogger("test.refusals")


def error_of(call: Callable[[], object]) -> BaseException:
    try:
        call()
    except Exception as error:
        return error
    pytest.fail("the call was to fail")


def assert_hidden(canary: str, error: BaseException) -> None:
    assert leaks_of_error(canary, error) == []
    shown = traceback.TracebackException.from_exception(error, capture_locals=True)
    own = [frame for frame in shown.stack if "/openrelay_" in frame.filename]
    assert [frame.name for frame in own if canary in repr(frame.locals)] == []


RAW_REQUESTS: dict[str, Callable[[str], dict[str, Any]]] = {
    "a header of the client's own": lambda canary: {"headers": {"Authorization": f"Bearer {canary}"}},
    "a header with a line break": lambda canary: {"headers": {"X-Token": f"{canary}\n"}},
    "headers in pairs": lambda canary: {"headers": [("X-Token", canary)]},
    "a bad path": lambda canary: {
        "path": "v1/x", "json": {"password": canary}, "params": {"t": canary}, "idempotency_key": canary,
    },
    "a body that JSON cannot have": lambda canary: {"json": {"password": canary, "other": object()}},
    "a body of no Unicode": lambda canary: {"json": {"password": f"{canary}\ud800"}},
    "a mapping that fails": lambda canary: {"json": [canary, Unprintable()]},
    "a parameter that a query cannot have": lambda canary: {"params": {"t": [[canary]]}},
    "a wrong idempotency key": lambda canary: {"idempotency_key": f"{canary} x"},
    "a wrong method": lambda canary: {"method": "TRACE", "headers": {"X-Token": canary}},
    "a wrong timeout": lambda canary: {"timeout": -1, "headers": {"X-Token": canary}, "json": {"p": canary}},
}  # fmt: skip


class Unprintable(dict[str, object]):
    """A mapping whose items fail, as lazy ones may."""

    def items(self) -> Any:
        raise LookupError("no items")


@pytest.mark.parametrize("name", RAW_REQUESTS)
async def test_no_frame_shows_what_a_refused_raw_request_was_given(name: str, canary: str) -> None:
    given = {"method": "POST", "path": "/v1/x", **RAW_REQUESTS[name](canary)}
    async with AsyncClient("k" * 30, base_url=NOWHERE, retry=ONCE) as client:
        error: BaseException | None = None
        try:
            await client.request(**given)
        except Exception as raised:
            error = raised
    assert isinstance(error, ValueError | TypeError | LookupError)
    assert not isinstance(error, OpenRelayError) or isinstance(error, ConfigurationError)
    assert_hidden(canary, error)


@pytest.mark.parametrize("name", RAW_REQUESTS)
def test_no_frame_shows_what_a_refused_raw_request_of_a_sync_client_was_given(name: str, canary: str) -> None:
    given = {"method": "POST", "path": "/v1/x", **RAW_REQUESTS[name](canary)}
    with Client("k" * 30, base_url=NOWHERE, retry=ONCE) as client:
        error = error_of(lambda: client.request(**given))
    assert isinstance(error, ValueError | TypeError | LookupError)
    assert_hidden(canary, error)


WRONG_SHAPES: dict[str, Callable[[str], dict[str, Any]]] = {
    "key in a tuple": lambda canary: {"api_key": (canary,)},
    "key in a list": lambda canary: {"api_key": [canary]},
    "key in a mapping": lambda canary: {"api_key": {"key": canary}},
    "key as a bytearray": lambda canary: {"api_key": bytearray(canary.encode())},
    "proxy in a tuple": lambda canary: {"proxy": (f"http://user:{canary}@proxy:3128",)},
    "address in a tuple": lambda canary: {"base_url": (f"https://user:{canary}@api.example",)},
    "headers in pairs": lambda canary: {"default_headers": [("X-Token", canary)]},
    "header in a list": lambda canary: {"default_headers": {"X-Token": [canary]}},
    "header as bytes": lambda canary: {"default_headers": {"X-Token": canary.encode()}},
}


@pytest.mark.parametrize("make", [AsyncClient, Client])
@pytest.mark.parametrize("name", WRONG_SHAPES)
def test_no_frame_shows_an_argument_of_a_wrong_shape(
    name: str, make: Callable[..., Any], canary: str
) -> None:
    error = error_of(lambda: make(**WRONG_SHAPES[name](canary)))
    assert isinstance(error, ConfigurationError)
    assert_hidden(canary, error)


@pytest.mark.parametrize("name", [name for name in WRONG_SHAPES if name.startswith("key")])
def test_no_frame_of_a_view_shows_a_key_of_a_wrong_shape(name: str, canary: str) -> None:
    given = WRONG_SHAPES[name](canary)
    assert_hidden(canary, error_of(lambda: AsyncClient("k" * 30).with_options(**given)))
    with Client("k" * 30) as client:
        assert_hidden(canary, error_of(lambda: client.with_options(**given)))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"api_key": ("k",)}, "api_key must be .*, not tuple"),
        ({"api_key": b"k"}, "api_key must be .*, not bytes"),
        ({"default_headers": {"X": ["a"]}}, r"default_headers\['X'\] must be str, not list"),
        ({"default_headers": {"X": None}}, r"default_headers\['X'\] must be str, not NoneType"),
        ({"default_headers": [("X", "y")]}, "default_headers must be a mapping .*, not list"),
        ({"base_url": 7}, "base_url must be str, not int"),
    ],
)
def test_what_has_a_wrong_shape_is_called_by_its_own_type(arguments: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        AsyncClient(**arguments)


@pytest.mark.parametrize(
    "arguments",
    [
        lambda sealed: {"api_key": sealed},
        lambda sealed: {"base_url": sealed},
        lambda sealed: {"inference_url": sealed},
        lambda sealed: {"proxy": sealed},
        lambda sealed: {"default_headers": {"X-Token": sealed}},
    ],
)
def test_a_secret_that_was_pickled_is_refused_as_such(
    arguments: Callable[[Secret], dict[str, Any]],
) -> None:
    sealed: Secret = pickle.loads(pickle.dumps(Secret("https://proxy.example")))  # noqa: S301 - made here
    with pytest.raises(ConfigurationError, match="pickled"):
        AsyncClient(**arguments(sealed))


# Of any type, as arguments are where no type checker looks.
FIVE: Any = 5
WORD: Any = "x"
NOBODY: Any = print

WEBHOOKS: dict[str, Callable[[Any], object]] = {
    "verify with a wrong time": lambda canary: verify(b"{}", {}, [canary], now=WORD),
    "verify with a wrong tolerance": lambda canary: verify(b"{}", {}, canary, tolerance=-1),
    "verify with a wrong header": lambda canary: verify(b"{}", {}, canary, signature_header=FIVE),
    "verify a private body with a wrong time": lambda canary: verify(canary.encode(), {}, "s", now=WORD),
    "verify with a secret and a number": lambda canary: verify(b"{}", {}, [canary, FIVE]),
    "secrets and a number": lambda canary: WebhookSecrets(canary, FIVE),
    "secrets as bytes": lambda canary: WebhookSecrets(canary.encode()),
    "a secret as bytes": lambda canary: WebhookSecrets().add(canary.encode()),
    "a secret in a list": lambda canary: WebhookSecrets().add([canary]),  # type: ignore[arg-type]  # on purpose
    "a retired secret as bytes": lambda canary: WebhookSecrets().retire(canary.encode(), at=0),
    "sign with bytes": lambda canary: sign(b"{}", canary.encode()),
    "an inbox with a number": lambda canary: Inbox(NOBODY, secrets=[canary, FIVE]),
    "an inbox with bytes": lambda canary: Inbox(NOBODY, secrets=canary.encode()),
    "an inbox with a wrong queue": lambda canary: Inbox(NOBODY, secrets=canary, queue_size=0),
    "an ASGI receiver with a number": lambda canary: ASGIReceiver(NOBODY, secrets=[canary, FIVE]),
    "an aiohttp handler with a number": lambda canary: aiohttp_handler(NOBODY, secrets=[canary, FIVE]),
    "redaction of a number": lambda canary: install_redaction(LOGGER, known=[canary, FIVE]),
    "redaction of bytes": lambda canary: install_redaction(LOGGER, known=[canary.encode()]),
    "a filter of a number": lambda canary: RedactionFilter([canary, FIVE]),
}


@pytest.mark.parametrize("name", WEBHOOKS)
def test_no_frame_shows_the_secrets_of_webhooks_and_of_redaction(name: str, canary: str) -> None:
    assert_hidden(canary, error_of(lambda: WEBHOOKS[name](canary)))
    assert LOGGER.filters == []


def secret_fields() -> Iterator[tuple[type[ApiModel], WireField]]:
    for module in pkgutil.iter_modules(generated_models.__path__):
        for model in vars(importlib.import_module(f"{generated_models.__name__}.{module.name}")).values():
            for field in getattr(model, "wire_fields", ()) if isinstance(model, type) else ():
                if "secret" in field[2]:
                    yield model, field


def test_no_frame_shows_a_models_secret_when_it_cannot_be_made(canary: str) -> None:
    """By hand and from the wire; the half-made model can be shown too."""
    checked = 0
    for model, (attribute, wire_name, kind, _, _) in secret_fields():
        value = canary if kind == "secret" else {"a": canary} if kind[0] == "map" else [canary]
        for arguments in (
            {attribute: value},
            {attribute: value, "bogus": canary},
            {"bogus": 1, attribute: value},
        ):
            try:
                made: object = model(**arguments)
            except TypeError as error:
                assert_hidden(canary, error)
            else:
                assert canary not in repr(made)
        for raw in ([{wire_name: value}], f"{value}", {wire_name: value, "a": 1}):
            try:
                model.from_wire(raw)  # type: ignore[arg-type]
            except StructureError as error:
                assert_hidden(canary, error)
        checked += 1
    assert checked > 20


def test_a_model_without_an_argument_says_which_and_can_be_shown(canary: str) -> None:
    error = error_of(lambda: models.CreateApiKeyResult(key=canary))  # type: ignore[call-arg]
    assert str(error).startswith("CreateApiKeyResult needs the argument '")
    assert_hidden(canary, error)
    assert repr(ApiModel.__new__(models.CreateApiKeyResult)) == "CreateApiKeyResult()"
