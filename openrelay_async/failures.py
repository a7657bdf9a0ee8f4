"""What aiohttp's exceptions mean to a call. Their own texts are not used: they can quote headers and URLs."""

from __future__ import annotations

import os
import ssl
from typing import Literal

import aiohttp
from aiohttp.http import HttpProcessingError

from openrelay_async.content_encoding import BodyTooLargeError, MalformedBodyError
from openrelay_async.messages import AttemptFailure


def describe_failure(error: BaseException, *, connected: bool, limit: int) -> AttemptFailure:
    """Return the failure that an exception of an attempt stands for.

    Args:
        connected: whether the attempt had a connection; if not, no byte of the request was sent.
        limit: bytes that an answer's body may have, for the message.
    """
    phase: Literal["connect", "exchange"] = "exchange" if connected else "connect"
    kind: Literal["connection", "proxy"]
    match error:
        case aiohttp.ClientConnectorCertificateError() | ssl.SSLCertVerificationError():
            message = (
                "the server's certificate is not trusted: give ssl_context= or SSL_CERT_FILE for a private CA"
            )
            return AttemptFailure("connect", "tls", message)
        case aiohttp.ClientHttpProxyError():
            message = f"the proxy refused the connection with status {error.status}"
            # Like a service, a proxy may be overloaded for a moment; a refusal of ours stays one.
            kind = "connection" if error.status == 429 or error.status >= 500 else "proxy"
            return AttemptFailure("connect", kind, message)
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
        case aiohttp.ClientResponseError() | HttpProcessingError():
            return AttemptFailure(phase, "malformed", "what came back is not HTTP")
        case OSError() if not connected:
            return AttemptFailure(phase, "connection", f"connecting failed{_reason(error)}")
        case _:
            return AttemptFailure(phase, "connection", f"the connection broke{_reason(error)}")


def timeout_failure(
    limit: float, within: float, *, connected: bool, idle: bool = False, is_first: bool = True
) -> AttemptFailure:
    """Return the failure of an attempt that was given up.

    Args:
        limit: seconds that the attempt had.
        within: seconds that were left of the call when it began.
        connected: whether the attempt had a connection; if not, no byte of the request was sent.
        idle: whether the attempt's limit is for the time in which nothing moves.
        is_first: whether it was the call's first attempt.
    """
    if limit <= within:
        time = f"within {limit:.3g} s"
    elif is_first:
        time = f"within {within:.3g} s"
    else:
        time = f"within the last {max(within, 0.0):.3g} s of the call's time"
    if not connected:
        return AttemptFailure("connect", "timeout", f"no connection {time}")
    if idle and limit <= within:
        return AttemptFailure("exchange", "timeout", f"nothing moved for {limit:.3g} s")
    return AttemptFailure("exchange", "timeout", f"no complete answer {time}")


def closed_failure(failure: AttemptFailure) -> AttemptFailure:
    """Return the failure of an attempt whose client was closed in the middle of it."""
    return AttemptFailure(failure.phase, "closed", "the client was closed")


def _reason(error: BaseException) -> str:
    """Return the operating system's words for an error number: they come from a table, not from outside."""
    number = error.errno if isinstance(error, OSError) else None
    return f": {os.strerror(number).lower()}" if number and number > 0 else ""
