"""Sync `vms.get`: what crossing into the event loop's thread costs, and 32 threads that share one client."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import httpx
import openrelay
import orjson
import requests
from openrelay.api.vms import get_vm

from benchmarks.load_server import VM, serving
from benchmarks.measuring import Figure, compare, cores
from openrelay_sync import Client

KEY = "vl_" + "0" * 40
VM_ID = str(VM["id"])
OURS = "openrelay_sync"
Call = Callable[[], object]


@contextmanager
def _open_calls(url: str) -> Iterator[dict[str, Call]]:
    headers = {"Authorization": f"Bearer {KEY}"}
    address = f"{url}/v1/vms/{VM_ID}"
    with ExitStack() as stack:
        ours = stack.enter_context(Client(KEY, base_url=url))
        official = stack.enter_context(openrelay.AuthenticatedClient(base_url=url, token=KEY))
        session = stack.enter_context(requests.Session())
        session.headers.update(headers)
        plain = stack.enter_context(httpx.Client(headers=headers))
        yield {
            "official openrelay-sdk": lambda: get_vm.sync(VM_ID, client=official),
            OURS: lambda: ours.vms.get(VM_ID),
            "requests": lambda: orjson.loads(session.get(address).content),
            "httpx": lambda: orjson.loads(plain.get(address).content),
        }


def _one_thread(call: Call, count: int) -> float:
    """Return wall µs a call."""
    began = time.perf_counter()
    for _ in range(count):
        call()
    return (time.perf_counter() - began) / count * 1e6


def _many_threads(call: Call, count: int, threads: int = 32) -> float:
    """Return wall µs a call with all threads at work."""
    upcoming = iter(range(count))
    lock = threading.Lock()

    def work() -> None:
        while True:
            with lock:
                if next(upcoming, None) is None:
                    return
            call()

    workers = [threading.Thread(target=work) for _ in range(threads)]
    began = time.perf_counter()
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return (time.perf_counter() - began) / count * 1e6


def measure(*, quick: bool) -> list[Figure]:
    """Measure one thread and 32, by turns."""
    rounds, count = (3, 200) if quick else (7, 1500)
    _, server_core = cores()
    with serving(core=server_core) as url, _open_calls(url) as calls:
        figures: list[Figure] = []
        for label, run, target in (
            ("one thread", _one_thread, 0.65),
            ("32 threads, one client", _many_threads, 1 / 4.5),
        ):
            figures += compare(
                f"sync vms.get, {label}",
                {name: _bind(run, call, count) for name, call in calls.items()},
                baseline="official openrelay-sdk",
                unit="µs of wall time a call",
                rounds=rounds,
                targets={OURS: target},
            )
        return figures


def _bind(run: Callable[[Call, int], float], call: Call, count: int) -> Callable[[], float]:
    return lambda: run(call, count)
