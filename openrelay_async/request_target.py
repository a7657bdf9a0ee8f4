"""What stands in a request's first line after its method (RFC 9112, section 3.2.1): path and query."""

from __future__ import annotations

from yarl import URL

from openrelay_async.messages import HttpRequest
from openrelay_async.redaction import Secret

WITHOUT_BODY = frozenset({"GET", "HEAD"})
"""Methods that say nothing of a body where they have none."""


def write_target(request: HttpRequest) -> str:
    """Return the percent-encoded path with the query, secrets included: it must not be kept in a variable."""
    if not request.query:
        return request.path
    query = [(name, value.reveal() if isinstance(value, Secret) else value) for name, value in request.query]
    return f"{request.path}?{URL.build(query=query).raw_query_string}"
