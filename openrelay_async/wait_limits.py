"""What holds for a wait where the caller says nothing."""

from __future__ import annotations

DEFAULT_TIMEOUT = 1800.0
"""Seconds."""
DEFAULT_FAILURES = 10
"""Polls in a row that may fail for reasons that pass."""
