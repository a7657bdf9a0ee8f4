"""What an emulator can be started with, each checked when it is given."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import Literal, TypedDict, get_args

from openrelay_async.clock import Clock
from openrelay_async.config import check_clock
from openrelay_async.emulator.arguments import (
    find_choice_problem,
    find_flag_problem,
    find_integer_problem,
    find_number_problem,
    find_text_problem,
    require,
)
from openrelay_async.emulator.faults import Fault
from openrelay_async.errors import ConfigurationError

Generation = Literal["2026-07", "2026-10", "both"]
_MOST_CENTS = 10**15


class EmulatorOptions(TypedDict, total=False):
    """The arguments of `Emulator`, which says what they mean."""

    db: str
    host: str
    port: int
    speed: float
    clock: Clock | None
    generation: Generation
    faults: Iterable[Fault]
    rate_limit: float | None
    seed: int
    fleet: Mapping[str, int] | None
    organization: str
    credit_cents: int
    dashboard: bool
    control: bool
    password: str | None


def check_place(db: object, host: object, port: object) -> str:
    """Where it keeps its state and where it listens; the path of the file as text.

    Raises:
        ConfigurationError: one of them cannot be; whether they are to be had shows when it starts.
    """
    path: object = os.fspath(db) if isinstance(db, os.PathLike) else db
    if not isinstance(path, str) or not path:
        raise ConfigurationError('db must be the path of a file, or ":memory:" for none')
    require("db", find_text_problem(path))
    require("host", find_text_problem(host, what='an address of this machine, such as "127.0.0.1"'))
    require("port", find_integer_problem(port, least=0))
    return path


def check_time(speed: object, clock: Clock | None, rate_limit: object) -> None:
    """How its time passes, and how often a key may call in it.

    Raises:
        ConfigurationError: no finite number above 0, or no clock, or a clock and a speed.
    """
    require("speed", find_number_problem(speed, above=0))
    if rate_limit is not None:
        require("rate_limit", find_number_problem(rate_limit, above=0))
    if clock is not None:
        check_clock(clock)
        if speed != 1.0:
            raise ConfigurationError("give a clock or a speed, not both")


def check_contents(generation: object, seed: object, organization: object, credit_cents: object) -> None:
    """Which service it is, and what is there at the start.

    Raises:
        ConfigurationError: another generation, or of a wrong type.
    """
    require("generation", find_choice_problem(generation, get_args(Generation)))
    require("seed", find_integer_problem(seed))
    require("organization", find_text_problem(organization, what="a name"))
    require("credit_cents", find_integer_problem(credit_cents, least=-_MOST_CENTS, most=_MOST_CENTS))


def check_entrances(dashboard: object, control: object, password: object) -> None:
    """What it serves beside the service, and to whom.

    Raises:
        ConfigurationError: of a wrong type, or an empty password.
    """
    require("dashboard", find_flag_problem(dashboard))
    require("control", find_flag_problem(control))
    if password is not None:
        require("password", find_text_problem(password, what="text, or None for no sign-in by password"))
