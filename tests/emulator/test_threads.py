"""`Emulator.in_thread()`: for sync code and notebooks."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
import threading
import time
import urllib.error
import urllib.request

import pytest

from openrelay_async.emulator import Emulator, EmulatorError, Fault, TurnedClock
from openrelay_async.errors import ConfigurationError


def get(emulator, path):
    request = urllib.request.Request(  # noqa: S310 - our own server
        emulator.url + path, headers={"Authorization": f"Bearer {emulator.api_key}"}
    )
    with urllib.request.urlopen(request, timeout=10) as response:  # noqa: S310 - our own server
        return json.load(response)


def test_sync_code_talks_to_it():
    with Emulator.in_thread() as emulator:
        assert get(emulator, "/v1/whoami")["organizationId"] == emulator.org_id
        other = emulator.add_organization("Other")
        assert other.org_id != emulator.org_id
        emulator.faults.add(Fault(operation="whoami", status=503))
        with pytest.raises(urllib.error.HTTPError, match="503") as caught:
            get(emulator, "/v1/whoami")
        caught.value.close()
        assert [seen.status for seen in emulator.requests] == [200, 503]
    assert "openrelay-emulator" not in [thread.name for thread in threading.enumerate()]


def test_its_clock_is_turned_from_here():
    clock = TurnedClock()
    with Emulator.in_thread(clock=clock) as emulator:
        before = get(emulator, "/v1/public/pricing")["generatedAt"]
        clock.advance(3600)
        assert get(emulator, "/v1/public/pricing")["generatedAt"] > before


def test_an_error_at_the_start_is_raised_here(tmp_path):
    with (
        pytest.raises(EmulatorError, match="cannot open"),
        Emulator.in_thread(db=str(tmp_path / "none" / "state.db")),
    ):
        pass


def test_the_port_is_free_again_afterwards():
    with Emulator.in_thread() as emulator:
        port = int(emulator.url.rpartition(":")[2])
    with Emulator.in_thread(port=port) as again:
        assert again.url.endswith(f":{port}")


@pytest.fixture
def organization_of_a_sync_fixture(emulator):
    return emulator.add_organization("Other")


@pytest.mark.timeout(20)
async def test_a_synchronous_fixture_may_use_an_emulator_of_the_loop(organization_of_a_sync_fixture, api):
    other = organization_of_a_sync_fixture
    assert (await api.with_token(other.api_key).get("/v1/whoami"))["organizationName"] == "Other"


def emulator_threads():
    return [thread for thread in threading.enumerate() if thread.name == "openrelay-emulator"]


def test_it_runs_from_start_to_stop_without_a_block():
    service = Emulator.in_thread(organization="Cells")
    assert emulator_threads() == []
    emulator = service.start()
    assert get(emulator, "/v1/whoami")["organizationName"] == "Cells"
    service.stop()
    assert emulator_threads() == []
    assert [seen.operation for seen in emulator.requests] == ["whoami"]
    with pytest.raises(urllib.error.URLError, match="refused"):
        get(emulator, "/v1/whoami")
    service.stop()


def test_stopping_what_was_not_started_does_nothing():
    Emulator.in_thread().stop()


def test_it_can_be_started_again_and_not_twice_at_once():
    service = Emulator.in_thread()
    first = service.start()
    with pytest.raises(EmulatorError, match="running already"):
        service.start()
    get(first, "/v1/whoami")
    service.stop()
    with service as again:
        assert again is first
        get(again, "/v1/whoami")
    assert emulator_threads() == []


def test_several_threads_may_stop_it():
    service = Emulator.in_thread()
    service.start()
    stopping = [threading.Thread(target=service.stop) for _ in range(8)]
    for thread in stopping:
        thread.start()
    for thread in stopping:
        thread.join(10)
    assert emulator_threads() == []
    assert not any(thread.is_alive() for thread in stopping)


def test_an_error_at_its_start_leaves_no_thread():
    with Emulator.in_thread() as other:
        service = Emulator.in_thread(port=int(other.url.rpartition(":")[2]))
        with pytest.raises(EmulatorError, match="cannot listen"):
            service.start()
        assert len(emulator_threads()) == 1
        service.stop()


def test_what_cannot_be_meant_is_refused_where_it_is_given():
    with pytest.raises(ConfigurationError, match="speed"):
        Emulator.in_thread(speed=-1)


def run_program(text, *arguments):
    began = time.monotonic()
    run = subprocess.run(
        [sys.executable, *arguments, "-c", textwrap.dedent(text)],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    return run, time.monotonic() - began


USED = """
    import urllib.request
    from openrelay_async.emulator import Emulator
    service = Emulator.in_thread()
    emulator = service.start()
    urllib.request.urlopen(emulator.url + "/v1/public/pricing").close()
