"""Ctrl-C in any call: the coroutine is cancelled, gets two seconds to clean up, the exception is raised."""

from __future__ import annotations

import pytest

# The kill comes from a thread when the server was asked (or when connecting has hung for a moment), so that
# it strikes inside the call.
INTERRUPTED = """
    import os, signal, sys, threading, time
    from openrelay_sync import Client, RetryPolicy

    def strike_when(condition):
        def strike():
            while not condition():
                time.sleep(0.005)
            time.sleep(0.05)
            os.kill(os.getpid(), signal.SIGINT)
        threading.Thread(target=strike, daemon=True).start()

    def check(call):
        began = time.monotonic()
        try:
            call()
        except KeyboardInterrupt:
            assert time.monotonic() - began < 2, "it took too long"
            print("interrupted")
        else:
            print("not interrupted")
"""


@pytest.mark.parametrize("place", ["connect", "read", "backoff"])
def test_ctrl_c_ends_a_call(place, run_script, deaf_server, silent_server, busy_server) -> None:
    """R8.2; three times in one process, and the client works after it."""
    url = {"connect": deaf_server, "read": silent_server.url, "backoff": busy_server.url}[place]
    done = run_script(
        INTERRUPTED
        + """
    class Seen:
        now = False
        def on_attempt(self, event): self.now = self.now or PLACE != "backoff"
        def on_retry(self, event): self.now = True

    for _ in range(3):
        seen = Seen()
        client = Client(base_url=sys.argv[1], hooks=[seen])
        strike_when(lambda: seen.now)
        check(lambda: client.vms.get("vm_1"))
        client.close()
    assert not [t for t in threading.enumerate() if t.name == "openrelay-sync"]
    """.replace("PLACE", repr(place)),
        url,
    )
    assert (done.code, done.out, done.err) == (0, "interrupted\n" * 3, "")


def test_ctrl_c_inside_an_iterator_ends_it(run_script, silent_server) -> None:
    """R8.2, R8.4"""
    done = run_script(
        INTERRUPTED
        + """
    class Seen:
        now = False
        def on_attempt(self, event): self.now = True

    seen = Seen()
    with Client(base_url=sys.argv[1], hooks=[seen]) as client:
        strike_when(lambda: seen.now)
        check(lambda: [vm for vm in client.vms.list()])
    """,
        silent_server.url,
    )
    assert (done.code, done.out, done.err) == (0, "interrupted\n", "")


def test_the_clean_up_of_an_interrupted_call_is_waited_for(run_script) -> None:
    """R8.2"""
    done = run_script(
        INTERRUPTED
        + """
    import asyncio
    from openrelay_sync import LoopThread

    async def work():
        began.set()
        try:
            await asyncio.sleep(60)
        finally:
            await asyncio.sleep(0.3)
            print("cleaned up")

    began = threading.Event()
    with LoopThread() as thread:
        strike_when(began.is_set)
        check(lambda: thread.run(work()))
    """
    )
    assert (done.code, done.out, done.err) == (0, "cleaned up\ninterrupted\n", "")


def test_a_clean_up_that_takes_too_long_is_left_behind_after_two_seconds(run_script) -> None:
    """R8.2"""
    done = run_script(
        INTERRUPTED
        + """
    import asyncio
    from openrelay_sync import LoopThread

    async def work():
        began.set()
        try:
            await asyncio.sleep(60)
        finally:
            await asyncio.sleep(60)

    began = threading.Event()
    thread = LoopThread()
    strike_when(began.is_set)
    at = time.monotonic()
    try:
        thread.run(work())
    except KeyboardInterrupt:
        print(f"{time.monotonic() - at:.0f} s")
    """
    )
    assert (done.code, done.out, done.err) == (0, "2 s\n", "")


