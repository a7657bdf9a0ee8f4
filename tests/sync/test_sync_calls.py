"""What a sync client does, in one thread: calls, lists, views, recording, raw requests, closing."""

from __future__ import annotations

import asyncio
import contextvars
import pickle
import traceback
from pathlib import Path

import pytest

from openrelay_async.emulator import Emulator
from openrelay_async.errors import BridgeError, ConfigurationError, NotFound
from openrelay_sync import Client, LoopThread, RetryPolicy


@pytest.fixture(scope="module")
def vm_ids(emulator: Emulator) -> list[str]:
    with Client(emulator.api_key, base_url=emulator.url, org_id=emulator.org_id) as client:
        return [client.vms.create(name=f"vm-{n}", gpu_model_id="rtx-4090", gpu_count=1).id for n in range(3)]


def test_a_call_returns_the_model(client: Client, vm_ids: list[str]) -> None:
    assert client.vms.get(vm_ids[0]).name == "vm-0"


def test_an_error_of_the_service_is_raised_as_in_the_async_client(client: Client) -> None:
    with pytest.raises(NotFound) as caught:
        client.vms.get("vm_none")
    assert (caught.value.operation, caught.value.status) == ("getVm", 404)


def test_a_list_is_iterated_without_await(client: Client, vm_ids: list[str]) -> None:
    assert {vm.id for vm in client.vms.list(page_size=1)} == set(vm_ids)


def test_all_gives_a_plain_list(client: Client, vm_ids: list[str]) -> None:
    everything = client.vms.list(page_size=2).all()
    assert type(everything) is list
    assert len(everything) == len(vm_ids)


def test_pages_cross_once_each(client: Client, emulator: Emulator, vm_ids: list[str]) -> None:
    emulator.clear_requests()
    pages = list(client.vms.list(page_size=2).pages())
    assert [len(page.items) for page in pages] == [2, 1]
    assert len(emulator.requests) == 2


def test_first_reads_one_page(client: Client, emulator: Emulator, vm_ids: list[str]) -> None:
    emulator.clear_requests()
    first = client.vms.list(page_size=1).first()
    assert first is not None
    assert first.id in vm_ids
    assert len(emulator.requests) == 1


def test_leaving_a_loop_early_reads_no_further_page(
    client: Client, emulator: Emulator, vm_ids: list[str]
) -> None:
    """R8.4"""
    emulator.clear_requests()
    for _ in client.vms.list(page_size=1):
        break
    assert len(emulator.requests) == 1


def test_a_list_that_broke_off_is_resumed_from_its_cursor(client: Client, vm_ids: list[str]) -> None:
    call = client.vms.list(page_size=1)
    page = next(call.pages())
    assert call.next_cursor is not None
    rest = client.vms.list(page_size=1, cursor=call.next_cursor).all()
    assert {vm.id for vm in [*page.items, *rest]} == set(vm_ids)


def test_an_unused_list_call_says_what_to_do_with_it(client: Client) -> None:
    assert repr(client.vms.list()) == ("<SyncPagedCall listOrgVms: iterate with `for`, or all() for a list>")


def test_responses_are_recorded_in_the_context_of_the_caller(client: Client, vm_ids: list[str]) -> None:
    with client.record_responses() as responses:
        client.vms.get(vm_ids[0])
    client.vms.get(vm_ids[0])
    assert [(each.operation, each.status) for each in responses] == [("getVm", 200)]


def test_a_view_shares_the_thread_and_closes_nothing(client: Client, vm_ids: list[str]) -> None:
    view = client.with_options(timeout=5, retry=RetryPolicy(max_attempts=1))
    assert view.vms.get(vm_ids[0]).id == vm_ids[0]
    view.close()
    assert client.vms.get(vm_ids[0]).id == vm_ids[0]


def test_a_raw_request_goes_through_the_same_transport(client: Client, emulator: Emulator) -> None:
    answer = client.request("GET", "/v1/whoami")
    assert isinstance(answer, dict)
    assert answer["organizationId"] == emulator.org_id


