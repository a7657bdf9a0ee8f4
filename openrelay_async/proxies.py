"""Which proxy a request goes through: the caller's, or the one that the environment names.

aiohttp could read the environment by itself (`trust_env`), but then a netrc entry would replace our
Authorization header.
"""

from __future__ import annotations

import base64
from typing import NamedTuple
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from yarl import URL

from openrelay_async.config import check_readable, is_loopback
from openrelay_async.errors import ConfigurationError
from openrelay_async.redaction import HeaderValue, Secret


class Proxy(NamedTuple):
    """A proxy, apart from the password in its URL: the URL stands in the frames of every call."""

    url: URL
    """Without user and password."""
    authorization: HeaderValue | None
    """For the header `Proxy-Authorization`."""


def check_proxy(url: object, *, source: str) -> Proxy:
    """Return the proxy of a URL, which may hold a password.

    Args:
        url: a `Secret`; anything else is refused.

    Raises:
        ConfigurationError: not an http(s) URL. Nothing of it is in the message.
    """
    proxy = _read_proxy(check_readable(url, source)) if isinstance(url, Secret) else None
    if proxy is None:
        raise ConfigurationError(f"{source} must be a URL such as http://proxy.example:3128")
    return proxy


def _read_proxy(given: Secret) -> Proxy | None:
    try:
        parts = urlsplit(given.reveal())
        if parts.scheme not in {"http", "https"} or not parts.hostname or parts.port == 0:
            return None
        url = URL(given.reveal())
    except ValueError:
        return None
    if url.user is None and url.password is None:
        return Proxy(url, None)
    # UTF-8, which is Latin-1 where both are ASCII: RFC 7617, section 2.1.
    pair = base64.b64encode(f"{url.user or ''}:{url.password or ''}".encode()).decode()
    return Proxy(url.with_user(None), HeaderValue(f"Basic {pair}"))


def choose_proxy(given: Proxy | None, url: str) -> Proxy | None:
    """Return the proxy for requests to `url`: the caller's, else the environment's, or none.

    What is sent to this machine over `http://` goes through none elsewhere: this machine is the only place
    where a key may travel in clear.

    Raises:
        ConfigurationError: the environment names one that cannot be.
    """
    if given is None:
        return proxy_from_environment(url)
    parts = urlsplit(url)
    stays_here = parts.scheme == "http" and is_loopback(parts.hostname or "")
    return None if stays_here and not is_loopback(given.url.host or "") else given


def proxy_from_environment(url: str) -> Proxy | None:
    """Return the proxy that `HTTPS_PROXY`, `ALL_PROXY` and `NO_PROXY` name for `url`, as urllib reads them.

    What is sent to this machine over `http://` never goes through one.
    """
    scheme = urlsplit(url).scheme
    proxy = _find_in_environment(url)
    return None if proxy is None else check_proxy(proxy, source=f"the environment's {scheme.upper()}_PROXY")


def _find_in_environment(url: str) -> Secret | None:
    parts = urlsplit(url)
    host = parts.hostname or ""
    if parts.scheme == "http" and is_loopback(host):
        return None
    proxies = getproxies()
    proxy = proxies.get(parts.scheme) or proxies.get("all")
    if not proxy or proxy_bypass(host if parts.port is None else f"{host}:{parts.port}"):
        return None
    return Secret(proxy if "://" in proxy else f"http://{proxy}")
