"""Answers of a service with one kind of VM, as the benchmarks have them: singly, and in a list of many."""

from __future__ import annotations

from benchmarks import load_server

LISTED = 2_500


class CannedAnswers(load_server.CannedAnswers):
    """Answers each request by its first line; the list ends after `LISTED`."""

    total = LISTED
