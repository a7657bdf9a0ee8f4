"""How far the rotation of a key has come, kept so that a crash between two steps can be finished.

The steps: create the new key, verify it, store it, switch to it, drain the calls under the old key, wait
for others (grace), revoke the old key. Until `switch` a failure is undone: the new key is revoked and the
old one stays in use. From `switch` on it is finished by `client.api_keys.resume_rotation()`.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from pathlib import Path
from typing import ClassVar, Literal, get_args

import orjson
from attrs import asdict, evolve, field, frozen

from openrelay_async.config import check_integer, check_seconds
from openrelay_async.errors import ConfigurationError, OpenRelayError, PermissionDenied
from openrelay_async.generated.models.api_keys import ApiKeySummary
from openrelay_async.private_file import write_private
from openrelay_async.redaction import Payload

Step = Literal["create", "verify", "store", "switch", "drain", "grace", "revoke", "done", "undone"]
"""The step that is being done; `done` and `undone` are the two ends."""

Store = Callable[[str], object]
"""Takes the new key's plaintext and keeps it; a coroutine function is awaited, any other runs in a thread."""

Journal = str | os.PathLike[str]


def _texts(values: Iterable[str]) -> tuple[str, ...]:
    return tuple(values)


@frozen
class Rotation:
    """A rotation: which key takes the place of which, and what is being done. It holds no secret."""

    org_id: str
    old_key_id: str
    new_key_id: str | None
    name: str
    step: Step
    scopes: tuple[str, ...] = field(default=(), converter=_texts)
    known_key_ids: tuple[str, ...] = field(default=(), converter=_texts, repr=False)
    """The keys that were there before: a key that a lost answer made is not among them."""

    @property
    def is_over(self) -> bool:
        return self.step in {"done", "undone"}

    @property
    def is_stored(self) -> bool:
        """Whether the new key is where others look for it, so that only the old one has to go."""
        return self.step in {"switch", "drain", "grace", "revoke"}

    def at(self, step: Step, *, new_key_id: str | None = None) -> Rotation:
        """Return it at another step."""
        return evolve(self, step=step, new_key_id=new_key_id or self.new_key_id)

    def save(self, journal: Journal) -> None:
        """Write it to a file, whole or not at all."""
        write_private(Path(journal), Payload(orjson.dumps(asdict(self))))

    @classmethod
    def load(cls, journal: Journal) -> Rotation:
        """Read what `save` wrote.

        Raises:
            OSError: the file cannot be read.
            ValueError: it is no journal of a rotation.
        """
        fields = orjson.loads(Path(journal).read_bytes())
        problem = ValueError(f"{os.fspath(journal)} is no journal of a rotation")
        try:
            rotation = cls(**fields)
        except TypeError:
            raise problem from None
        texts = (rotation.org_id, rotation.old_key_id, rotation.name, rotation.new_key_id or "")
        if rotation.step not in get_args(Step) or not all(isinstance(text, str) for text in texts):
            raise problem
        return rotation


class RotationError(OpenRelayError):
    """A rotation that stopped. Its message says at which step, which key works, and what is left to do.

    Attributes:
        rotation: how far it came; `client.api_keys.resume_rotation(rotation)` finishes it. `None` if it
            did not begin.
    """

    FIELDS: ClassVar[tuple[str, ...]] = (*OpenRelayError.FIELDS, "rotation")
    rotation: Rotation | None = None


def rotation_error(
    message: str, rotation: Rotation | None = None, cause: OpenRelayError | None = None
) -> RotationError:
    """Return the error of a rotation with what its cause knows of the failed call."""
    error = RotationError(message)
    if cause is not None:
        error._with_facts_of(cause)._with(maybe_applied=False)
    return error._with(rotation=rotation)


