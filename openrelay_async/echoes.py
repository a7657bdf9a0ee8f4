r"""Finds what a text shows of secrets that are known: as they are, escaped, or cut off.

A service may echo a secret as it came (`pass"word`), as in the JSON of a body (`pass\"word`) or as in a URL
(`pass%22word`), and each in more than one spelling. So it is not the secret that is escaped: the text is read
without its escapes, and what is found there has its place in the text itself.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from typing import NamedTuple

SHORTEST_BEGINNING = 16
"""Characters of a longer secret from which on its beginning alone is found, as where a text was cut."""

_BACKSLASHES = re.compile(
    r"""
      \\u[dD][89abAB][0-9a-fA-F]{2} \\u[dD][c-fC-F][0-9a-fA-F]{2}
    | \\u[0-9a-fA-F]{4}
    | (?: \\x[0-9a-fA-F]{2} )+
    | \\["'\\/nrtbf]
    """,
    re.VERBOSE,
)
_PERCENTS = re.compile(r"(?:%[0-9a-fA-F]{2})+")
_LETTERS = {"n": "\n", "r": "\r", "t": "\t", "b": "\b", "f": "\f"}
_PLAIN = re.compile(r"[A-Za-z0-9]+")
_STEP = 64


class _Reading(NamedTuple):
    """A text without its escapes, and where its parts come from."""

    text: str
    begins: list[int]
    origins: list[int]

    def origin(self, at: int) -> int:
        """Return where a place of the reading is in the text that was read."""
        part = bisect_right(self.begins, at) - 1
        return self.origins[part] + at - self.begins[part]


def find_echoes(text: str, known: Sequence[str]) -> list[tuple[int, int, int]]:
    """Return where a text shows known ones: begin, end and which of them; in order, none over another.

    The work grows with the length of the text, whatever is in it. What is escaped twice is found too, as
    where a service quotes a body that it got as JSON.
    """
    possible = [(which, each) for which, each in enumerate(known) if _give_hint(each) in text]
    if not possible:
        return []
    found: list[tuple[int, int, int]] = []
    for readings in _read(text, any(" " in each for _, each in possible)):
        read = readings[-1].text if readings else text
        for which, each in possible:
            for begin, end in _find(read, each):
                for reading in reversed(readings):
                    begin, end = reading.origin(begin), reading.origin(end)
                found.append((begin, end, which))
    return _merge(found)


def _give_hint(known: str) -> str:
    """Return a part of a known text that is in all that shows its beginning: nobody escapes a letter."""
    part = known[3:8]
    if part.isalnum() and part.isascii():
        return part  # most keys have one here, and an expression takes ten times as long
    return max(_PLAIN.findall(known[:SHORTEST_BEGINNING]), key=len, default="")


def _read(text: str, has_spaces: bool, depth: int = 2) -> Iterator[tuple[_Reading, ...]]:
    """Yield the ways to read a text: as it is, and without the escapes of each kind, once and twice.

    Each kind by itself: in JSON `%41` is three characters.
    """
    yield ()
    if depth == 0:
        return
    ways = []
    if "\\" in text:
        ways.append(_unescape(text, _BACKSLASHES))
    if "%" in text:
        ways.append(_unescape(text, _PERCENTS))
    if has_spaces and "+" in text:
        ways.append(_unescape(text.replace("+", " "), _PERCENTS))
    for way in ways:
        if way.text != text:
            for further in _read(way.text, has_spaces, depth - 1):
                yield (way, *further)


def _unescape(text: str, escapes: re.Pattern[str]) -> _Reading:
    parts, begins, origins = [], [0], [0]
    at, length = 0, 0
    for escape in escapes.finditer(text):
        plain = text[at : escape.start()]
        parts.append(plain)
        length += len(plain)
        at = escape.start()
        for character, width in _decode(escape[0]):
            begins.append(length)
            origins.append(at)
            parts.append(character)
            length += 1
            at += width
        begins.append(length)
        origins.append(at)
    return _Reading("".join([*parts, text[at:]]), begins, origins)


def _decode(escape: str) -> list[tuple[str, int]]:
    """Return the characters that an escape stands for, each with the number that it takes up."""
    kind = escape[1]
    if escape[0] == "%" or kind == "x":
        width = 3 if escape[0] == "%" else 4
        data = bytes.fromhex(escape.replace("%", "").replace("\\x", ""))
        try:
            return [(c, width * len(c.encode())) for c in data.decode()]
        except UnicodeDecodeError:
            return [(chr(byte), width) for byte in data]
    if kind == "u":
        units = bytes.fromhex(escape.replace("\\u", ""))
        return [(units.decode("utf-16-be", "surrogatepass"), len(escape))]
    return [(_LETTERS.get(kind, kind), 2)]


def _find(text: str, known: str) -> Iterator[tuple[int, int]]:
    """Yield where a known text is, and where its beginning is."""
    at = text.find(known)
    while at >= 0:
        yield at, at + len(known)
        at = text.find(known, at + len(known))
    beginning = known[:SHORTEST_BEGINNING]
    if beginning == known:
        return
    at = text.find(beginning)
    while at >= 0:
        end = at + _count_common(text, at, known)
        yield at, end
        at = text.find(beginning, end)


def _count_common(text: str, at: int, known: str) -> int:
    """Return how many characters of a known text follow each other from a place where it begins."""
    count = SHORTEST_BEGINNING
    while count < len(known) and text.startswith(known[count : count + _STEP], at + count):
        count = min(count + _STEP, len(known))
    rest = zip(text[at + count : at + count + _STEP], known[count : count + _STEP], strict=False)
    for ours, theirs in rest:
        if ours != theirs:
            break
        count += 1
    return count


def _merge(places: list[tuple[int, int, int]]) -> list[tuple[int, int, int]]:
    merged: list[tuple[int, int, int]] = []
    for begin, end, which in sorted(places, key=lambda place: (place[0], -place[1])):
        if merged and begin < merged[-1][1]:
            first, last, earlier = merged[-1]
            merged[-1] = first, max(last, end), earlier
        else:
            merged.append((begin, end, which))
    return merged
