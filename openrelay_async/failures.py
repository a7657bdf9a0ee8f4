"""What aiohttp's exceptions mean to a call. Their own texts are not used: they can quote headers and URLs."""

from __future__ import annotations

import os
import ssl
from typing import Literal

import aiohttp

from openrelay_async.messages import AttemptFailure
from openrelay_async.responses import BodyTooLargeError, MalformedBodyError


def describe_failure(error: BaseException, *, connected: bool, limit: int) -> AttemptFailure:
    """Return the failure that an exception of an attempt stands for.

    Args:
        connected: whether the attempt had a connection; if not, no byte of the request was sent.
        limit: bytes that an answer's body may have, for the message.
    """
    phase: Literal["connect", "exchange"] = "exchange" if connected else "connect"
    match error:
        case aiohttp.ClientConnectorCertificateError() | ssl.SSLCertVerificationError():
            message = (
                "the server's certificate is not trusted: give ssl_context= or SSL_CERT_FILE for a private CA"
            )
            return AttemptFailure("connect", "tls", message)
        case aiohttp.ClientHttpProxyError():
            message = f"the proxy refused the connection with status {error.status}"
            return AttemptFailure("connect", "proxy", message)
        case BodyTooLargeError():
            message = f"the answer is larger than {limit} bytes (PoolLimits.max_body)"
            return AttemptFailure(phase, "too_large", message)
        case MalformedBodyError():
            return AttemptFailure(phase, "malformed", "the answer's compression is broken")
        case aiohttp.ClientConnectorDNSError():
            return AttemptFailure(phase, "connection", "the host name cannot be resolved")
        case aiohttp.ClientProxyConnectionError():
            return AttemptFailure(phase, "connection", f"connecting to the proxy failed{_reason(error)}")
        case aiohttp.ClientConnectorSSLError():
            return AttemptFailure(phase, "connection", "the TLS handshake failed")
        case aiohttp.ServerDisconnectedError():
            return AttemptFailure(phase, "connection", "the server closed the connection without an answer")
        case aiohttp.ClientPayloadError():
            return AttemptFailure(phase, "connection", "the connection broke off in the middle of the answer")
        case aiohttp.ClientResponseError():
            return AttemptFailure(phase, "malformed", "what came back is not HTTP")
        case OSError() if not connected:
            return AttemptFailure(phase, "connection", f"connecting failed{_reason(error)}")
        case _:
            return AttemptFailure(phase, "connection", f"the connection broke{_reason(error)}")


def timeout_failure(seconds: float, *, connected: bool, idle: bool = False) -> AttemptFailure:
    """Return the failure of an attempt that was given up after `seconds`."""
    if not connected:
        return AttemptFailure("connect", "timeout", f"no connection within {seconds:.3g} s")
    what = "nothing moved for" if idle else "no complete answer within"
    return AttemptFailure("exchange", "timeout", f"{what} {seconds:.3g} s")


def _reason(error: BaseException) -> str:
    """Return the operating system's words for an error number: they come from a table, not from outside."""
    number = error.errno if isinstance(error, OSError) else None
    return f": {os.strerror(number).lower()}" if number and number > 0 else ""
