"""Forms: only from our own pages, only as large as they can be."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

from aiohttp import web

from openrelay_async.emulator.answers import Refusal

_LARGEST_FORM = 64 * 1024
_MOST_FIELDS = 64


def refuse_other_sites(request: web.BaseRequest) -> None:
    """Forms come from our own pages. The cookie is `SameSite=Strict` already; signing in needs no cookie."""
    site = request.headers.get("Sec-Fetch-Site", "same-origin")
    origin = request.headers.get("Origin")
    if site not in ("same-origin", "none") or (origin and urlsplit(origin).netloc != request.host):
        raise Refusal(403, "this form was sent by another site")


async def read_form(request: web.BaseRequest) -> dict[str, list[str]]:
    """The fields of a form.

    Raises:
        Refusal: it is none, or too large.
    """
    if request.content_type != "application/x-www-form-urlencoded":
        raise Refusal(415, "send a form")
    raw = b""
    async for chunk in request.content.iter_any():
        raw += chunk
        if len(raw) > _LARGEST_FORM:
            raise Refusal(413, "the form is too large")
    try:
        return parse_qs(
            raw.decode("ascii"), keep_blank_values=True, max_num_fields=_MOST_FIELDS, errors="replace"
        )
    except ValueError:
        raise Refusal(400, "this is no form") from None


def first_of(form: dict[str, list[str]], name: str) -> str:
    """The field's first value, or nothing."""
    return form.get(name, [""])[0]
