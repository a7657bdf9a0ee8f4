"""Forks, multiprocessing, the end of the interpreter, other event loops, imports: each in real processes."""

from __future__ import annotations

import sys
import time

import pytest

PRELUDE = """
    import os, sys, threading, time
    from openrelay_sync import Client
    client = Client(base_url=sys.argv[1])

    def wait_for(pid):
        end = time.monotonic() + 10
        while time.monotonic() < end:
            done, status = os.waitpid(pid, os.WNOHANG)
            if done:
                return os.waitstatus_to_exitcode(status)
            time.sleep(0.01)
        os.kill(pid, 9)
        return "hung"

    def fork(work):
        sys.stdout.flush()
        pid = os.fork()
        if pid:
            return pid
        code = 1
        try:
            began = time.monotonic()
            work()
            code = 0 if time.monotonic() - began < 2 else 2
        finally:
            os._exit(code)
"""

quiet_fork = ("-W", "ignore::DeprecationWarning")  # Python 3.12 warns of every fork beside a thread


@pytest.mark.parametrize("used_before", [False, True])
def test_parent_and_child_make_calls_after_a_fork(used_before, run_script, vm_server) -> None:
    """R1.4, as with gunicorn's preload: the module's client, then workers."""
    done = run_script(
        PRELUDE
        + f"""
    client.vms  # what is imported late is imported once, here
    if {used_before}:
        client.vms.get("vm_1")
    workers = [fork(lambda: client.vms.get("vm_1")) for _ in range(4)]
    client.vms.get("vm_1")
    print([wait_for(pid) for pid in workers], client.vms.get("vm_1").id)
    client.close()
    """,
        vm_server.url,
        *quiet_fork,
    )
    assert (done.code, done.out, done.err) == (0, "[0, 0, 0, 0] vm_1\n", "")


def test_a_fork_while_other_threads_are_inside_the_client(run_script, vm_server) -> None:
    """R1.4, fifteen times; the first forks strike while modules are imported for the first call."""
    done = run_script(
        PRELUDE
        + """
    stop = threading.Event()
    def work():
        while not stop.is_set():
            client.vms.get("vm_1")
    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    codes = set()
    for _ in range(15):
        codes.add(wait_for(fork(lambda: [client.vms.get("vm_1") for _ in range(3)])))
        client.vms.get("vm_1")
    stop.set()
    for thread in threads:
        thread.join(5)
    print(codes)
    client.close()
    """,
        vm_server.url,
        *quiet_fork,
    )
    assert (done.code, done.out, done.err) == (0, "{0}\n", "")


def test_a_fork_while_the_thread_is_starting_in_another(run_script, vm_server) -> None:
    """R1.4: a lock that another thread held at the fork is held for ever in the child."""
    done = run_script(
        PRELUDE
        + """
    codes = set()
    for _ in range(6):
        client = Client(base_url=sys.argv[1])
        thread = threading.Thread(target=client.vms.get, args=("vm_1",))
        thread.start()
        codes.add(wait_for(fork(lambda: client.vms.get("vm_1"))))
        thread.join(5)
        client.close()
    print(codes)
    """,
        vm_server.url,
        *quiet_fork,
    )
    assert (done.code, done.out, done.err) == (0, "{0}\n", "")


def test_a_child_may_close_what_it_inherited(run_script, vm_server) -> None:
    """R1.4: and the parent's connections stay usable."""
    done = run_script(
        PRELUDE
        + """
    client.vms.get("vm_1")
    def leave():
        client.close()
    def use_and_leave():
        client.vms.get("vm_1")
        client.close()
    print(wait_for(fork(leave)), wait_for(fork(use_and_leave)), client.vms.get("vm_1").id)
    client.close()
    """,
        vm_server.url,
        *quiet_fork,
    )
    assert (done.code, done.out, done.err) == (0, "0 0 vm_1\n", "")
    assert vm_server.requests == 3


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_multiprocessing(method, run_script, vm_server) -> None:
    """R1.4"""
    done = run_script(
        f"""
    import multiprocessing, sys
    from openrelay_sync import Client

    client = Client(base_url=sys.argv[1]) if {method == "fork"} else None

    def work(url):
        if client is not None:
            return client.vms.get("vm_1").id
        with Client(base_url=url) as own:
            return own.vms.get("vm_1").id

    if __name__ == "__main__":
        if client is not None:
            client.vms.get("vm_1")
        with multiprocessing.get_context({method!r}).Pool(1) as pool:
            print(pool.map(work, [sys.argv[1]] * 4))
        if client is not None:
            client.close()
    """,
        vm_server.url,
        *quiet_fork,
    )
    assert (done.code, done.out, done.err) == (0, "['vm_1', 'vm_1', 'vm_1', 'vm_1']\n", "")


END = """
    import sys, threading, time
    from openrelay_sync import Client, errors

    class Seen:
        def __init__(self): self.count = threading.Semaphore(0)
        def on_attempt(self, event): self.count.release()

    def call():
        try:
            client.vms.get("vm_1")
        except errors.BridgeError:  # told by close()
            pass

    seen = Seen()
    client = Client(base_url=sys.argv[1], hooks=[seen])
    for _ in range(8):
        threading.Thread(target=call, daemon=True).start()
    for _ in range(8):
        assert seen.count.acquire(timeout=10)
    print(time.time())
"""


