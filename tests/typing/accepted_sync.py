"""What users of the sync package write: type-checked by `test_typing.py`, never run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import assert_type

from openrelay_async.machines import AnyVm
from openrelay_async.models import FileObject, VmDetail, VmSummary, Whoami
from openrelay_async.progress import WaitBar
from openrelay_sync import (
    BulkResult,
    Client,
    LoopThread,
    Page,
    PoolLimits,
    RecordedResponse,
    RetryPolicy,
    Secret,
    SyncDownload,
    SyncPagedCall,
    errors,
)


def everyday(client: Client) -> None:
    assert_type(client.account.whoami(), Whoami)
    assert_type(client.vms.list(), SyncPagedCall[VmSummary])
    assert_type(client.vms.list().all(), list[VmSummary])
    assert_type(client.vms.list().first(), VmSummary | None)
    for vm in client.vms.list(page_size=100):
        assert_type(vm, VmSummary)
    for page in client.vms.list().pages():
        assert_type(page, Page[VmSummary])
    made = client.api_keys.create(name="ci", scopes=["vms:read"])
    assert_type(made.key, Secret)
    vm = client.vms.create(name="a", gpu_model_id="rtx-4090", env_vars={"TOKEN": Secret("hidden")})
    assert_type(client.vms.get_detail(vm.id, timeout=5), VmDetail)


def files(client: Client) -> None:
    assert_type(client.files.upload(file="input.jsonl", purpose="batch"), FileObject)
    download = client.files.get_content("file_1")
    assert_type(download, SyncDownload)
    assert_type(download.read(), bytes)
    assert_type(download.save("out.jsonl"), Path)
    chunks: Iterator[bytes] = iter(download)
    print(chunks)


def waiting(client: Client, ids: list[str]) -> None:
    assert_type(client.vms.wait(ids[0]), VmSummary)
    assert_type(client.vms.wait(ids[0], until="ssh_ready"), VmDetail)
    with WaitBar(len(ids)) as bar:
        assert_type(client.vms.wait_all(ids, on_update=bar), list[AnyVm])
    for change in client.vms.watch():
        print(change.id, change.resource.status)
    with client.vms.lease(name="job", gpu_model_id="rtx-4090", timeout=5, wait_for_capacity=True) as vm:
        assert_type(vm, AnyVm)


def settings() -> None:
    with LoopThread() as thread, Client(Secret("key"), loop_thread=thread, retry=RetryPolicy()) as client:
        view = client.with_options(org_id="org_2", timeout=5)
        assert_type(view, Client)
        with client.record_responses() as responses:
            view.vms.get("vm_1")
        assert_type(responses, list[RecordedResponse])
    Client(limits=PoolLimits(max_connections=10)).close()


def many(client: Client, ids: list[str]) -> None:
    done = client.bulk(lambda each: (each.vms.get(vm_id) for vm_id in ids), limit=50)
    assert_type(done, BulkResult[VmSummary])


def failing(client: Client) -> str | None:
    try:
        client.vms.get("vm_1")
    except errors.NotFound as error:
        return error.request_id
    except errors.BridgeError:
        return None
    get: Callable[..., VmSummary] = client.vms.get
    return get("vm_1").id
