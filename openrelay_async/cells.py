"""How values of the API read to people: money, ages, sizes, states. Secrets stay masked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from typing import ClassVar, Literal, Protocol, runtime_checkable

from attrs import frozen

from openrelay_async.redaction import Secret
from openrelay_async.unset import UNSET

Tone = Literal["good", "moving", "bad", "over", ""]

_LONGEST_TEXT = 120
_NO_QUANTITIES = frozenset({"port", "number", "index", "year", "version", "priority"})
"""Last words of the names of numbers that count nothing: they have no thousands."""
_TONES: Mapping[str, Tone] = {
    **dict.fromkeys(("running", "active", "ready", "healthy", "completed", "ok", "online", "paid"), "good"),
    **dict.fromkeys(
        ("deploying", "pending", "provisioning", "queued", "validating", "in_progress", "finalizing",
         "cancelling", "interrupted", "degraded", "draining", "updating", "creating"), "moving"
    ),
    **dict.fromkeys(("failed", "error", "unhealthy", "expired", "rejected", "suspended", "offline"), "bad"),
    **dict.fromkeys(("stopped", "terminated", "cancelled", "revoked", "deleted", "disabled"), "over"),
}  # fmt: skip


@runtime_checkable
class Structured(Protocol):
    """A model, as far as showing it goes."""

    wire_fields: ClassVar[Sequence[tuple[object, ...]]]
    """Its fields; the first of each is the attribute's name."""


@frozen
class Cell:
    """A value as text, with more in a tooltip, and how it is set."""

    text: str
    hint: str = ""
    is_number: bool = False
    is_code: bool = False
    tone: Tone = ""


def make_cell(name: str, value: object, now: datetime) -> Cell:
    """Return how a field's value is shown.

    Args:
        name: the field's attribute, whose ending tells its unit: `price_per_hour_cents`, `disk_size_gb`.
        now: what ages count from.
    """
    if is_empty(value):
        return Cell("–")
    if isinstance(value, Secret):
        return Cell(repr(value), hint="secret: reveal() gives its text", is_code=True)
    if isinstance(value, bool):
        return Cell("yes" if value else "no")
    if isinstance(value, datetime):
        return Cell(tell_age(value, now), hint=value.isoformat(sep=" ", timespec="seconds"))
    if isinstance(value, date):
        return Cell(value.isoformat())
    if isinstance(value, int | float):
        return _make_number(name, value, now)
    if isinstance(value, str):
        return _make_text(name, value)
    if isinstance(value, Structured):
        return Cell(tell_model(value))
    if isinstance(value, Mapping):
        # Names only: the values of environments and labels are often secret, or long.
        return Cell(_cut(", ".join(str(key) for key in value)), hint=f"{len(value)} entries")
    if isinstance(value, Sequence):
        return _make_sequence(name, value, now)
    return Cell(_cut(str(value)))


def is_empty(value: object) -> bool:
    return value is None or value is UNSET or value == "" or (isinstance(value, list | dict) and not value)


def tell_model(model: object) -> str:
    """Return what names a model: its name, its id, or its kind."""
    for attribute in ("name", "title", "email", "id", "type", "key"):
        value = getattr(model, attribute, None)
        if isinstance(value, str) and value:
            return _cut(value)
    return type(model).__name__


def tell_age(then: datetime, now: datetime) -> str:
    """Return how long ago a time is, or how far ahead; dates for what is more than 60 days away."""
    seconds = (now - then).total_seconds()
    length = abs(seconds)
    if length < 1:
        return "now"
    if length > 60 * 86_400:
        return then.date().isoformat()
    text = tell_duration(length)
    return f"{text} ago" if seconds > 0 else f"in {text}"


def tell_duration(seconds: float) -> str:
    """Return a duration in its one or two largest units: `45 s`, `3 min`, `2 h 5 min`, `4 d 3 h`."""
    whole = int(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, hours, days = whole // 60, whole // 3600, whole // 86_400
    if minutes < 60:
        return f"{minutes} min"
    if hours < 24:
        return f"{hours} h {minutes % 60} min" if minutes % 60 else f"{hours} h"
    return f"{days} d {hours % 24} h" if hours % 24 else f"{days} d"


def tell_money(cents: int) -> str:
    """Return US cents as dollars, exact for any size."""
    whole, rest = divmod(abs(cents), 100)
    return f"{'-' if cents < 0 else ''}${whole:,}.{rest:02d}"


def tell_nano_usd(amount: int) -> str:
    """Return nano-USD as dollars, with the decimals that it has."""
    whole, rest = divmod(abs(amount), 10**9)
    decimals = f"{rest:09d}".rstrip("0").ljust(2, "0")
    return f"{'-' if amount < 0 else ''}${whole:,}.{decimals}"


def tell_bytes(count: float) -> str:
    size, unit = float(count), "bytes"
    for unit in ("bytes", "KiB", "MiB", "GiB", "TiB"):
        if abs(size) < 1024 or unit == "TiB":
            break
        size /= 1024
    return f"{size:,.0f} {unit}" if unit == "bytes" or size >= 100 else f"{size:,.1f} {unit}"


def _make_number(name: str, value: float, now: datetime) -> Cell:
    words = name.split("_")
    if isinstance(value, int):
        if "cents" in words:
            return Cell(tell_money(value) + ("/h" if "per_hour" in name else ""), is_number=True)
        if name.endswith("nano_usd"):
            return Cell(tell_nano_usd(value), is_number=True)
        if words[-1] == "at" and value > 10**8:
            try:
                time = datetime.fromtimestamp(value, UTC)
            except (ValueError, OverflowError, OSError):
                # Not seconds, or in no year that Python has.
                return Cell(str(value), is_number=True)
            return make_cell(name, time, now)
    if words[-1] in _NO_QUANTITIES:
        return Cell(str(value), is_number=True)
    text = f"{value:,}" if isinstance(value, int) else f"{value:,.2f}".rstrip("0").rstrip(".")
    match words[-1]:
        case "gb" | "gib":
            text = f"{text} GB" if words[-1] == "gb" else f"{text} GiB"
        case "mb" | "mib":
            text = f"{text} MiB"
        case "bytes":
            text = tell_bytes(value)
        case "hours":
            text = f"{text} h"
        case "seconds" | "sec":
            text = tell_duration(value) if value >= 0 else f"{text} s"
        case "percent":
            text = f"{text} %"
    return Cell(text, is_number=True)


def _make_text(name: str, value: str) -> Cell:
    if name == "id" or name.endswith("_id"):
        return Cell(_cut(value), is_code=True)
    tone: Tone = ""
    if name in ("status", "state", "phase") or name.endswith("_status"):
        tone = _TONES.get(value.lower(), "moving" if name == "status" else "")
    return Cell(_cut(value), hint=value if len(value) > _LONGEST_TEXT else "", tone=tone)


def _make_sequence(name: str, values: Sequence[object], now: datetime) -> Cell:
    shown = [make_cell(name, value, now).text for value in values[:4]]
    more = f" and {len(values) - 4} more" if len(values) > 4 else ""
    return Cell(_cut(", ".join(shown)) + more, hint=f"{len(values)} items")


def _cut(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= _LONGEST_TEXT else text[: _LONGEST_TEXT - 1] + "…"
