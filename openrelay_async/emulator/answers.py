"""What a handler gives back: an answer, or a refusal that it raises."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

import attrs


@attrs.frozen
class Answer:
    """A response before it is written."""

    body: object = None
    """Anything JSON can say; `bytes` go out as they are, an iterator of them piece by piece; `None` with
    204 is no body.
    """
    status: int = 200
    headers: Mapping[str, str] = attrs.field(factory=dict[str, str])
    content_type: str = "application/json"


NO_CONTENT = Answer(status=204)


def page_answer(items: list[dict[str, object]], cursor: str | None) -> Answer:
    """A page of a list, and where the next one begins; the last page has no cursor."""
    return Answer(without_absent({"items": items, "nextCursor": cursor}))


class Refusal(Exception):  # noqa: N818 - an outcome of the rules, not a mistake
    """The request is refused: the transaction is rolled back, and the error body tells why."""

    def __init__(
        self,
        status: int,
        message: str,
        code: str | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        **details: object,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.code = code
        self.headers = dict(headers or {})
        self.details = details


def bad_request(field: str, problem: str, code: str = "INVALID_REQUEST") -> Refusal:
    """400 naming the field, never its value (it may be a secret)."""
    return Refusal(400, f"{field}: {problem}", code, field=field)


def not_found(what: str) -> Refusal:
    """404: absent, or of another organization, which must look the same."""
    return Refusal(404, f"{what} not found", "NOT_FOUND")


def conflict(message: str, code: str) -> Refusal:
    return Refusal(409, message, code)


def without_absent(fields: Mapping[str, object]) -> dict[str, object]:
    """The fields that are not None: the service leaves out what is empty."""
    return {name: value for name, value in fields.items() if value is not None}


def rfc3339(at: float | None) -> str | None:
    """RFC 3339 in UTC, with as many decimals as are needed (as Go's RFC3339Nano has them)."""
    if at is None:
        return None
    # Some three times as fast as strftime, and every answer has times.
    text = datetime.fromtimestamp(at, UTC).isoformat().removesuffix("+00:00")
    return (text.rstrip("0") if "." in text else text) + "Z"


def moment(at: float) -> str:
    """`rfc3339` of a time that is there."""
    return rfc3339(at) or ""
