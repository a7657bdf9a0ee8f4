"""How fast `scrub` reads text: prose without credentials, logs full of ids, and a file full of keys.

Run: python -m benchmarks.scrub
"""

from __future__ import annotations

import random
import secrets
import statistics
import time

from openrelay_async import scrub

MEGABYTES = 8
ROUNDS = 7

PROSE = (
    "the quick brown fox jumps over lazy dogs while a service for each vendor is finished in 12 ms with "
    "status 200 and everything else works as expected today, authentication and authorization included"
)
LOGS = (
    "INFO request vm_06964b3fbfca28fd8bff finished in 12 ms status 200 org_06964b3fbfca28fd8bff user_id=7 "
    "path=/v1/vms/{id} quick brown error_code 2026-11-23T17:00:00Z"
)


def make_text(words: list[str], seed: int = 1) -> str:
    randomness = random.Random(seed)
    parts: list[str] = []
    length = 0
    while length < MEGABYTES * 1_000_000:
        parts.append(randomness.choice(words))
        length += len(parts[-1]) + 1
    return " ".join(parts)


def measure(text: str) -> tuple[float, float]:
    """Return the median and the best speed in MB per second of CPU: other programs hardly change it."""
    speeds = []
    for _ in range(ROUNDS):
        began = time.process_time()
        scrub(text)
        speeds.append(len(text) / 1e6 / (time.process_time() - began))
    return statistics.median(speeds), max(speeds)


def main() -> None:
    keys = [f"or_{secrets.token_urlsafe(32)}" for _ in range(100)]
    for name, words in (("prose", PROSE.split()), ("logs full of ids", LOGS.split()), ("keys", keys)):
        median, best = measure(make_text(words))
        print(f"{name:18} {median:8.0f} MB/s median {best:8.0f} best")


if __name__ == "__main__":
    main()
