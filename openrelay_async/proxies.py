"""Which proxy a request goes through: the caller's, or the one that the environment names.

aiohttp could read the environment by itself (`trust_env`), but then a netrc entry would replace our
Authorization header.
"""

from __future__ import annotations

from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from openrelay_async.config import is_loopback
from openrelay_async.errors import ConfigurationError
from openrelay_async.redaction import Secret


def check_proxy(url: object, *, source: str) -> Secret:
    """Return a proxy's URL, which may hold a password, if it is one.

    Raises:
        ConfigurationError: not an http(s) URL. Nothing of it is in the message.
    """
    if not isinstance(url, Secret) or not _is_http_url(url):
        raise ConfigurationError(f"{source} must be a URL such as http://proxy.example:3128")
    return url


def _is_http_url(url: Secret) -> bool:
    try:
        parts = urlsplit(url.reveal())
        return parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def proxy_from_environment(url: str) -> Secret | None:
    """Return the proxy that `HTTPS_PROXY`, `ALL_PROXY` and `NO_PROXY` name for `url`, as urllib reads them.

    What stays on this machine never goes through one: it is the only place where a key travels in clear.
    """
    parts = urlsplit(url)
    host = parts.hostname or ""
    if is_loopback(host):
        return None
    proxies = getproxies()
    proxy = proxies.get(parts.scheme) or proxies.get("all")
    if not proxy or proxy_bypass(host if parts.port is None else f"{host}:{parts.port}"):
        return None
    if "://" not in proxy:
        proxy = f"http://{proxy}"
    return check_proxy(Secret(proxy), source=f"the environment's {parts.scheme.upper()}_PROXY")
