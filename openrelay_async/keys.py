"""`python -m openrelay_async.keys`: list, create, rotate and revoke API keys.

The key to work with comes from OPENRELAY_API_KEY, a file or a command, never from an argument: arguments
can be read by everyone on the machine. A new key's plaintext goes to one place: a terminal when asked, a
file of mode 0600, or the standard input of another program.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import sys
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime

import orjson

from openrelay_async.client import AsyncClient
from openrelay_async.errors import ConfigurationError, OpenRelayError
from openrelay_async.generated.models.api_keys import ApiKeySummary
from openrelay_async.key_destination import Destination, KeyFile, StoreCommand, Terminal, split_command
from openrelay_async.key_interrupts import Interrupts
from openrelay_async.key_providers import CommandKey, FileKey
from openrelay_async.off_loop import run_off_loop
from openrelay_async.redaction import Secret
from openrelay_async.request_path import is_path_id
from openrelay_async.unset import UNSET

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def parse_lifetime(text: str) -> int:
    """Return the seconds of `90d`, `12h`, `30m`, `45s` or a plain number.

    Raises:
        argparse.ArgumentTypeError: anything else.
    """
    number, unit = (text[:-1], text[-1]) if text[-1:] in _UNITS else (text, "s")
    if not number.isascii() or not number.isdigit() or int(number) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no duration such as 90d, 12h or 3600")
    return int(number) * _UNITS[unit]


def make_parser() -> argparse.ArgumentParser:
    """Return the reader of the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m openrelay_async.keys",
        description="API keys of OpenRelay. The key to work with is read from OPENRELAY_API_KEY.",
    )
    parser.add_argument("--base-url", metavar="URL", help="address of the API (or OPENRELAY_API_URL)")
    parser.add_argument("--org-id", metavar="ID", help="organization (or OPENRELAY_ORG_ID, or the key's own)")
    own = parser.add_mutually_exclusive_group()
    own.add_argument("--key-file", metavar="FILE", help="read the key to work with from this file")
    own.add_argument("--key-command", metavar="COMMAND", help="or from what this command prints")
    commands = parser.add_subparsers(dest="command", required=True, metavar="list|create|rotate|revoke")

    listing = commands.add_parser("list", help="show the organization's keys")
    listing.add_argument("--all", action="store_true", help="revoked keys, too")
    listing.add_argument("--json", action="store_true", help="one JSON object a line")

    creating = commands.add_parser("create", help="make a key")
    creating.add_argument("--name", required=True, help="name to recognise the key by")
    _add_wishes(creating)
    _add_destination(creating)

    rotating = commands.add_parser("rotate", help="replace the key to work with, and revoke it")
    rotating.add_argument("--name", help="name of the new key (default: the old one's)")
    _add_wishes(rotating)
    rotating.add_argument(
        "--grace", type=parse_lifetime, default=0, metavar="TIME", help="how long the old key stays valid"
    )
    rotating.add_argument("--journal", metavar="FILE", help="note the progress here, for --resume")
    rotating.add_argument("--resume", metavar="JOURNAL", help="finish a rotation that stopped")
    _add_destination(rotating)

    revoking = commands.add_parser("revoke", help="revoke a key for good")
    revoking.add_argument("id", help="id of the key (key_…)")
    return parser


def _add_wishes(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--scope", action="append", metavar="SCOPE", help="such as vms:read; again for each (default: all)"
    )
    parser.add_argument("--expires-in", type=parse_lifetime, metavar="TIME", help="such as 90d or 12h")


def _add_destination(parser: argparse.ArgumentParser) -> None:
    place = parser.add_mutually_exclusive_group()
    place.add_argument("--output", metavar="FILE", help="write the new key to this file, mode 0600")
    place.add_argument("--store-command", metavar="COMMAND", help="give it to this command's standard input")
    place.add_argument("--show", action="store_true", help="show it, if this is a terminal")
    parser.add_argument("--force", action="store_true", help="replace --output FILE if it exists")


def _find_destination(options: argparse.Namespace) -> Destination:
    destination: Destination
    if options.output is not None:
        destination = KeyFile(options.output, overwrite=options.force)
    elif options.store_command is not None:
        destination = StoreCommand(options.store_command)
    elif options.show:
        destination = Terminal()
    else:
        raise ConfigurationError("say where the new key goes: --output, --store-command or --show")
    destination.check()
    return destination


def _write(line: str) -> None:
    sys.stdout.write(f"{line}\n")


def _note(line: str) -> None:
    sys.stderr.write(f"{line}\n")


async def list_keys(client: AsyncClient, options: argparse.Namespace, _: Interrupts) -> None:
    """Show the keys as a table, or as JSON."""
    keys = [key for key in await client.api_keys.list() if options.all or key.revoked_at is None]
    if options.json:
        for key in keys:
            _write(orjson.dumps(key.to_wire()).decode())
        return
    rows = [
        (
            key.id,
            _printable(key.name),
            _printable(key.key_prefix) + "…",
            ",".join(key.scopes) or "-",
            _day(key.created_at),
            _state(key),
            _day(key.last_used_at),
        )
        for key in keys
    ]
    for line in format_table(("ID", "NAME", "KEY", "SCOPES", "CREATED", "EXPIRES", "LAST USED"), rows):
        _write(line)