def test_bulk_runs_many_calls_without_threads_and_keeps_errors_apart(
    client: Client, vm_ids: list[str]
) -> None:
    done = client.bulk(lambda each: (each.vms.get(key) for key in [vm_ids[0], "vm_none", vm_ids[1]]))
    assert {place: vm.id for place, vm in done.results.items()} == {0: vm_ids[0], 2: vm_ids[1]}
    assert isinstance(done.errors[1], NotFound)


def test_drain_refuses_new_calls(emulator: Emulator) -> None:
    with Client(emulator.api_key, base_url=emulator.url) as client:
        client.account.whoami()
        client.drain()
        with pytest.raises(Exception, match="draining"):
            client.account.whoami()


def test_contextvars_of_the_caller_hold_inside_the_call() -> None:
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="unset")

    async def read() -> str:
        return variable.get()

    variable.set("mine")
    with LoopThread() as thread:
        assert thread.run(read()) == "mine"


async def test_it_works_under_a_running_loop(emulator: Emulator) -> None:
    """R1.5, R8.3: as in a notebook, whose cells run in the kernel's loop."""
    with Client(emulator.api_key, base_url=emulator.url) as client:
        assert client.account.whoami().organization_id == emulator.org_id
    assert asyncio.get_running_loop().is_running()


def test_a_call_after_close_raises(emulator: Emulator) -> None:
    client = Client(emulator.api_key, base_url=emulator.url)
    client.account.whoami()
    client.close()
    client.close()
    with pytest.raises(BridgeError, match="closed"):
        client.account.whoami()


def test_a_client_that_was_never_used_closes_without_a_thread(emulator: Emulator) -> None:
    client = Client(emulator.api_key, base_url=emulator.url)
    client.close()
    with pytest.raises(BridgeError, match="closed"):
        client.account.whoami()


def test_a_call_from_the_loops_own_thread_raises_at_once(emulator: Emulator) -> None:
    """R8.3"""
    problems: list[BaseException] = []

    class Nested:
        def on_response(self, event: object) -> None:
            try:
                client.account.whoami()
            except BridgeError as error:
                problems.append(error)
            try:
                client.close()
            except BridgeError as error:
                problems.append(error)

    with Client(emulator.api_key, base_url=emulator.url, hooks=[Nested()]) as client:
        client.account.whoami()
    assert ["own thread" in str(problem) for problem in problems] == [True, True]


def _bridge_frames(error: BaseException) -> list[str]:
    frames = traceback.extract_tb(error.__traceback__)
    return [frame.name for frame in frames if f"{Path('openrelay_sync')}/" in frame.filename]


def test_a_traceback_has_at_most_three_frames_of_the_bridge(client: Client) -> None:
    """R8.5"""
    with pytest.raises(NotFound) as caught:
        client.vms.get("vm_none")
    assert _bridge_frames(caught.value) == ["get", "run"]


def test_a_traceback_of_an_iteration_has_at_most_three_frames_of_the_bridge(client: Client) -> None:
    """R8.5"""
    with pytest.raises(Exception, match="cursor") as caught:
        for _ in client.vms.list(cursor="garbage"):
            pass
    assert _bridge_frames(caught.value) == ["__iter__", "iterate", "run"]


def test_a_client_refuses_to_be_pickled(client: Client) -> None:
    with pytest.raises(TypeError, match="cannot be pickled"):
        pickle.dumps(client)


def test_no_frame_of_a_failing_constructor_shows_the_key() -> None:
    """R4.1"""
    canary = "canary-not-a-key-\n-0123456789abcdef"
    with pytest.raises(ConfigurationError) as caught:
        Client(canary)
    own = [
        value
        for frame, _ in traceback.walk_tb(caught.value.__traceback__)
        if "openrelay_" in frame.f_code.co_filename
        for name, value in frame.f_locals.items()
        if name != "self"
    ]
    assert own
    assert "0123456789abcdef" not in repr(own)