def test_whatever_a_signal_handler_raises_ends_the_call(run_script, silent_server) -> None:
    """R8.2"""
    done = run_script(
        """
    import signal, sys
    from openrelay_sync import Client

    class TooLate(Exception):
        pass

    def alarm(number, frame):
        raise TooLate

    signal.signal(signal.SIGALRM, alarm)
    with Client(base_url=sys.argv[1]) as client:
        signal.setitimer(signal.ITIMER_REAL, 0.8)
        try:
            client.vms.get("vm_1")
        except TooLate as error:
            print("too late", error.__context__)
    """,
        silent_server.url,
    )
    assert (done.code, done.out, done.err) == (0, "too late None\n", "")


def test_a_signal_handler_may_make_a_call(run_script, vm_server) -> None:
    done = run_script(
        """
    import asyncio, signal, sys
    from openrelay_sync import Client, LoopThread

    def alarm(number, frame):
        print("inside", client.vms.get("vm_1").id)

    signal.signal(signal.SIGALRM, alarm)
    with Client(base_url=sys.argv[1]) as client:
        signal.setitimer(signal.ITIMER_REAL, 0.3)
        client._bridge.run(asyncio.sleep(1.5))
        print("outside", client.vms.get("vm_1").id)
    """,
        vm_server.url,
    )
    assert (done.code, done.out, done.err) == (0, "inside vm_1\noutside vm_1\n", "")


def test_ctrl_c_at_any_moment_loses_no_call_of_the_other_threads(run_script, vm_server) -> None:
    """A hundred interrupts at random moments, with four threads at work: a lost wake-up would show."""
    done = run_script(
        """
    import os, random, signal, sys, threading, time
    from openrelay_sync import Client

    client = Client(base_url=sys.argv[1])
    client.vms.get("vm_1")
    stop, counts = threading.Event(), [0] * 4
    slow = 0

    def work(number):
        global slow
        while not stop.is_set():
            began = time.monotonic()
            client.vms.get("vm_1")
            slow += time.monotonic() - began > 0.9  # what a lost wake-up would take
            counts[number] += 1

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()

    struck, wanted = 0, 100
    def strike():
        for _ in range(wanted):
            armed.wait()
            armed.clear()
            time.sleep(random.random() * 0.01)
            os.kill(os.getpid(), signal.SIGINT)

    armed = threading.Event()
    threading.Thread(target=strike, daemon=True).start()
    while struck < wanted:
        try:
            armed.set()
            while True:
                client.vms.get("vm_1")
        except KeyboardInterrupt:
            struck += 1
    stop.set()
    for thread in threads:
        thread.join(5)
        assert not thread.is_alive()
    client.close()
    print("all counted", all(counts), slow <= 2)
    """,
        vm_server.url,
    )
    # A coroutine that was made, but not yet handed in, when the signal struck is noted by Python.
    assert (done.code, done.out) == (0, "all counted True True\n"), done.err


def test_calls_that_are_interrupted_before_they_began_are_forgotten(run_script, vm_server) -> None:
    """They would keep their client, and so its thread, for ever. Some of so many are caught that early."""
    done = run_script(
        """
    import gc, signal, sys, threading, time
    from openrelay_sync import Client

    class Alarm(Exception):
        pass

    def alarm(number, frame):
        raise Alarm

    client = Client(base_url=sys.argv[1])
    client.vms.get("vm_1")
    signal.signal(signal.SIGALRM, alarm)
    struck = 0
    for number in range(1000):
        try:
            signal.setitimer(signal.ITIMER_REAL, 0.0001 + number % 20 * 0.00003)
            try:
                client.vms.get("vm_1")
            finally:
                signal.setitimer(signal.ITIMER_REAL, 0)
        except Alarm:
            struck += 1
    client.vms.get("vm_1")
    del client
    gc.collect()
    end = time.monotonic() + 5
    while [t for t in threading.enumerate() if t.name == "openrelay-sync"]:
        assert time.monotonic() < end, "the dropped client's thread is still there"
        time.sleep(0.01)
    print("forgotten", struck > 100)
    """,
        vm_server.url,
    )
    # A coroutine that was made, but not yet handed in, when the signal struck is noted by Python.
    assert (done.code, done.out) == (0, "forgotten True\n"), done.err
