"""What a reader sees of the lifecycles is what waits do."""

from __future__ import annotations

from pathlib import Path

from openrelay_async.lifecycles import describe_lifecycles

ROOT = Path(__file__).parents[2]


def test_the_readme_shows_the_table_that_waits_go_by():
    assert describe_lifecycles() in (ROOT / "README.md").read_text("utf-8"), "print(describe_lifecycles())"
