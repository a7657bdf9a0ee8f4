"""Generate the SDK's code from `openrelay.json`.

From the root of the repository:

    python api_description/generate.py                    write what changed
    python api_description/generate.py --check            fail, naming the files that are out of date
    python api_description/generate.py diff other.json    what a newer description would change for users
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from api_description.generator.compare import compare, spell_changes  # noqa: E402 - needs the path above
from api_description.generator.load import load_description  # noqa: E402
from api_description.generator.publish import find_stale, publish  # noqa: E402
from api_description.generator.refuse import DescriptionError  # noqa: E402
from api_description.generator.render import find_missing_words, read_document, render_all  # noqa: E402

DESCRIPTION = ROOT / "api_description" / "openrelay.json"


def main(arguments: list[str] | None = None) -> int:
    """Run the command and return its exit status."""
    parser = argparse.ArgumentParser(description="Generate the SDK's code from the API description.")
    parser.add_argument("--check", action="store_true", help="write nothing; fail if a file is out of date")
    commands = parser.add_subparsers(dest="command", metavar="diff")
    diff = commands.add_parser("diff", help="say what a newer description would change for users")
    diff.add_argument("other", type=Path, help="the newer description, a JSON file")
    options = parser.parse_args(arguments)
    try:
        if options.command == "diff":
            print(describe_changes(options.other))
            return 0
        return write_or_check(check=options.check)
    except DescriptionError as error:
        print(f"refused: {error}", file=sys.stderr)
        return 2


def write_or_check(*, check: bool) -> int:
    document = read_document(DESCRIPTION)
    gaps = find_missing_words(document)
    for gap in gaps:
        print(f"prose: {gap}", file=sys.stderr)
    files = render_all(document)
    if not check:
        for path in publish(files, ROOT):
            print(f"{'wrote' if path in files else 'deleted'} {path}")
        return 0
    stale = find_stale(files, ROOT)
    for path in stale:
        print(f"out of date: {path} (run `make generate`)", file=sys.stderr)
    return 1 if stale or gaps else 0


def describe_changes(other: Path) -> str:
    """Return what would change for users if `other` were the description."""
    return spell_changes(compare(load_description(DESCRIPTION), load_description(other)))


if __name__ == "__main__":
    sys.exit(main())