"""
ENDS = {
    "falls off its end": "",
    "exits": "raise SystemExit(0)",
    "has lost it": "import warnings; warnings.simplefilter('ignore'); del service",
    "keeps it in a circle": "service.me = service",
    "keeps a client": "client = emulator.client()",
    "holds a connection": "held = urllib.request.urlopen(emulator.url + '/v1/public/pricing')",
    "forks": """
import os
if os.fork() == 0:
    service.stop()
    raise SystemExit(0)
os.wait()
urllib.request.urlopen(emulator.url + "/v1/public/pricing").close()
""",
}


@pytest.mark.timeout(60)
@pytest.mark.parametrize("end", ENDS.values(), ids=ENDS.keys())
@pytest.mark.parametrize("arguments", [(), ("-W", "error")], ids=["plain", "strict"])
def test_a_program_that_never_stops_it_ends_silently(end, arguments):
    quiet_fork = ("-W", "ignore::DeprecationWarning")  # Python 3.12 warns of every fork beside a thread
    run, took = run_program(textwrap.dedent(USED) + end, *arguments, *quiet_fork)
    assert (run.returncode, run.stdout, run.stderr) == (0, "", "")
    assert took < 15, "the interpreter waited for the thread"


def test_who_loses_the_way_to_stop_it_is_warned():
    program = (
        USED
        + """
    del service
    urllib.request.urlopen(emulator.url + "/v1/public/pricing").close()
    print(emulator.api_key)
    """
    )
    run, _ = run_program(program, "-W", "always::ResourceWarning")
    assert run.returncode == 0
    assert run.stderr.count("was not stopped") == 1
    assert "ResourceWarning: Emulator(" in run.stderr
    assert "in a thread, started at <string>:5, was not stopped" in run.stderr
    assert run.stdout.strip() not in run.stderr


def test_a_program_ends_with_a_request_on_its_way():
    program = """
    import threading, time, urllib.request
    from openrelay_async.emulator import Emulator, Fault, TurnedClock
    clock = TurnedClock()
    service = Emulator.in_thread(clock=clock, faults=[Fault(operation="getPublicPricing", delay=600)])
    emulator = service.start()

    def get():
        urllib.request.urlopen(emulator.url + "/v1/public/pricing")

    threading.Thread(target=get, daemon=True).start()
    while not clock._sleepers._heap:  # until the request is there, and delayed
        time.sleep(0.01)
    """
    run, took = run_program(program)
    assert run.returncode == 0
    assert "openrelay-emulator" not in run.stderr, "only the program's own thread may complain"
    assert took < 10


def test_ctrl_c_while_it_starts_leaves_no_thread():
    run, _ = run_program(
        """
        import os, signal, threading, time
        from openrelay_async.emulator import Emulator
        starting = Emulator.start

        async def start_slowly(self):
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(0.1)
            await starting(self)

        Emulator.start = start_slowly
        service = Emulator.in_thread()
        try:
            service.start()
        except KeyboardInterrupt:
            end = time.monotonic() + 10
            while threading.active_count() > 1 and time.monotonic() < end:
                time.sleep(0.01)
            print(threading.active_count())
        """
    )
    assert (run.returncode, run.stdout, run.stderr) == (0, "1\n", "")