@pytest.mark.parametrize("ending", ["", "sys.exit(0)", "client.close()"])
def test_the_interpreter_ends_quickly_and_silently_with_calls_in_flight(
    ending, run_script, silent_server
) -> None:
    """R1.6; twice, and on a machine that is busy with other things one of them may be late."""
    lengths = []
    for _ in range(2):
        done = run_script(f"{END}    {ending}", silent_server.url)
        lengths.append(time.time() - float(done.out))
        assert (done.code, done.err) == (0, "")
    assert min(lengths) < 1
    assert max(lengths) < 5


def test_the_interpreter_ends_silently_in_dev_mode_though_nothing_was_closed(run_script, vm_server) -> None:
    """Quietly at exit: a script's client needs no closing."""
    done = run_script(
        """
    import sys
    from openrelay_sync import Client
    client = Client(base_url=sys.argv[1])
    client.vms.get("vm_1")
    pages = iter(client.vms.list().pages())
    """,
        vm_server.url,
    )
    assert (done.code, done.err) == (0, "")


@pytest.mark.parametrize("begun", [False, True])
def test_an_iterator_that_is_left_open_at_the_end_does_not_hold_it_up(begun, run_script, page_server) -> None:
    done = run_script(
        f"""
    import sys, time
    from openrelay_sync import Client
    client = Client(base_url=sys.argv[1])
    items = iter(client.vms.list())
    if {begun}:
        next(items)
    print(time.time())
    """,
        page_server.url,
    )
    ended = time.time()
    assert (done.code, done.err) == (0, "")
    assert ended - float(done.out) < 5, "it was held up"


@pytest.mark.parametrize("registered", ["before", "after"])
@pytest.mark.parametrize("used", [False, True])
def test_a_call_from_atexit_works_or_raises_at_once(registered, used, run_script, vm_server) -> None:
    """R1.8"""
    done = run_script(
        f"""
    import atexit, sys, time
    from openrelay_sync import Client, errors

    def last():
        began = time.monotonic()
        try:
            print(client.vms.get("vm_1").id)
        except errors.BridgeError:
            print("refused")
        assert time.monotonic() - began < 4

    client = Client(base_url=sys.argv[1])
    if {registered == "before"}:
        atexit.register(last)
    if {used}:
        client.vms.get("vm_1")
    if {registered == "after"}:
        atexit.register(last)
    """,
        vm_server.url,
    )
    assert (done.code, done.err) == (0, "")
    assert done.out == "vm_1\n" or (not used and sys.version_info >= (3, 12) and done.out == "refused\n")


def test_a_call_from_atexit_that_needs_a_name_resolved_works(run_script, vm_server) -> None:
    """R1.8: the interpreter's own thread pools are shut by then."""
    done = run_script(
        """
    import atexit, sys
    from openrelay_sync import Client

    def last():
        print(client.vms.get("vm_1").id)

    client = Client(base_url=sys.argv[1].replace("127.0.0.1", "localhost"))
    client._bridge.run(started())  # the thread must be there: Python 3.12 starts none from atexit
    atexit.register(last)
    """.replace("started()", "__import__('asyncio').sleep(0)"),
        vm_server.url,
    )
    assert (done.code, done.out, done.err) == (0, "vm_1\n", "")


def test_it_works_where_uvloop_is_the_policy(run_script, vm_server) -> None:
    """R1.5"""
    pytest.importorskip("uvloop")
    done = run_script(
        """
    import asyncio, sys, threading
    import uvloop
    asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
    from openrelay_sync import Client

    client = Client(base_url=sys.argv[1])

    async def cell():
        return client.vms.get("vm_1").id, [vm.id for vm in [client.vms.get("vm_1")]]

    print(asyncio.run(cell()), client.vms.get("vm_1").id)
    threading.Thread(target=lambda: [client.vms.get("vm_1") for _ in range(10**6)], daemon=True).start()
    """,
        vm_server.url,
        "-W",
        "ignore::DeprecationWarning",
    )
    assert (done.code, done.out, done.err) == (0, "('vm_1', ['vm_1']) vm_1\n", "")


def test_a_loop_that_cannot_start_is_told(run_script, vm_server) -> None:
    """R8.4: no file descriptor is left for the loop."""
    done = run_script(
        """
    import os, resource, sys
    from openrelay_sync import Client, errors

    client = Client(base_url=sys.argv[1])
    client.account
    import asyncio, aiohttp
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (len(os.listdir("/proc/self/fd")), hard))
    for _ in range(2):
        try:
            client.vms.get("vm_1")
        except errors.BridgeError as error:
            print(error, "|", type(error.__cause__).__name__)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    print(client.vms.get("vm_1").id)
    client.close()
    """,
        vm_server.url,
        "-W",
        "ignore::ResourceWarning",  # asyncio's own, of the half-made loop
    )
    lines = done.out.splitlines()
    assert done.code == 0, done.err
    assert ["cannot start" in line and line.endswith("OSError") for line in lines[:2]] == [True, True]
    assert lines[2] == "vm_1"


def test_a_child_that_ends_in_the_normal_way_disturbs_nobody(run_script, vm_server) -> None:
    """R1.4: at its end Python finalizes what the child inherited, whose sockets and loop are the parent's."""
    done = run_script(
        PRELUDE
        + """
    client.vms.get("vm_1")
    for uses in (False, True):
        pid = os.fork()
        if not pid:
            if uses:
                client.vms.get("vm_1")
            sys.exit(0)
        assert wait_for(pid) == 0
        client.vms.get("vm_1")
    client.close()
    """,
        vm_server.url,
        *quiet_fork,
    )
    assert (done.code, done.out, done.err) == (0, "", "")
    assert vm_server.requests == 4
