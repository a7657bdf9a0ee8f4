"""How a client is set up: addresses, limits, headers, each checked when it is given."""

from __future__ import annotations

import ipaddress
import math
import platform
import re
from collections.abc import Mapping
from typing import NamedTuple, overload
from urllib.parse import urlsplit

from attrs import Attribute, field, frozen

from openrelay_async.clock import Clock
from openrelay_async.errors import ConfigurationError
from openrelay_async.redaction import HeaderValue, Secret, stand_in_for
from openrelay_async.version import __version__

DEFAULT_API_URL = "https://api.openrelay.inc"
_INFERENCE_OF = {
    DEFAULT_API_URL: "https://inference.openrelay.inc",
    "https://api.beta.openrelay.inc": "https://inference.beta.openrelay.inc",
}

# The client makes these itself: a caller's value would break authentication or the message's framing.
_OWN_HEADERS = frozenset(
    {"authorization", "host", "content-length", "transfer-encoding", "connection", "idempotency-key"}
)
# Compiled when they are first needed: most clients set no header.
_HEADER_NAME = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_HEADER_VALUE = r"[\t\x20-\x7e\x80-\xff]*"


def check_seconds(name: str, value: object) -> float:
    """Return a limit in seconds; it must be a number above zero, `math.inf` for no limit.

    Raises:
        ConfigurationError: anything else.
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ConfigurationError(f"{name} must be a number of seconds, not {type(value).__name__}")
    if math.isnan(value) or value <= 0:
        raise ConfigurationError(f"{name} must be above 0 seconds, not {value}")
    return float(value)


def check_patience(name: str, value: object) -> float:
    """Return how long to wait for something in seconds; `True` is as long as it takes.

    Raises:
        ConfigurationError: neither `True` nor seconds above zero.
    """
    return math.inf if value is True else check_seconds(name, value)


def check_delay(name: str, value: object) -> float:
    """Return a time in seconds that may be zero.

    Raises:
        ConfigurationError: anything but a number of zero or more.
    """
    return 0.0 if value == 0 and not isinstance(value, bool) else check_seconds(name, value)


def check_rate(name: str, value: object) -> float:
    """Return a number of requests a second; it must be above zero.

    Raises:
        ConfigurationError: anything else.
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ConfigurationError(f"{name} must be a number, not {type(value).__name__}")
    if not 0 < value < math.inf:
        raise ConfigurationError(f"{name} must be above 0, not {value}")
    return float(value)


def check_integer(name: str, value: object, *, minimum: int) -> int:
    """Return a whole number of at least `minimum`.

    Raises:
        ConfigurationError: anything else.
    """
    if isinstance(value, bool) or not isinstance(value, int) or value < minimum:
        # Only a number is shown: another value may be a key that went astray.
        shown = str(value) if type(value) is int else type(value).__name__
        raise ConfigurationError(f"{name} must be an integer of at least {minimum}, not {shown}")
    return value


def check_clock(clock: Clock) -> Clock:
    """Return a clock that has all of a clock's methods.

    Raises:
        ConfigurationError: it has not.
    """
    if not isinstance(clock, Clock):
        raise ConfigurationError(
            f"clock must have the methods monotonic, wall, sleep and uniform; {type(clock).__name__} has not"
        )
    return clock


def positive_integer(instance: object, attribute: Attribute[int], value: int) -> None:
    """Validate a field: see `check_integer`."""
    check_integer(attribute.name, value, minimum=1)


def seconds(instance: object, attribute: Attribute[float], value: float) -> None:
    """Validate a field: see `check_seconds`."""
    check_seconds(attribute.name, value)


def delay(instance: object, attribute: Attribute[float], value: float) -> None:
    """Validate a field: see `check_delay`."""
    check_delay(attribute.name, value)


def _optional_seconds(instance: object, attribute: Attribute[float | None], value: float | None) -> None:
    if value is not None:
        check_seconds(attribute.name, value)


@frozen(kw_only=True)
class PoolLimits:
    """What a client may use of connections and memory. Each event loop has a pool of its own."""

    max_connections: int = field(default=100, validator=positive_integer)
    """Requests under way at once; further calls wait in a queue, first come, first served."""
    queue_timeout: float | None = field(default=None, validator=_optional_seconds)
    """Seconds a call may wait for a connection before `LocalQueueTimeout`; `None`: as long as its timeout."""
    idle: float = field(default=15.0, validator=seconds)
    """Seconds after which an idle connection is closed; keep it below what the server allows."""
    max_body: int = field(default=64 * 1024 * 1024, validator=positive_integer)
    """Bytes of a decompressed answer above which it is refused. Downloads that stream have no limit."""


class Endpoints(NamedTuple):
    """The addresses of the service, without a slash at the end."""

    api: str
    inference: str

    def uses_tls(self) -> bool:
        """Whether one of them is reached over TLS."""
        return any(url.startswith("https:") for url in (self.api, self.inference))

    def sends_in_clear(self) -> str | None:
        """Return the address to which a key would travel unencrypted, if there is one."""
        return next((url for url in (self.api, self.inference) if not _is_private_path(url)), None)