def format_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Return the lines of a table with columns as wide as their widest cell."""
    widths = [max(len(row[column]) for row in (head, *rows)) for column in range(len(head))]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in (head, *rows)
    ]


def _printable(text: str) -> str:
    # A name is anybody's text: control characters in it could rewrite the terminal.
    return "".join(c if c.isprintable() else "·" for c in text)


def _day(time: datetime | None) -> str:
    return "-" if time is None else time.strftime("%Y-%m-%d")


def _state(key: ApiKeySummary) -> str:
    if key.revoked_at is not None:
        return f"revoked {_day(key.revoked_at)}"
    return "never" if key.expires_at is None else _day(key.expires_at)


async def create_key(client: AsyncClient, options: argparse.Namespace, interrupts: Interrupts) -> None:
    """Make a key and store it; one that cannot be stored is revoked again."""
    destination = _find_destination(options)
    interrupts.hold_back()
    made = await client.api_keys.create(
        name=options.name,
        scopes=options.scope or UNSET,
        expires_in_seconds=options.expires_in or UNSET,
    )
    try:
        await run_off_loop(lambda: destination.store(made.key.reveal()))
    except (OSError, ConfigurationError) as error:
        problem = error.message if isinstance(error, ConfigurationError) else str(error.strerror)
    except asyncio.CancelledError as error:
        error.add_note(f"The new key {made.id} works, stored or not.")
        raise
    else:
        _note(f"{made.id} {made.key} was created")
        return
    try:
        await client.api_keys.revoke(made.id)
    except OpenRelayError as error:
        answer = error.status or "no answer"
    else:
        raise ConfigurationError(f"{problem}; the new key {made.id} was revoked")
    raise OpenRelayError(f"{problem}; the new key {made.id} could not be revoked ({answer}): do it yourself")


async def rotate_key(client: AsyncClient, options: argparse.Namespace, interrupts: Interrupts) -> None:
    """Replace the key in use by a new one, or finish doing so."""
    if options.resume is not None:
        try:
            rotation = await client.api_keys.resume_rotation(options.resume)
        except (OSError, ValueError) as error:
            if isinstance(error, OpenRelayError):
                raise
            problem = str(error)
        else:
            _note(f"{rotation.old_key_id} → {rotation.new_key_id}: {rotation.step}")
            return
        raise ConfigurationError(f"--resume: {problem}")
    destination = _find_destination(options)

    async def store(plaintext: str) -> None:
        key = Secret(plaintext)
        del plaintext
        interrupts.hold_back()
        await run_off_loop(lambda: destination.store(key.reveal()))
        # Not where it failed: the new key is revoked first. What is left now takes no time but the grace.
        interrupts.let_go(stop=options.grace > 0)

    rotation = await client.api_keys.rotate(
        store=store,
        name=options.name,
        scopes=options.scope,
        expires_in=options.expires_in,
        grace=float(options.grace),
        journal=options.journal,
    )
    _note(f"{rotation.old_key_id} → {rotation.new_key_id}: the old key was revoked")


async def revoke_key(client: AsyncClient, options: argparse.Namespace, _: Interrupts) -> None:
    """Revoke one key."""
    if not is_path_id(options.id):
        raise ConfigurationError("revoke takes the id of a key, such as key_…: list shows them")
    await client.api_keys.revoke(options.id)
    _note(f"{options.id} was revoked")


_COMMANDS: dict[str, Callable[[AsyncClient, argparse.Namespace, Interrupts], Awaitable[None]]] = {
    "list": list_keys,
    "create": create_key,
    "rotate": rotate_key,
    "revoke": revoke_key,
}


async def run(options: argparse.Namespace, interrupts: Interrupts) -> None:
    """Carry out a command line that was read."""
    key: FileKey | CommandKey | None = None
    if options.key_file is not None:
        key = FileKey(options.key_file)
    elif options.key_command is not None:
        key = CommandKey(*split_command(options.key_command, option="--key-command"))
    async with AsyncClient(
        key, base_url=options.base_url, org_id=options.org_id, app_name="openrelay-keys"
    ) as client:
        await _COMMANDS[options.command](client, options, interrupts)


def main(argv: Sequence[str] | None = None) -> int:
    """Return the exit status.

    0 done, 1 refused or failed, 2 a wrong command line, 130 interrupted, also where what could not be left
    half done was done, 141 the reader of the output went away.
    """
    options = make_parser().parse_args(argv)
    interrupts = Interrupts(_note)
    status = 0
    try:
        asyncio.run(interrupts.guard(run(options, interrupts)))
        sys.stdout.flush()
    except ConfigurationError as error:
        _note(f"error: {error._say()}")
        status = 2
    except OpenRelayError as error:
        _note(f"error: {error}")
        status = 1
    except (KeyboardInterrupt, asyncio.CancelledError):
        return 130
    except BrokenPipeError:
        # `… | head` has seen enough: no error, and other programs end of the signal without a word.
        _drop_output()
        return 141
    except OSError as error:
        _drop_output()
        _note(f"error: the output cannot be written: {error.strerror}")
        status = 1
    return 130 if interrupts.count else status


def _drop_output() -> None:
    """Let what is left to be written go nowhere: the interpreter would try again, and complain."""
    with contextlib.suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)


if __name__ == "__main__":
    sys.exit(main())
