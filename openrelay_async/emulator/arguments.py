"""What is wrong with a value that somebody gave: one wording for constructors, methods and control endpoints.

Only numbers are shown: another value may be a key that went astray.
"""

from __future__ import annotations

import math
from collections.abc import Collection

from openrelay_async.errors import ConfigurationError

LONGEST_TIME = 10**9
"""Seconds that a delay may take: some 30 years."""
LONGEST_TEXT = 10_000


def require(name: str, problem: str | None) -> None:
    """Nothing may be wrong with the argument `name`.

    Raises:
        ConfigurationError: something is.
    """
    if problem is not None:
        raise ConfigurationError(f"{name} {problem}")


def find_number_problem(
    value: object,
    *,
    least: float | None = None,
    above: float | None = None,
    most: float | None = None,
    hint: str = "",
) -> str | None:
    """What keeps a value from being a finite number from `least`, or above `above`, to `most`."""
    wanted = f"must be a number {_describe_bounds(least, most)}".rstrip()
    if isinstance(value, bool) or not isinstance(value, int | float):
        return f"{wanted}, not {type(value).__name__}"
    if not _is_finite(value):
        return f"{wanted}, and finite"
    if above is not None and value <= above:
        return f"must be more than {above:g}"
    if (least is not None and value < least) or (most is not None and value > most):
        return f"{wanted}, not {value:g}" + (f": {hint}" if hint else "")
    return None


def _describe_bounds(least: float | None, most: float | None) -> str:
    if least is None:
        return "" if most is None else f"of at most {most:.0f}"
    return f"of at least {least:.0f}" if most is None else f"from {least:.0f} to {most:.0f}"


def _is_finite(value: float) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:  # an integer that no float can hold
        return False


def find_integer_problem(value: object, *, least: int | None = None, most: int | None = None) -> str | None:
    """What keeps a value from being an integer from `least` to `most`."""
    wanted = f"must be an integer {_describe_bounds(least, most)}".rstrip()
    if isinstance(value, bool) or not isinstance(value, int):
        return f"{wanted}, not {type(value).__name__}"
    if (least is not None and value < least) or (most is not None and value > most):
        return f"{wanted}, not {value:.6g}" if _is_finite(value) else wanted
    return None


def find_text_problem(value: object, *, what: str = "text", is_blank_allowed: bool = False) -> str | None:
    """What keeps a value from being text that can be stored and sent."""
    if not isinstance(value, str):
        return f"must be {what}, not {type(value).__name__}"
    if not is_blank_allowed and not value.strip():
        return f"must be {what}, and not blank"
    if len(value) > LONGEST_TEXT:
        return f"must be {what} of at most {LONGEST_TEXT} characters"
    try:
        value.encode()
    except UnicodeEncodeError:
        return f"must be {what} of valid Unicode: it has a lone surrogate"
    return None


def find_choice_problem(value: object, choices: Collection[str]) -> str | None:
    """What keeps a value from being one of a few words."""
    if isinstance(value, str) and value in choices:
        return None
    kind = "" if isinstance(value, str) else f", not {type(value).__name__}"
    return f"must be one of {', '.join(choices)}{kind}"


def find_flag_problem(value: object) -> str | None:
    return None if isinstance(value, bool) else f"must be True or False, not {type(value).__name__}"


def find_time_problem(value: object) -> str | None:
    """What keeps a value from being a number of seconds that something may take, or be away."""
    return find_number_problem(value, least=0, most=LONGEST_TIME)
