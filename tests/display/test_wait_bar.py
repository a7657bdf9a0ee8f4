"""The bar of a wait: in a terminal, and in a log file."""

from __future__ import annotations

import io
import threading

import pytest

from openrelay_async.models import VmDetail, VmSummary
from openrelay_async.progress import WaitBar
from openrelay_async.waiting import WaitProgress

REQUIRED = {
    "createdAt": "",
    "diskSizeGb": 100,
    "gpuCount": 1,
    "public": False,
    "healthy": True,
    "resourceSize": "standard",
    "tier": "verified",
    "updatedAt": "",
    "sshReady": False,
}


def told(
    id: str,
    status: str,
    *,
    until: str = "running",
    elapsed: float = 3,
    **fields: object,
) -> WaitProgress[object]:
    wire = {"id": id, "name": "a", "organizationId": "org_1", "status": status, **REQUIRED}
    resource = (
        VmDetail.from_wire({**wire, **fields})
        if until == "ssh_ready"
        else VmSummary.from_wire({**wire, **fields})
    )
    reason = fields.get("statusReason")
    return WaitProgress(id, until, status, str(reason) if reason else None, elapsed, 1, resource)


class Terminal(io.StringIO):
    """A text stream that says that it is a terminal."""

    def isatty(self) -> bool:
        return True

    def last_line(self) -> str:
        return [part for part in self.getvalue().replace("\n", "\r").split("\r") if part.strip()][-1]


def test_a_log_file_gets_a_line_for_each_change() -> None:
    log = io.StringIO()
    with WaitBar(total=2, description="trainers", file=log) as bar:
        bar(told("vm_1", "deploying", statusReason="scheduling"))
        bar(told("vm_2", "deploying"))
        bar(told("vm_1", "running", elapsed=65))
    assert log.getvalue().splitlines() == [
        "trainers: vm_1 deploying (scheduling) after 3 s, waiting for running [0/2]",
        "trainers: vm_2 deploying after 3 s, waiting for running [0/2]",
        "trainers: vm_1 running after 1 min, waiting for running [1/2]",
    ]


def test_a_log_file_gets_no_line_for_a_change_that_does_not_show() -> None:
    log = io.StringIO()
    bar = WaitBar(file=log)
    bar(told("vm_1", "deploying"))
    bar(told("vm_1", "deploying", elapsed=10))
    assert log.getvalue().count("\n") == 1


def test_a_terminal_gets_a_bar_that_fills() -> None:
    terminal = Terminal()
    with WaitBar(total=2, description="trainers", file=terminal) as bar:
        bar(told("vm_1", "deploying"))
        bar(told("vm_2", "running"))
        assert "1/2" in terminal.last_line()
        assert "1 deploying, 1 running" in terminal.last_line()
        bar(told("vm_1", "running"))
    assert terminal.last_line().startswith("trainers: 2/2 |")
    assert terminal.getvalue().endswith("\n")


def test_a_bar_of_one_tells_its_state_and_reason() -> None:
    terminal = Terminal()
    with WaitBar(file=terminal) as bar:
        bar(told("vm_1", "deploying", statusReason="pulling the image"))
        assert "vm_1 deploying (pulling the image)" in terminal.last_line()


def test_ssh_ready_is_a_goal_that_no_status_tells() -> None:
    log = io.StringIO()
    bar = WaitBar(total=2, file=log)
    bar(told("vm_1", "running", until="ssh_ready", sshReady=False))
    assert log.getvalue().endswith("[0/2]\n")
    bar(told("vm_1", "running", until="ssh_ready", sshReady=True))
    assert log.getvalue().endswith("[1/2]\n")


@pytest.mark.parametrize("file", [io.StringIO, Terminal])
def test_many_threads_may_report(file: type[io.StringIO]) -> None:
    bar = WaitBar(total=32, file=file())
    threads = [threading.Thread(target=lambda n=n: bar(told(f"vm_{n}", "running"))) for n in range(32)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    bar.close()
    assert repr(bar) == "<WaitBar 32/32>"
