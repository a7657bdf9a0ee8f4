"""`python -m benchmarks.run [SUITE …]`: everything by turns on two cores; a table, a JSON file, plots.

`--quick` takes under a minute, the whole under ten. Ratios come first: they travel between machines, the
absolute figures beside them do not. The figures go to `benchmarks/results/`: `latest.json` of a whole run,
`quick.json` of a quick one, the suites' names for a part; `python -m benchmarks.plots` draws them again.
"""

from __future__ import annotations

import argparse
import signal
import sys
import time
from collections.abc import Callable
from importlib import import_module

from benchmarks.machine import CORES, cpu_seconds, pin_client
from benchmarks.measuring import Figure
from benchmarks.report import describe_versions, render_summary, render_table, save

SUITES = (
    "per_request",
    "decoding",
    "listing",
    "startup",
    "memory",
    "sync_calls",
    "many_at_once",
    "growth",
    "waits",
    "emulator",
)


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.run", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("suites", nargs="*", metavar="SUITE", help=f"of {', '.join(SUITES)}; all by default")
    parser.add_argument("--quick", action="store_true", help="few rounds, no slow peers, no plots")
    options = parser.parse_args()
    unknown = set(options.suites) - set(SUITES)
    if unknown:
        parser.error(f"no such suite: {', '.join(sorted(unknown))}")
    pin_client()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # ends the servers too
    figures: list[Figure] = []
    began = time.monotonic()
    for name in options.suites or SUITES:
        started, cpu_started = time.monotonic(), cpu_seconds()
        measure: Callable[..., list[Figure]] = import_module(f"benchmarks.{name}").measure
        figures += measure(quick=options.quick)
        took, cpu = time.monotonic() - started, cpu_seconds() - cpu_started
        print(f"{name}: {took:.0f} s, {cpu:.0f} of them busy", file=sys.stderr, flush=True)
    seconds = time.monotonic() - began
    print(render_table(figures))
    print(f"\n{describe_versions()}, cores {CORES.client} and {CORES.server}, {seconds:.0f} s")
    name = "+".join([*options.suites, *(["quick"] if options.quick else [])]) or "latest"
    path = save(figures, name, seconds=seconds)
    if not options.quick:
        from benchmarks.plots import draw_all  # matplotlib takes a second to load

        draw_all(path)
    print(render_summary(figures))
    return 0


if __name__ == "__main__":
    sys.exit(main())
