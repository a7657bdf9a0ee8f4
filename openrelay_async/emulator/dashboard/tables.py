"""The tables of the page: keys, those that have ended, and the audit log."""

from __future__ import annotations

from collections.abc import Sequence

from openrelay_async.emulator.dashboard.markup import Child, Markup, element
from openrelay_async.emulator.dashboard.reading import AuditRow, KeyRow, Moment

ROOT = "/dashboard"

_COLUMNS = ("Name", "Key", "Scopes", "Last used", "Expires")


def render_table(keys: Sequence[KeyRow], *, may_change: bool) -> Markup:
    """Keys that work, with a way to revoke each."""
    titles = [element("th", title, scope="col") for title in _COLUMNS]
    titles.append(element("th", element("span", "Actions", class_="unseen"), scope="col"))
    return element(
        "table",
        element("thead", element("tr", titles)),
        element("tbody", [_render_row(key, may_change=may_change) for key in keys]),
        class_="keys",
    )


def _render_row(key: KeyRow, *, may_change: bool) -> Markup:
    revoke = element(
        "a",
        "Revoke",
        aria_label=f"Revoke {key.name}",
        href=f"{ROOT}?revoke={key.id}", class_="danger quiet",
        data_revoke=key.id, data_name=key.name, data_prefix=f"{key.prefix}…",
    )  # fmt: skip
    created = ["created ", _render_time(key.created)] if key.created else None
    return element(
        "tr",
        element("th", element("bdi", key.name, title=key.name), element("small", created), scope="row"),
        _cell("Key", element("code", f"{key.prefix}…")),
        _cell("Scopes", element("ul", [element("li", scope) for scope in key.scopes], class_="chips")),
        _cell("Last used", _render_time(key.last_used) if key.last_used else "Never"),
        _cell("Expires", _render_time(key.expires) if key.expires else "Never"),
        element("td", revoke if may_change else None, class_="action"),
        id=key.id,
    )


def _cell(title: str, child: Child) -> Markup:
    # On a phone the title stands beside the value, where a table has no room for columns.
    return element("td", child, data_title=title)


def _render_time(moment: Moment) -> Markup:
    return element("time", moment.text, datetime=moment.exact, title=moment.exact)


def render_ended(keys: Sequence[KeyRow]) -> Markup:
    """Keys that work no more, out of the way."""
    items = [
        element(
            "li",
            element("bdi", key.name), " ", element("code", f"{key.prefix}…"), " ",
            element("span", key.ended, class_="tag"), " ",
            _render_time(key.ended_at) if key.ended_at else None,
        )
        for key in keys
    ]  # fmt: skip
    summary = element("summary", f"Revoked and expired keys ({len(keys)})")
    return element("details", summary, element("ul", items, class_="ended"))


def render_audit(rows: Sequence[AuditRow]) -> Markup:
    """Who did what, newest first."""
    items = [
        element(
            "li",
            element("span", _words_of(row.event), class_="event"), " ", element("bdi", row.target),
            element(
                "small",
                element("bdi", row.actor), f" from {row.source_ip}, " if row.source_ip else ", ",
                _render_time(row.at),
            ),
        )
        for row in rows
    ]  # fmt: skip
    content = element("ol", items) if items else element("p", "Nothing yet.", class_="empty")
    return element("section", element("h2", "Audit log"), content, class_="audit")


def _words_of(event: str) -> str:
    """`api_key.created` → `API key created`."""
    words = event.replace("_", " ").replace(".", " ").replace("api key", "API key")
    return words[:1].upper() + words[1:]
