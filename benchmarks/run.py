"""`python -m benchmarks.run`: everything by turns on two cores; a table, and a JSON file for later.

`--quick` takes under a minute, the whole under ten. Ratios come first: they travel between machines, the
absolute figures beside them do not.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
import time
from collections.abc import Callable
from importlib import import_module
from importlib.metadata import version

import orjson

from benchmarks.measuring import RESULTS, Figure, as_json, cores, table

SUITES = ("per_request", "decoding", "startup", "many_at_once", "sync_calls", "memory", "waits")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.run", description=__doc__)
    parser.add_argument("suites", nargs="*", metavar="SUITE", help=f"of {', '.join(SUITES)}; all by default")
    parser.add_argument("--quick", action="store_true", help="few rounds, no slow peers")
    options = parser.parse_args()
    unknown = set(options.suites) - set(SUITES)
    if unknown:
        parser.error(f"no such suite: {', '.join(sorted(unknown))}")
    client_core, server_core = cores()
    if client_core is not None:
        os.sched_setaffinity(0, {client_core})
    figures: list[Figure] = []
    began = time.monotonic()
    for name in options.suites or SUITES:
        measure: Callable[..., list[Figure]] = import_module(f"benchmarks.{name}").measure
        figures += measure(quick=options.quick)
    print(table(figures))
    print(f"\nPython {platform.python_version()}, aiohttp {version('aiohttp')}, "
          f"openrelay-sdk {version('openrelay-sdk')}, cores {client_core}/{server_core}, "
          f"{time.monotonic() - began:.0f} s")  # fmt: skip
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "latest.json").write_bytes(orjson.dumps(as_json(figures), option=orjson.OPT_INDENT_2))
    missed = [figure for figure in figures if figure.is_met is False]
    print(f"{len(missed)} targets missed" if missed else "all targets met")
    return 0


if __name__ == "__main__":
    sys.exit(main())
