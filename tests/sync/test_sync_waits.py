"""Waits, watches, leases and rotation, which are async by nature, from sync code."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from openrelay_async.emulator import Emulator
from openrelay_async.errors import LeaseExpired, WaitTimeout
from openrelay_sync import Client

PUBLIC_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGtMnuk0Q0o8cWwLrY5c3wUkW3X9v7c2n7o0mWb3bqkX test"


@pytest.fixture(scope="module")
def quick() -> Iterator[Emulator]:
    with Emulator.in_thread(speed=20) as emulator:
        yield emulator


@pytest.fixture
def client(quick: Emulator) -> Iterator[Client]:
    with Client(quick.api_key, base_url=quick.url, org_id=quick.org_id) as client:
        yield client


def order(client: Client, name: str) -> str:
    return client.vms.create(name=name, gpu_model_id="rtx-4090", gpu_count=1).id


def wait_until_terminated(client: Client, vm_id: str) -> None:
    end = time.monotonic() + 10
    while client.vms.get(vm_id).status != "terminated":
        assert time.monotonic() < end
        time.sleep(0.05)


def test_a_wait_returns_the_vm_when_it_runs(client: Client) -> None:
    seen: list[str] = []
    id = order(client, "waited-for")  # noqa: A001 - what it is
    vm = client.vms.wait(id, timeout=20, on_update=lambda progress: seen.append(str(progress)))
    assert vm.status == "running"
    assert seen


def test_a_wait_that_takes_too_long_raises(client: Client) -> None:
    vm_id = order(client, "too-slow")
    with pytest.raises(WaitTimeout):
        client.vms.wait(vm_id, until="stopped", timeout=0.3)


def test_waits_that_end_are_yielded_as_they_end(client: Client) -> None:
    ids = [order(client, f"one-of-{n}") for n in range(3)]
    assert {outcome.id for outcome in client.vms.as_completed(ids, timeout=20)} == set(ids)


def test_changes_are_watched_in_a_for_loop(client: Client) -> None:
    """R5.6, and leaving the loop ends the watch."""
    vm_id = order(client, "watched")
    for change in client.vms.watch():
        if change.id == vm_id:
            break
    assert change.resource.name == "watched"


def test_a_lease_is_terminated_when_its_block_ends(client: Client) -> None:
    """R5.8"""
    with client.vms.lease(name="leased", gpu_model_id="rtx-4090") as vm:
        assert vm.status == "running"
    assert client.vms.get(vm.id).status == "terminated"


def test_a_lease_is_terminated_after_an_error_which_is_raised(client: Client) -> None:
    """R5.8"""
    with (
        pytest.raises(RuntimeError, match="in the block"),
        client.vms.lease(name="leased-too", gpu_model_id="rtx-4090") as vm,
    ):
        raise RuntimeError("in the block")
    assert client.vms.get(vm.id).status == "terminated"


def test_a_lease_is_terminated_after_ctrl_c_in_its_block(client: Client) -> None:
    """R5.8"""
    with (
        pytest.raises(KeyboardInterrupt),
        client.vms.lease(name="leased-and-left", gpu_model_id="rtx-4090") as vm,
    ):
        raise KeyboardInterrupt
    assert client.vms.get(vm.id).status == "terminated"
    assert client.vms.get(vm.id).id == vm.id, "the loop is alive"


def test_a_lease_at_its_limit_is_terminated_and_told_when_the_block_ends(client: Client) -> None:
    """The block runs in another thread than the lease's guard, so it is not cut off."""
    with (
        pytest.raises(LeaseExpired),
        client.vms.lease(name="limited", gpu_model_id="rtx-4090", max_duration=1.5) as vm,
    ):
        wait_until_terminated(client, vm.id)
    assert client.vms.get(vm.id).status == "terminated"


def test_ctrl_c_while_a_lease_begins_terminates_what_was_created(run_script, quick: Emulator) -> None:
    """R5.8"""
    done = run_script(
        f"""
    import os, signal, sys, threading, time
    from openrelay_sync import Client

    class Strike:
        def on_response(self, event):
            if event.operation == "createVm":
                threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGINT)).start()

    with Client({quick.api_key!r}, base_url=sys.argv[1], org_id={quick.org_id!r}, hooks=[Strike()]) as client:
        try:
            with client.vms.lease(name="struck", gpu_model_id="rtx-4090", until="ssh_ready"):
                print("not interrupted")
        except KeyboardInterrupt:
            print([vm.status for vm in client.vms.list() if vm.name == "struck"])
    """,
        quick.url,
    )
    assert (done.code, done.out, done.err) == (0, "['terminated']\n", "")


def test_a_lease_of_a_crashed_process_is_swept(client: Client, run_script, quick, tmp_path: Path) -> None:
    from openrelay_sync.leases import sweep

    record = tmp_path / "leases.jsonl"
    done = run_script(
        f"""
    import os, sys
    from openrelay_sync import Client
    client = Client({quick.api_key!r}, base_url=sys.argv[1], org_id={quick.org_id!r})
    with client.vms.lease(name="crashed", gpu_model_id="rtx-4090", record={str(record)!r}):
        os._exit(9)
    """,
        quick.url,
    )
    assert done.code == 9, done.err
    swept = sweep(client, record)
    assert [each.name for each in swept] == ["crashed"]
    assert client.vms.get(str(swept[0].id)).status == "terminated"


def test_a_leased_pod_of_a_crashed_process_is_swept(
    client: Client, run_script, quick, tmp_path: Path
) -> None:
    from openrelay_sync.leases import sweep

    record = tmp_path / "leases.jsonl"
    key = client.ssh_keys.create(name="key", public_key=PUBLIC_KEY)
    done = run_script(
        f"""
    import os, sys
    from openrelay_sync import Client
    client = Client({quick.api_key!r}, base_url=sys.argv[1], org_id={quick.org_id!r})
    order = dict(image="nginx", ssh_key_ids=[{key.id!r}], gpu_model_id="rtx-4090")
    with client.pods.lease(name="crashed-pod", **order, record={str(record)!r}):
        os._exit(9)
    """,
        quick.url,
    )
    assert done.code == 9, done.err
    [swept] = sweep(client, record)
    assert (swept.kind, swept.name, swept.error) == ("pods", "crashed-pod", None)
    assert {pod.id: pod.status for pod in client.pods.list()} == {swept.id: "terminated"}
    assert sweep(client, record) == []


def test_a_key_is_rotated(quick: Emulator) -> None:
    """R9.3, from sync code."""
    stored = []
    with Client(quick.api_key, base_url=quick.url, org_id=quick.org_id) as owner:
        made = owner.api_keys.create(name="to-rotate")
        with Client(made.key, base_url=quick.url, org_id=quick.org_id) as client:
            client.api_keys.rotate(store=stored.append)
            client.account.whoami()
    assert len(stored) == 1


def test_a_webhook_secret_is_rolled_in_a_with_block(quick: Emulator) -> None:
    """A context manager that is a generator, entered and left in one task."""
    with Client(quick.api_key, base_url=quick.url, org_id=quick.org_id) as client:
        hook = client.webhooks.create(name="hook", url="https://example.com/hook", events=["vm.running"])
        with client.webhooks.rolling_secret(hook.id) as new:
            assert new.secret
