"""Creates whose answer is lost: for how long, and how often, what they may have made is looked for."""

from __future__ import annotations

from openrelay_async.clock import Clock
from openrelay_async.poll_pace import PollPace

SEARCH_TIME = 5.0
"""Seconds after a create without an answer in which its effect may still show up in a list."""

_PACE = PollPace(shortest=0.5, longest=8.0, share=0.5)


async def await_next_look(clock: Clock, elapsed: float) -> None:
    """Wait until the next look, after so many seconds of looking."""
    await clock.sleep(_PACE.interval(elapsed, 1, None) * clock.uniform(0.9, 1.1))