def resolve_endpoints(base_url: str | Secret | None, inference_url: str | Secret | None) -> Endpoints:
    """Return the checked addresses; the inference host follows from the API's.

    An address that is neither production nor beta stands for both hosts: a key for it must not travel to
    production.

    Raises:
        ConfigurationError: not an http(s) URL, or one with a user, a query or a fragment.
    """
    # A URL can carry a password: until it is known that this one does not, no frame shows it.
    given_api = Secret(DEFAULT_API_URL) if base_url is None else conceal_text(base_url)
    given_inference = conceal_text(inference_url)
    del base_url, inference_url
    api = _check_url("base_url", given_api)
    if given_inference is None:
        return Endpoints(api, _INFERENCE_OF.get(api, api))
    return Endpoints(api, _check_url("inference_url", given_inference))


@overload
def conceal_text(value: str | Secret) -> Secret: ...
@overload
def conceal_text(value: str | Secret | None) -> Secret | None: ...
def conceal_text(value: object) -> object:
    """Return a text as a `Secret`, and for what will be refused a stand-in: no traceback shows either."""
    if isinstance(value, str):
        return Secret(value)
    return value if value is None or isinstance(value, Secret) else stand_in_for(value)


def check_readable(secret: Secret, name: str) -> Secret:
    """Return a secret that has its text.

    Raises:
        ConfigurationError: it was pickled, which leaves only its mask.
    """
    try:
        secret.reveal()
    except ValueError:
        pass
    else:
        return secret
    raise ConfigurationError(
        f"{name} is a Secret that was pickled, so its text is gone: read it where it was made"
    )


def _check_url(name: str, url: object) -> str:
    if not isinstance(url, Secret):
        raise ConfigurationError(f"{name} must be str, not {type(url).__name__}")
    problem = _find_url_problem(check_readable(url, name))
    if problem is not None:
        raise ConfigurationError(f"{name} {problem}")
    parts = urlsplit(url.reveal().strip())
    return f"{parts.scheme}://{parts.netloc.lower()}{parts.path.rstrip('/')}"


def _find_url_problem(given: Secret) -> str | None:
    """Return what is wrong with a URL, without a word of it."""
    url = given.reveal().strip()
    try:
        parts = urlsplit(url)
        port_is_valid = parts.port != 0
    except ValueError:
        return f"must be a URL such as {DEFAULT_API_URL}"
    if parts.scheme not in {"http", "https"} or not parts.hostname or not port_is_valid:
        return f"must be a URL such as {DEFAULT_API_URL}"
    if "@" in parts.netloc:
        return "must not have a user or password in it; use api_key="
    if parts.query or parts.fragment:
        return "must not have a query or fragment"
    if not url.isascii() or any(c.isspace() for c in url):
        return "has characters that a URL cannot have"
    return None


def _is_private_path(url: str) -> bool:
    """Return whether what is sent to `url` can be read by nobody on the way: TLS, or this machine."""
    parts = urlsplit(url)
    return parts.scheme == "https" or is_loopback(parts.hostname or "")


def is_loopback(host: str) -> bool:
    """Return whether a host name or address is this machine's own."""
    if host == "localhost":  # not what ends so: not every resolver keeps these here
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def conceal_headers(headers: object) -> object:
    """Return headers with their values as `Secret`: some carry a token. It cannot fail."""
    if not isinstance(headers, Mapping):
        return None if headers is None else stand_in_for(headers)
    return {
        key: stand_in_for(value) if value is None else conceal_text(value) for key, value in headers.items()
    }


def check_headers(headers: object, *, name: str) -> dict[str, str]:
    """Return headers that may be sent with every request; no frame shows their values.

    A name that comes twice, in another case, is one header: the last value counts.

    Args:
        headers: a mapping of names to `str` or `Secret`, or `None`.

    Raises:
        ConfigurationError: not text, not valid in HTTP, or one that the client makes itself.
    """
    given = conceal_headers({} if headers is None else headers)
    del headers
    if not isinstance(given, Mapping):
        raise ConfigurationError(f"{name} must be a mapping of names to values, not {type(given).__name__}")
    checked: dict[str, str] = {}
    for key, value in given.items():
        if not isinstance(key, str) or not isinstance(value, Secret):
            kind = type(value if isinstance(key, str) else key).__name__
            raise ConfigurationError(f"{name}[{key!r}] must be str, not {kind}")
        if not re.fullmatch(_HEADER_NAME, key):
            raise ConfigurationError(f"{name} has a name that HTTP does not allow: {key!r}")
        if key.lower() in _OWN_HEADERS:
            raise ConfigurationError(f"{name} must not set {key}: the client makes it itself")
        if not re.fullmatch(_HEADER_VALUE, check_readable(value, f"{name}[{key!r}]").reveal()):
            raise ConfigurationError(f"{name}[{key!r}] has characters that a header cannot have")
        checked = merge_headers(checked, {key: HeaderValue(value.reveal())})
    return checked


def merge_headers(own: Mapping[str, str], given: Mapping[str, str]) -> dict[str, str]:
    """Return both; where they name the same header, in whatever case (RFC 9110, 5.1), what was given."""
    names = {name.lower() for name in given}
    return {**{name: value for name, value in own.items() if name.lower() not in names}, **given}


def make_user_agent(app_name: object) -> str:
    """Return the User-Agent: this library, Python, and the application in front if it has a name."""
    own = f"openrelay-async/{__version__} python/{platform.python_version()}"
    if app_name is None:
        return own
    if not isinstance(app_name, str) or not re.fullmatch(_HEADER_VALUE, app_name) or not app_name.strip():
        raise ConfigurationError("app_name must be printable text, such as 'trainer/1.4'")
    return f"{app_name.strip()} {own}"
