"""Models, pages and lists as tables: HTML in a notebook, aligned text in a terminal.

    from openrelay_async.display import table

    table(await client.vms.list())     # in a notebook the list alone, as a cell's last line, does the same
    print(table(vms, columns=["name", "status", "price_per_hour_cents"]))

Nothing here asks the service, secrets stay masked, and all text is escaped.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from html import escape

from openrelay_async.cells import Cell, Structured, is_empty, make_cell

MOST_ROWS = 100
"""Rows that are shown; the rest is counted."""
_MOST_COLUMNS = 9
_ENOUGH_COLUMNS = 6
"""Above this, a column must say something: flags, ids of other things and lists do not."""
_MINOR = 60
_MOST_NESTED_ROWS = 20

_COLORS = {"good": "#2e9e5b", "moving": "#d08700", "bad": "#d1434b", "over": "#8a8f98"}
_CELL = "text-align:left;vertical-align:top;padding:2px 10px;"
_NUMBER = "text-align:right;vertical-align:top;padding:2px 10px;font-variant-numeric:tabular-nums;"
_MUTED = "opacity:.65;font-size:90%"

_UNITS = (
    "_per_hour_cents", "_cents_per_hour", "_cents", "_nano_usd", "_gb", "_mb", "_bytes", "_percent",
    "_hours", "_seconds", "_sec",
)  # fmt: skip
_FIRST = ("name", "title", "email", "key", "id", "status", "state", "status_reason", "type", "role")
_LAST = ("organization_id", "org_id", "user_id", "updated_at")


class Table:
    """Models as a table: `_repr_html_` for notebooks, `str()` for terminals."""

    __slots__ = ("_columns", "_items", "_limit", "_page_note")

    def __init__(
        self, items: Iterable[object], columns: Sequence[str] | None, limit: int, page_note: str = ""
    ) -> None:
        self._items = list(items)
        self._limit = limit
        self._page_note = page_note
        kinds = {type(item) for item in self._items}
        if not all(isinstance(item, Structured) for item in self._items):
            raise TypeError("table() shows models of the API, such as what a list call gives")
        known = list(dict.fromkeys(name for kind in kinds for name in _names(kind)))
        if columns is None:
            self._columns = _choose_columns(known, self._items)
        else:
            unknown = [name for name in columns if name not in known]
            if unknown and self._items:
                raise ValueError(f"no such field: {', '.join(unknown)}; there are {', '.join(known)}")
            self._columns = list(columns)

    def _rows(self) -> list[list[Cell]]:
        now = datetime.now(UTC)
        return [
            [make_cell(name, getattr(item, name, None), now) for name in self._columns]
            for item in self._items[: self._limit]
        ]

    def _caption(self) -> str:
        count = len(self._items)
        kind = " and ".join(sorted({type(item).__name__ for item in self._items})) or "items"
        parts = [f"{count} {kind}"]
        if count > self._limit:
            parts.append(f"the first {self._limit} are shown")
        if self._page_note:
            parts.append(self._page_note)
        return " · ".join(parts)

    def _repr_html_(self) -> str:
        rows = self._rows()
        numeric = [any(row[place].is_number for row in rows) for place in range(len(self._columns))]
        head = "".join(
            f'<th style="{_NUMBER if is_number else _CELL}">{escape(title)}</th>'
            for title, is_number in zip(_titles(self._columns), numeric, strict=True)
        )
        body = "".join(
            "<tr>"
            + "".join(
                f'<td style="{_NUMBER if is_number else _CELL}"{_hint(cell)}>{_write(cell)}</td>'
                for cell, is_number in zip(row, numeric, strict=True)
            )
            + "</tr>"
            for row in rows
        )
        caption = f'<div style="{_MUTED}">{escape(self._caption())}</div>'
        return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{caption}"

    def __repr__(self) -> str:
        titles = _titles(self._columns)
        rows = self._rows()
        texts = [titles, *([cell.text for cell in row] for row in rows)]
        widths = [max(len(row[place]) for row in texts) for place in range(len(titles))]
        numeric = [any(row[place].is_number for row in rows) for place in range(len(titles))]
        lines = [
            "  ".join(
                text.rjust(width) if is_number else text.ljust(width)
                for text, width, is_number in zip(row, widths, numeric, strict=True)
            ).rstrip()
            for row in texts
        ]
        return "\n".join([lines[0], "  ".join("─" * width for width in widths), *lines[1:], self._caption()])


def table(items: Iterable[object], *, columns: Sequence[str] | None = None, limit: int = MOST_ROWS) -> Table:
    """Return models as a table.

    Args:
        items: models of the API, such as what a list call gives.
        columns: fields to show, in this order; by default those that say most.
        limit: rows to show.

    Raises:
        TypeError: something else than models.
        ValueError: a column that is no field.
    """
    return Table(items, columns, limit)


def show_model(model: object) -> str:
    """Return one model as HTML: a row for each field that has a value."""
    return _write_model(model, datetime.now(UTC), depth=0)


def show_page(items: Sequence[object], next_cursor: str | None) -> str:
    """Return a page as HTML."""
    note = "the last page" if next_cursor is None else "more follow (next_cursor)"
    if not items:
        return f'<div style="{_MUTED}">no items · {note}</div>'
    return Table(items, None, MOST_ROWS, note)._repr_html_()


def show_list(items: list[object]) -> str | None:
    """Return a list of models as HTML, `None` for any other list, which IPython then shows as it would."""
    if not items or not all(isinstance(item, Structured) for item in items):
        return None
    return Table(items, None, MOST_ROWS)._repr_html_()


def show_lists_in_notebook() -> None:
    """Have IPython show lists of models as tables, where IPython runs and has no formatter for lists.

    What a list call gives is a plain `list`, which has no say in how it is shown.
    """
    ipython = sys.modules.get("IPython")
    get_shell = getattr(ipython, "get_ipython", None)
    shell = get_shell() if callable(get_shell) else None
    formatters = getattr(getattr(shell, "display_formatter", None), "formatters", {})
    html = formatters.get("text/html")
    if html is None:
        return
    try:
        html.lookup_by_type(list)
    except KeyError:
        html.for_type(list, show_list)


def _write_model(model: object, now: datetime, depth: int) -> str:
    known = _names(type(model))
    names = sorted(
        (name for name in known if not is_empty(getattr(model, name, None))),
        key=lambda name: (_place(name), known.index(name)),
    )
    rows = [
        f'<tr><th style="{_CELL}">{escape(title)}</th>'
        f'<td style="{_CELL}">{_write_value(name, getattr(model, name), now, depth)}</td></tr>'
        for name, title in zip(names, _titles(names), strict=True)
    ]
    unknown = getattr(model, "extra", None)
    note = type(model).__name__
    if unknown:
        # Names only: nobody has said that the values are no secrets.
        note += f" · also sent, unknown to this version: {', '.join(sorted(map(str, unknown)))}"
    return f'<table><tbody>{"".join(rows)}</tbody></table><div style="{_MUTED}">{escape(note)}</div>'


def _write_value(name: str, value: object, now: datetime, depth: int) -> str:
    if depth < 2 and isinstance(value, Structured):
        return _write_model(value, now, depth + 1)
    if depth < 2 and isinstance(value, list) and all(isinstance(each, Structured) for each in value):
        return Table(value, None, _MOST_NESTED_ROWS)._repr_html_()
    cell = make_cell(name, value, now)
    return f"<span{_hint(cell)}>{_write(cell)}</span>"


def _write(cell: Cell) -> str:
    text = escape(cell.text)
    if cell.is_code:
        return f"<code>{text}</code>"
    if cell.tone:
        return f'<span style="color:{_COLORS[cell.tone]}">●</span>&nbsp;{text}'
    return text


def _hint(cell: Cell) -> str:
    return f' title="{escape(cell.hint, quote=True)}"' if cell.hint else ""


def _names(kind: type[object]) -> list[str]:
    fields = getattr(kind, "wire_fields", ())
    return [str(field[0]) for field in fields]


def _titles(names: Sequence[str]) -> list[str]:
    """Return the fields' headings. Where two would be the same, they are told apart by their units."""
    short = [_title(name) for name in names]
    return [
        title if short.count(title) == 1 else name.replace("_", " ")
        for name, title in zip(names, short, strict=True)
    ]


