"""Finds what looks like a credential in any text, fast where there is none.

A regular expression over all of the text would read some ten megabytes a second. So the text is first
turned into classes of characters, in C, and searched for runs as long as a credential: prose has none, and
each that is found is looked at alone.
"""

from __future__ import annotations

import itertools
import re

SHORTEST_RUN = 16
"""Characters of the shortest run of letters, digits, `_` and `-` that is looked at."""

_LONGEST_CLOSE_READING = 16 * 1024
"""Characters up to which a text is also read for short bearer values: messages, not files."""

_RUN = b"\x01" * SHORTEST_RUN
# `+` and `/` are in some webhook secrets; `=` only ends one.
_CLASSES = bytes(1 if chr(code).isalnum() or chr(code) in "_-+/" else 0 for code in range(128)) + bytes(128)

_PREFIX = re.compile(
    r"""
    (?:^|(?<=[_\-+/]))
    (?: vl[a-z]{0,2} | or[ps]?          # API keys of 2026-07 and 2026-10, sessions, provisioning tokens
      | whsec                           # webhook secrets
      | prov | tok | dpl | k8s          # provisioning, deploy and cluster tokens
      | sk | pk | rk | sk-[a-z]+        # keys of payment and model services that users run beside it
    )
    _(?=[A-Za-z0-9_\-+/]{12})
    """,
    re.VERBOSE,
)
_MAYBE = re.compile(r"(?:vl|or|whsec|k|prov|tok|dpl)[a-z]{0,2}_|k8s_")
_BEGINNINGS = frozenset({"vl", "or", "wh", "pr", "to", "dp", "k8", "sk", "pk", "rk"})
_BEFORE_SPACE = frozenset("rRcC:= \t\"'")
_AFTER_LABEL = frozenset(" \t\n\"':=")
_WEB_TOKEN = re.compile(r"eyJ[A-Za-z0-9_\-]{8,}(?:\.[A-Za-z0-9_\-]+){1,4}\.?")
_PADDING = re.compile(r"[A-Za-z0-9_\-+/]*=*")
_LABEL = re.compile(
    r"""
    (?: \b(?:bearer|basic)\s+
      | (?: \b | _ | (?-i:(?=[A-Z][a-z])) )                # token, access_token, accessToken
        (?:token|api[_-]?key|secret|passwo?r?d|authorization) \\?["']?
        \s{0,2}[:=]\s{0,2}\\?["']?(?:bearer\s+)?
    )$
    """,
    re.VERBOSE | re.IGNORECASE,
)
_CODES = re.compile(r"\\(?:u[0-9A-Fa-f]{4}|x[0-9A-Fa-f]{2})")
_PERCENT_CODES = re.compile(r"%(?:[01][0-9A-Fa-f]|2[0278]|3[ABCD])", re.IGNORECASE)
"""Those of control characters, spaces, quotes and what stands around a value."""
_LABEL_REACH = 32
_SHORT_BEARER = re.compile(r"\bbearer\s+([^\s\"',;(){}\[\]]{6,})", re.IGNORECASE)
_SHORT_KEY = re.compile(r"(?<![A-Za-z0-9_\-])((?:vl|or|whsec)_)([A-Za-z0-9_\-]{8,})")
_WORD = re.compile(r"[A-Za-z]+(?:-[A-Za-z]+)*[.,:;!?]*")
_MANY_CHANGES = 10
_LETTERS = re.compile(r"[A-Za-z]{20}")
_SEGMENT = re.compile(r"[A-Za-z0-9]+")


def find_credentials(text: str) -> list[tuple[int, int]]:
    """Return where text looks like a credential: begin and end of each place, in order."""
    found: list[tuple[int, int]] = []
    text = _blank_escapes(text)
    # One byte for a character, so that positions agree; what is not ASCII separates.
    classes = text.encode("ascii", "replace").translate(_CLASSES)
    at = classes.find(_RUN)
    while at >= 0:
        end = classes.find(0, at)
        if end < 0:
            end = len(text)
        place = _judge_run(text, at, end)
        if place is not None:
            found.append(place)
            end = max(end, place[1])
        at = classes.find(_RUN, end)
    if len(text) <= _LONGEST_CLOSE_READING:
        found += _read_closely(text)
        found = _merge(found)
    return found


