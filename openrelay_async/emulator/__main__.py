"""`python -m openrelay_async.emulator`: the service on a port, until SIGTERM or Ctrl-C."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import sys

from openrelay_async.emulator.embedding import Emulator
from openrelay_async.emulator.storage import EmulatorError


def parse_arguments(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m openrelay_async.emulator", description="The OpenRelay service on this machine."
    )
    parser.add_argument(
        "--host", default="127.0.0.1", help="address to listen on (plain HTTP: keep it local)"
    )
    parser.add_argument("--port", type=int, default=8083, help="0 takes a free one (default: 8083)")
    parser.add_argument("--db", default=":memory:", metavar="FILE", help="keep the state in this file")
    parser.add_argument(
        "--speed", type=float, default=1.0, help="seconds that pass in one second (default: 1)"
    )
    parser.add_argument("--generation", choices=("2026-07", "2026-10", "both"), default="both")
    parser.add_argument("--seed", type=int, default=0, help="ids follow from it")
    parser.add_argument("--rate-limit", type=float, metavar="N", help="requests per second for each key")
    parser.add_argument("--control", action="store_true", help="serve /_emulator/ (no key needed), too")
    parser.add_argument("--dashboard", action="store_true", help="serve the page of API keys, too")
    parser.add_argument(
        "--json", action="store_true", help="print one line of JSON when requests are accepted"
    )
    parser.add_argument(
        "--list-operations", action="store_true", help="what is modelled and what answers 501"
    )
    return parser.parse_args(argv)


async def serve(options: argparse.Namespace) -> None:
    """Serve until a signal says stop."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    emulator = Emulator(
        db=options.db,
        host=options.host,
        port=options.port,
        speed=options.speed,
        generation=options.generation,
        seed=options.seed,
        rate_limit=options.rate_limit,
        dashboard=options.dashboard,
        control=options.control,
        # From the environment: arguments can be read by everyone on the machine.
        password=os.environ.get("OPENRELAY_EMULATOR_PASSWORD") or None,
    )
    async with emulator:
        write_greeting(emulator, as_json=options.json, with_dashboard=options.dashboard)
        await stop.wait()


def write_greeting(emulator: Emulator, *, as_json: bool, with_dashboard: bool = False) -> None:
    """Where it is and how to get in: the only time that the key is shown."""
    facts = {
        "url": emulator.url,
        "api_key": emulator.api_key if emulator.has_api_key else None,
        "org_id": emulator.org_id,
        "session_token": emulator.session_token,
    }
    if with_dashboard:
        facts["dashboard_url"] = emulator.dashboard_url
    if as_json:
        text = json.dumps(facts) + "\n"
    else:
        key = facts["api_key"] or "(kept from before: keys are stored hashed, and cannot be shown again)"
        # What is after the # stays in the browser: the page fills it into the form for signing in.
        link = f"{emulator.dashboard_url}#{facts['session_token']}"
        dashboard = f"  dashboard: {link}\n" if with_dashboard else ""
        text = (
            f"OpenRelay emulator on {facts['url']}\n"
            f"  OPENRELAY_API_URL={facts['url']}\n"
            f"  OPENRELAY_API_KEY={key}\n"
            f"  OPENRELAY_ORG_ID={facts['org_id']}\n"
            f"  session token: {facts['session_token']}\n"
            f"{dashboard}"
            "Ctrl-C ends it.\n"
        )
    sys.stdout.write(text)
    sys.stdout.flush()


def write_operations(generation: str) -> None:
    from openrelay_async.emulator.service import list_operations

    for operation, is_modelled in list_operations(generation):
        state = "modelled" if is_modelled else "501"
        sys.stdout.write(f"{state:9} {operation.call:45} {operation.method:6} {operation.path}\n")


def main(argv: list[str] | None = None) -> int:
    """The exit code: 0 after a signal, 2 if it cannot start."""
    options = parse_arguments(argv)
    if options.list_operations:
        write_operations(options.generation)
        return 0
    try:
        asyncio.run(serve(options))
    except (EmulatorError, ValueError) as error:
        sys.stderr.write(f"emulator: {error}\n")
        return 2
    except KeyboardInterrupt:
        return 0
    return 0


if __name__ == "__main__":
    sys.exit(main())
