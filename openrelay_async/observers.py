"""The caller's hooks, found once, and telling them. `hooks.py` has the events, loaded if there are hooks."""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, TypeVar

from openrelay_async.errors import ConfigurationError
from openrelay_async.fork_guard import import_module

if TYPE_CHECKING:
    from openrelay_async.hooks import (
        AttemptEnded,
        AttemptStarted,
        CallEnded,
        CallStarted,
        KeyExpiring,
        Queued,
        RetryPlanned,
        WaitTick,
    )

logger = logging.getLogger("openrelay_async")

E = TypeVar("E")

EVENTS = (
    "on_call",
    "on_queue",
    "on_attempt",
    "on_response",
    "on_retry",
    "on_done",
    "on_wait_tick",
    "on_key_expiring",
)


class Hooks:
    """The methods of the caller's hooks, found once."""

    __slots__ = EVENTS

    on_call: tuple[Callable[[CallStarted], object], ...]
    on_queue: tuple[Callable[[Queued], object], ...]
    on_attempt: tuple[Callable[[AttemptStarted], object], ...]
    on_response: tuple[Callable[[AttemptEnded], object], ...]
    on_retry: tuple[Callable[[RetryPlanned], object], ...]
    on_done: tuple[Callable[[CallEnded], object], ...]
    on_wait_tick: tuple[Callable[[WaitTick], object], ...]
    on_key_expiring: tuple[Callable[[KeyExpiring], object], ...]

    def __init__(self, hooks: Iterable[object] = ()) -> None:
        if not isinstance(hooks, Iterable):
            raise ConfigurationError(f"hooks must be a list of hooks, not {type(hooks).__name__}")
        hooks = tuple(hooks)
        for hook in hooks:
            if not any(callable(getattr(hook, event, None)) for event in EVENTS):
                raise ConfigurationError(
                    f"a hook has at least one of the methods {', '.join(EVENTS)}; "
                    f"{type(hook).__name__} has none"
                )
            for event in EVENTS:
                if inspect.iscoroutinefunction(getattr(hook, event, None)):
                    raise ConfigurationError(
                        f"{type(hook).__name__}.{event} must not be async: a hook returns at once; "
                        "let it put the event into a queue that a task of yours reads"
                    )
        if hooks:
            # Here, once: calls run in any thread, where a fork could come between.
            import_module("openrelay_async.hooks")
        for event in EVENTS:
            methods = tuple(method for hook in hooks if callable(method := getattr(hook, event, None)))
            setattr(self, event, methods)


def tell(methods: Iterable[Callable[[E], object]], event: E) -> None:
    """Call each method with the event; what one raises is the observer's problem, not the call's."""
    for method in methods:
        try:
            method(event)
        except (Exception, asyncio.CancelledError) as error:  # any kind: an observer must not break a call
            # Not the error's text: it may quote the event or more.
            logger.debug("a hook raised %s", type(error).__name__)
