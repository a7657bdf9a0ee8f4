"""Finds a canary in whatever a program can print: objects, errors, frames, logs.

A secret may travel inside the types that mask themselves; what is looked for is its text in any
representation that a user, a debugger, a crash reporter or a log could make.
"""

from __future__ import annotations

import copy
import gc
import logging
import pickle
import reprlib
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path
from types import FrameType, TracebackType

import attrs

OWN = tuple(
    str(Path(__file__).resolve().parents[2] / package) for package in ("openrelay_async", "openrelay_sync")
)
"""Where the library's frames are."""


def describe(value: object) -> Iterator[tuple[str, str]]:
    """Every text that a value gives of itself."""
    yield "repr", repr(value)
    yield "str", str(value)
    yield "format", f"{value}"
    yield "percent", "%s %r" % (value, value)  # noqa: UP031 - the way of the logging module
    yield "reprlib", reprlib.repr(value)
    if hasattr(value, "__dict__"):
        yield "vars", repr(vars(value))
    if attrs.has(type(value)):
        yield "asdict", repr(attrs.asdict(value))  # type: ignore[arg-type]  # it is an attrs instance
    try:
        yield "pickle", pickle.dumps(value).decode("latin-1")
    except (TypeError, AttributeError, pickle.PicklingError) as refusal:
        yield "refusal to pickle", str(refusal)
    if isinstance(value, BaseException):
        yield "args", repr(value.args)


def leaks_of_value(canary: str, value: object, name: str = "value") -> list[str]:
    """Where the value shows the canary."""
    return [f"{name}: {how}" for how, text in describe(value) if canary in text]


def leaks_of_error(canary: str, error: BaseException) -> list[str]:
    """Where an error, its chain or the library's frames that it passed show the canary."""
    found: list[str] = []
    for link in chain_of(error):
        found += leaks_of_value(canary, link, type(link).__name__)
        for frame, line in frames_of(link.__traceback__):
            for name, local in frame.f_locals.items():
                place = f"{Path(frame.f_code.co_filename).name}:{line} {frame.f_code.co_name}() local {name}"
                found += leaks_of_value(canary, local, place) if _is_plain(local) else []
                if canary in repr(local):
                    found.append(f"{place}: repr")
                if canary in str(local):
                    found.append(f"{place}: str")
        text = "".join(traceback.TracebackException.from_exception(link).format())
        if canary in text:
            found.append(f"{type(link).__name__}: traceback text")
    return found


def foreign_links(error: BaseException) -> list[str]:
    """Errors in the chain that are neither the library's nor Python's own."""
    return [
        f"{type(link).__module__}.{type(link).__name__}"
        for link in chain_of(error)
        if not type(link).__module__.startswith(("openrelay_", "builtins", "asyncio"))
    ]


def chain_of(error: BaseException) -> list[BaseException]:
    links: list[BaseException] = []
    waiting: list[BaseException | None] = [error]
    while waiting:
        link = waiting.pop()
        if link is None or any(link is known for known in links):
            continue
        links.append(link)
        waiting += [link.__cause__, link.__context__]
        if isinstance(link, BaseExceptionGroup):
            waiting += link.exceptions
    return links


def frames_of(trace: TracebackType | None) -> Iterator[tuple[FrameType, int]]:
    while trace is not None:
        if trace.tb_frame.f_code.co_filename.startswith(OWN):
            yield trace.tb_frame, trace.tb_lineno
        trace = trace.tb_next


def _is_plain(local: object) -> bool:
    return isinstance(local, dict | list | tuple | bytes | bytearray)


def holders_of(canary: str, *roots: object) -> list[object]:
    """Every object whose text or bytes contain the canary, wherever the roots or any module lead to it.

    Followed reference by reference through `gc.get_referents`. Neither `gc.get_objects` nor the module
    `_asyncio` is asked: in Python 3.12 both name objects that are freed already, kept for later use, and
    the interpreter ends when one is touched.
    """
    found: dict[int, object] = {}
    raw = canary.encode()
    seen: set[int] = {id(found), id(sys.modules["_asyncio"])}
    waiting: list[object] = [*roots, *sys.modules.values()]
    seen.add(id(waiting))
    while waiting:
        value = waiting.pop()
        if id(value) in seen:
            continue
        seen.add(id(value))
        # The type's own methods: a masked subclass of str must not hide here.
        if isinstance(value, str):
            if str.__contains__(value, canary):
                found[id(value)] = value
        elif isinstance(value, bytes | bytearray):
            if raw in value:
                found[id(value)] = value
        else:
            waiting += gc.get_referents(value)
    return list(found.values())


class LogCatcher(logging.Handler):
    """Keeps every record of every logger, as a formatter would write it."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(self.format(record))
        self.lines.append(repr(record.args))


def copies_of(value: object) -> list[object]:
    return [value, copy.copy(value), copy.deepcopy(value)]
