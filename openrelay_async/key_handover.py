"""Hands a new key's plaintext to the caller's own code, whatever that is and does."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable

from openrelay_async.errors import ConfigurationError
from openrelay_async.off_loop import is_async, run_off_loop
from openrelay_async.redaction import Secret, describe_foreign
from openrelay_async.rotation import Store


async def hand_over(secret: Secret, store: Store) -> None:
    """Give a key to `store` and return when it has it.

    Raises:
        ConfigurationError: `store` raised. What it said is scrubbed of the key.
    """
    try:
        if is_async(store):
            await _awaited(store(secret.reveal()))
        else:
            await _awaited(await run_off_loop(lambda: store(secret.reveal())))
    except Exception as error:  # whatever the caller's own code raises
        problem = f"store() raised {describe_foreign(error, [secret])}"
    except asyncio.CancelledError:
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise
        problem = "store() raised CancelledError"  # of work of its own: nobody has cancelled the rotation
    else:
        return
    # Not chained: the frames of the caller's code, and perhaps its message, hold the plaintext.
    raise ConfigurationError(problem)


async def _awaited(result: object) -> None:
    if isinstance(result, Awaitable):
        await result