def _title(name: str) -> str:
    """Return a field's heading: its unit is in the values."""
    for ending in _UNITS:
        if name.endswith(ending) and name != ending[1:]:
            name = name.removesuffix(ending)
            break
    if name in ("created_at", "updated_at", "expires_at", "revoked_at"):
        name = name.removesuffix("_at")
    words = name.replace("_", " ")
    return " ".join(
        word.upper() if word in ("id", "gpu", "ssh", "ip", "url", "vm") else word for word in words.split()
    )


def _choose_columns(names: list[str], items: Sequence[object]) -> list[str]:
    """Return the fields that say most: names and states first, what is empty everywhere never."""
    filled = [name for name in names if not all(is_empty(getattr(item, name, None)) for item in items)]
    if not filled:
        return names[:_MOST_COLUMNS]
    ranked = sorted(filled, key=lambda name: (_rank(name, items), names.index(name)))
    chosen = [
        name
        for place, name in enumerate(ranked[:_MOST_COLUMNS])
        if place < _ENOUGH_COLUMNS or _rank(name, items) < _MINOR
    ]
    # Among the chosen, times come last: that is where the eye looks for them.
    return sorted(chosen, key=lambda name: (_place(name), names.index(name)))


def _rank(name: str, items: Sequence[object]) -> int:
    if name in _FIRST:
        return _FIRST.index(name)
    if name in _LAST:
        return 90
    if name == "scopes":
        return 30
    value = next((each for item in items if not is_empty(each := getattr(item, name, None))), None)
    if isinstance(value, Structured | list | dict | bool):
        return _MINOR
    if name.endswith("_name") or "cents" in name or name.startswith(("gpu_count", "total")):
        return 20
    if name.endswith("_id") and name.removesuffix("_id") + "_name" in _names(type(items[0])):
        return 70
    if name == "created_at":
        return 25
    return 40


def _place(name: str) -> int:
    if name in _FIRST:
        return _FIRST.index(name)
    return 80 if name.endswith("_at") else 50