def stopped_error(cause: OpenRelayError | OSError, became: str, rotation: Rotation | None) -> RotationError:
    """Return the error of a rotation that stopped at a step.

    Args:
        cause: why; an `OSError` is the journal's.
        became: what became of the keys, in words.
    """
    step = "create" if rotation is None else rotation.step
    if isinstance(cause, OpenRelayError):
        return rotation_error(f"stopped at step {step}: {cause._say()}; {became}", rotation, cause)
    return rotation_error(f"stopped at step {step}: the journal: {cause.strerror}; {became}", rotation)


def describe_switched(rotation: Rotation, cause: BaseException) -> str:
    """Return what became of the keys when a rotation stopped after its switch, in words."""
    old = f"the old key {rotation.old_key_id} "
    if rotation.is_over:
        old += "was revoked"
    elif isinstance(cause, PermissionDenied):
        old += "still works: resume_rotation() with a key that may revoke keys finishes it"
    else:
        old += "still works: resume_rotation() finishes it"
    return f"the new key {rotation.new_key_id} is in use, {old}"


def describe_unrevoked(which: str, cause: OpenRelayError) -> str:
    """Return that a key is left to its owner, in words."""
    return f"{which} could not be revoked ({cause.status or 'no answer'}): do it yourself"


def find_old_key(
    keys: Iterable[ApiKeySummary], *, key_id: str | None, has_prefix: Callable[[str], bool]
) -> ApiKeySummary:
    """Return the key in use among the organization's keys.

    Args:
        key_id: its id, where it is known: whoami of 2026-10 tells it.
        has_prefix: whether the key in use begins so.

    Raises:
        RotationError: it is not among them, or several begin alike.
    """
    alive = [key for key in keys if key.revoked_at is None]
    if key_id is not None:
        found = [key for key in alive if key.id == key_id]
    else:
        found = [key for key in alive if key.key_prefix and has_prefix(key.key_prefix)]
    if len(found) == 1:
        return found[0]
    if not found:
        raise RotationError("the key in use is not among the organization's keys: nothing was changed")
    raise RotationError(
        f"{len(found)} keys begin like the one in use: say which one it is with key_id=; nothing was changed"
    )


def check_lifetime(expires_in: float | timedelta | None) -> int | None:
    """Return the whole seconds that a new key shall be valid, `None` for as long as the old one was.

    Raises:
        ConfigurationError: no number of seconds, less than one, or no end.
    """
    if expires_in is None:
        return None
    given = expires_in.total_seconds() if isinstance(expires_in, timedelta) else expires_in
    seconds = check_seconds("expires_in", given)
    if seconds == math.inf:
        raise ConfigurationError(
            "expires_in must have an end: leave it out for a key that is valid as long as the old one was"
        )
    return check_integer("expires_in", int(seconds), minimum=1)


def check_store(store: object) -> None:
    """Refuse what could not be given the new key.

    Raises:
        ConfigurationError: it cannot be called.
    """
    if not callable(store):
        raise ConfigurationError(f"store must be a function that takes the key, not {type(store).__name__}")


def refuse_unfinished(journal: Journal) -> None:
    """Refuse a journal that tells of a rotation which is not over: nothing else may know of its keys.

    Raises:
        RotationError: it does. The rotation is with the error.
    """
    try:
        earlier = Rotation.load(journal)
    except (OSError, ValueError):
        return
    if not earlier.is_over:
        raise rotation_error(
            f"the journal is of a rotation that is not over (step {earlier.step}, {earlier.old_key_id} → "
            f"{earlier.new_key_id or 'no key known'}): resume_rotation() finishes it; nothing was changed",
            earlier,
        )


def lifetime_of(key: ApiKeySummary) -> int | None:
    """Return the whole seconds for which a key was made, `None` for no end."""
    if key.expires_at is None or key.created_at is None:
        return None
    return max(round(_seconds_between(key.created_at, key.expires_at)), 1)


def _seconds_between(begin: datetime, end: datetime) -> float:
    return (end - begin).total_seconds()
