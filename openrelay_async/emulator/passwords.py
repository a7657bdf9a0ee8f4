"""The password with which anyone may sign in, if the emulator was started with one."""

from __future__ import annotations

import hmac
import os

from openrelay_async.emulator.answers import Refusal, bad_request
from openrelay_async.emulator.arguments import find_text_problem
from openrelay_async.emulator.vault import hash_password


class Password:
    """What is kept of a password: its salted hash, or that there is none."""

    def __init__(self, password: str | None) -> None:
        self._salt = os.urandom(16)
        self._hash = None if password is None else hash_password(password, self._salt)

    @property
    def is_set(self) -> bool:
        return self._hash is not None

    def admit(self, email: str, password: str) -> None:
        """Who knows the password may sign in with this address.

        Raises:
            Refusal: 403 if there is none, 401 if it is another one, 400 for what is no address.
        """
        if self._hash is None:
            raise Refusal(403, "the emulator was started without a password", "FORBIDDEN")
        if find_text_problem(password) or not hmac.compare_digest(
            self._hash, hash_password(password, self._salt)
        ):
            raise Refusal(401, "that is not the password", "UNAUTHORIZED")
        problem = find_text_problem(email)
        if problem is not None:
            raise bad_request("email", problem)