def _blank_escapes(text: str) -> str:
    """Return a text of the same length with spaces for the escapes of what no credential has.

    Else the letter of an escaped line end (`\\n`, as JSON and `repr` write it) is one with what follows.
    """
    if "\\" in text:
        for escape in ("\\n", "\\r", "\\t"):
            text = text.replace(escape, "  ")
        if "\\u" in text or "\\x" in text:
            text = _CODES.sub(lambda code: " " * len(code[0]), text)
    return _PERCENT_CODES.sub("   ", text) if "%" in text else text


def _judge_run(text: str, begin: int, end: int) -> tuple[int, int] | None:
    """Return the credential that a run is, begins with or contains."""
    run = text[begin:end]
    # Most runs are ids and hashes: they are told apart without an expression.
    inside = run.count("_") > 1 or "-" in run or "/" in run or "+" in run
    prefix = _PREFIX.match(run) if run[:2] in _BEGINNINGS else None
    if prefix is None and inside and _MAYBE.search(run):
        prefix = _PREFIX.search(run, 1)
    if prefix is not None and _is_tail(prefix[0], run[prefix.end() :]):
        return begin + prefix.start(), _end_of_value(text, begin)
    if run.startswith("eyJ"):
        token = _WEB_TOKEN.match(text, begin)
        if token is not None:
            return begin, token.end()
    if begin and text[begin - 1] in _AFTER_LABEL and _has_label(text, begin) and looks_random(run):
        return begin, _end_of_value(text, begin)
    return None


def _has_label(text: str, begin: int) -> bool:
    if text[begin - 1].isspace() and text[max(begin - 2, 0)] not in _BEFORE_SPACE:
        return False
    before = text[max(begin - _LABEL_REACH, 0) : begin]
    return _LABEL.search(before) is not None


def _end_of_value(text: str, begin: int) -> int:
    padding = _PADDING.match(text, begin)
    return begin if padding is None else padding.end()


def looks_random(value: str) -> bool:
    """Return whether letters and digits follow each other as in no word, identifier or number."""
    if any(_is_mixed(segment) for segment in _SEGMENT.findall(value)):
        return True
    return _LETTERS.search(value) is not None or _count_changes(value) >= _MANY_CHANGES


def _is_mixed(segment: str) -> bool:
    if len(segment) < 6 or segment.isdigit():
        return False
    if not segment.isalpha():
        return True
    # Without a digit: upper and lower case follow each other more often than in a name (someName).
    return _count_changes(segment) > max(3, len(segment) // 4)


def _count_changes(value: str) -> int:
    """Return how often the kind of character changes: lower case, upper case, digit."""
    kinds = ["d" if c.isdigit() else "u" if c.isupper() else "l" for c in value if c.isalnum()]
    return sum(a != b for a, b in itertools.pairwise(kinds))


def _is_tail(prefix: str, tail: str) -> bool:
    # "or_" begins names such as or_else_branch; the others begin nothing but credentials.
    return prefix.startswith(("vl_", "whsec_")) or looks_random(tail)


def _read_closely(text: str) -> list[tuple[int, int]]:
    """Return what is shorter than a run: only in messages, where a whole expression costs nothing."""
    bearers = [each.span(1) for each in _SHORT_BEARER.finditer(text) if not _WORD.fullmatch(each[1])]
    return bearers + [each.span() for each in _SHORT_KEY.finditer(text) if _is_tail(each[1], each[2])]


def _merge(places: list[tuple[int, int]]) -> list[tuple[int, int]]:
    merged: list[tuple[int, int]] = []
    for begin, end in sorted(places):
        if merged and begin < merged[-1][1]:
            merged[-1] = merged[-1][0], max(end, merged[-1][1])
        else:
            merged.append((begin, end))
    return merged
