"""One client in many loops, threads and processes, in programs of their own (R1.1 to R1.4, R1.6)."""

from __future__ import annotations

import sys
import textwrap
from dataclasses import replace

import pytest

from tests.transport.programs import Result, run_program


def check_silent(result: Result) -> None:
    assert result.err == ""
    assert result.code == 0


def check_one_warning(result: Result, *, line: int) -> None:
    """Exactly one ResourceWarning, which names the line that made the client, and nothing else."""
    assert result.code == 0
    warnings = [text for text in result.err.splitlines() if "Warning" in text]
    named = [text for text in warnings if "was not closed" in text]
    assert len(named) == 1, result.err
    assert warnings == named
    assert named[0].startswith(f"<string>:{line}: ResourceWarning: ")
    assert f"<string>:{line} was not closed" in named[0]
    for noise in ("Unclosed", "unclosed", "Task was", "Exception ignored", "Traceback", "never awaited"):
        assert noise not in result.err


def test_a_client_works_in_two_successive_runs():
    """R1.1: also when it was made where there is no loop; closed at the end, it warns of nothing."""
    check_silent(
        run_program("""
        client = AsyncClient(KEY, base_url=url)
        for _ in range(2):
            assert asyncio.run(client.vms.get("vm_1")).id == "vm_1"
        async def finish():
            await client.vms.get("vm_1")
            await client.aclose()
        asyncio.run(finish())
        """)
    )


def test_a_client_that_is_closed_in_a_third_run_is_closed():
    """R1.1: `aclose` has nothing to say to the loops that are gone."""
    check_silent(
        run_program("""
        client = AsyncClient(KEY, base_url=url)
        asyncio.run(client.vms.get("vm_1"))
        asyncio.run(client.aclose())
        """)
    )


def test_a_loop_that_is_closed_without_notice_leaves_nothing_open():
    """R1.2: neither its generators nor its executor were shut down; the pool is dropped without I/O."""
    check_silent(
        run_program("""
        client = AsyncClient(KEY, base_url=url)
        def count():
            return len(os.listdir("/proc/self/fd"))
        def use(call):
            loop = asyncio.new_event_loop()
            loop.run_until_complete(call)
            loop.close()
        use(client.vms.get("vm_1"))
        before = count()
        for _ in range(20):
            use(client.vms.get("vm_1"))
        # The last loop's connection is still there until the next one comes.
        assert count() <= before + 2, (before, count())
        use(client.aclose())
        gc.collect()
        """)
    )


IN_A_RUN = """
async def main():
    client = AsyncClient(KEY, base_url=url)  # {name}.
    await asyncio.gather(*(client.vms.get("vm_1") for _ in range(3)))
    {ending}
    gc.collect()
    await asyncio.sleep(0.02)
{run}(main())
"""
AROUND_A_LOOP = """
client = AsyncClient(KEY, base_url=url)  # {name}.
loop = {run}.new_event_loop()
loop.run_until_complete(client.vms.get("vm_1"))
{ending}
"""
ENDINGS = {
    "dropped in its run": (IN_A_RUN, "del client"),
    "in a cycle in its run": (IN_A_RUN, "client.me = client; del client; gc.collect()"),
    "before its loop": (AROUND_A_LOOP, "del client; gc.collect(); loop.close()"),
    "after its loop": (AROUND_A_LOOP, "loop.close(); del client; gc.collect()"),
    "in a cycle after its loop": (
        AROUND_A_LOOP,
        "loop.close(); client.me = client; del client; gc.collect()",
    ),
    "after its loop's generators": (
        AROUND_A_LOOP,
        "loop.run_until_complete(loop.shutdown_asyncgens()); loop.close(); del client",
    ),
}


@pytest.mark.parametrize("loops", ["asyncio", "uvloop"])
def test_an_unclosed_client_gives_one_warning_that_names_the_line(loops: str):
    """R1.3: collected by count or by the collector, in its running loop or with one that never runs again."""
    endings = ENDINGS
    if loops == "uvloop":
        # Closed with its generators running, it warns itself of every connection, whoever has made it.
        endings = {name: way for name, way in ENDINGS.items() if way[0] is IN_A_RUN or "generators" in name}
    program = f"import {loops}\n"
    for name, (form, ending) in endings.items():
        run = f"{loops}.run" if form is IN_A_RUN else loops
        way = form.format(name=name, ending=ending, run=run)
        program += f"print('==', {name!r}, file=sys.stderr, flush=True)\n"
        program += "def way():\n" + textwrap.indent(way, "    ") + "way()\ngc.collect()\n"
    result = run_program(program, options=("-X", "dev", "-W", "always::ResourceWarning"))
    assert result.code == 0, result.err
    _, *sections = result.err.split("== ")
    assert [section.splitlines()[0] for section in sections] == list(endings)
    for name, section in zip(endings, sections, strict=True):
        check_one_warning(replace(result, err=section), line=result.line_of(f"# {name}."))


def test_a_client_that_is_unclosed_at_exit_gives_one_warning():
    """R1.3"""
    result = run_program(
        """
        client = AsyncClient(KEY, base_url=url)
        loop = asyncio.new_event_loop()
        loop.run_until_complete(client.vms.get("vm_1"))
        # A daemon thread would keep the interpreter from finalizing the program's globals.
        loop.close(); server.shutdown(); server.server_close()
        """
    )
    check_one_warning(result, line=result.line_of("AsyncClient("))


def test_a_client_that_was_never_used_needs_no_closing():
    check_silent(run_program("AsyncClient(KEY, base_url=url)"))


def test_no_finalizer_schedules_work():
    """R1.3: collecting an unclosed client puts nothing on the loop."""
    check_silent(
        run_program(
            """
        import warnings
        warnings.simplefilter("ignore")
        async def main():
            client = AsyncClient(KEY, base_url=url)
            await client.vms.get("vm_1")
            loop = asyncio.get_running_loop()
            before = asyncio.all_tasks()
            scheduled = []
            for name in ("call_soon", "call_soon_threadsafe", "call_at", "create_task"):
                setattr(loop, name, lambda *arguments, **options: scheduled.append(arguments))
            client.me = client
            del client
            gc.collect()
            for name in ("call_soon", "call_soon_threadsafe", "call_at", "create_task"):
                delattr(loop, name)
            assert scheduled == [], scheduled
            assert asyncio.all_tasks() == before
        asyncio.run(main())
        """,
            options=("-W", "ignore"),
        )
    )


def test_the_connections_of_a_forgotten_client_are_closed_by_their_loop():
    """R1.3: not by a finalizer, but by the loop, which looks after them now and then."""
    check_silent(
        run_program(
            """
        from openrelay_async import loop_pool
        loop_pool.LOOK_AFTER = 0.05
        async def main():
            before = len(os.listdir("/proc/self/fd"))
            clients = [AsyncClient(KEY, base_url=url) for _ in range(5)]
            for client in clients:
                await client.vms.get("vm_1")
            assert len(os.listdir("/proc/self/fd")) >= before + 10  # both ends are in this process
            del client
            clients.clear()
            deadline = time.monotonic() + 5
            def live():
                gc.collect()
                return [one for one in gc.get_objects() if isinstance(one, loop_pool.LoopPool)]
            while len(os.listdir("/proc/self/fd")) > before or live():
                assert time.monotonic() < deadline
                await asyncio.sleep(0.01)
        asyncio.run(main())
        """,
            options=("-W", "ignore"),
        )
    )


@pytest.mark.parametrize("loops", ["asyncio", "uvloop"])
def test_two_threads_with_a_loop_each_share_a_client(loops: str):
    """R1.2: each loop has its own connections; the client is closed from one of them."""
    check_silent(
        run_program(
            f"""
        if {loops == "uvloop"}:
            from uvloop import run
        else:
            from asyncio import run
        client = AsyncClient(KEY, base_url=url, limits=PoolLimits(max_connections=4))
        failures = []
        def work():
            async def many():
                await asyncio.gather(*(client.vms.get("vm_1") for _ in range(40)))
            try:
                for _ in range(3):
                    run(many())
            except BaseException as error:
                failures.append(error)
        threads = [threading.Thread(target=work) for _ in range(4)]
        [thread.start() for thread in threads]
        [thread.join() for thread in threads]
        assert failures == [], failures
        assert len(Service.ports) == 480
        run(client.aclose())
        """
        )
    )


def test_closing_a_client_leaves_a_loop_that_only_pauses_intact():
    """R1.2: its selector knows the connection; closed behind its back, the next one would not be heard."""
    check_silent(
        run_program("""
        client = AsyncClient(KEY, base_url=url)
        loop = asyncio.new_event_loop()
        loop.run_until_complete(client.vms.get("vm_1"))
        asyncio.run(client.aclose())
        before = len(os.listdir("/proc/self/fd"))
        other = AsyncClient(KEY, base_url=url, retry=RetryPolicy(max_attempts=1), timeout=5)
        for _ in range(3):
            loop.run_until_complete(other.vms.get("vm_1"))
        loop.run_until_complete(other.aclose())
        loop.run_until_complete(asyncio.sleep(0.05))
        # Its own connection was closed as soon as it ran again.
        assert len(os.listdir("/proc/self/fd")) < before
        loop.close()
        """)
    )


def test_closing_a_client_in_one_thread_ends_the_calls_of_another():
    """R1.2: the other loop's connections are closed by that loop."""
    check_silent(
        run_program("""
        client = AsyncClient(KEY, base_url=url, retry=RetryPolicy(base=0.01, cap=0.01))
        outcome = []
        def work():
            async def one():
                try:
                    await client.request("GET", "/stall")
                except errors.ConnectionFailed as error:
                    outcome.append(str(error))
            asyncio.run(one())
        thread = threading.Thread(target=work)
        thread.start()
        assert Service.stalls.wait(5)
        asyncio.run(client.aclose())
        thread.join(5)
        assert "the client was closed" in outcome[0], outcome
        """)
    )


def test_a_cancelled_close_ends_the_calls_of_another_thread_too():
    """R1.2: a shutdown with a time limit, `wait_for(client.aclose(), …)`, leaves nothing open elsewhere."""
    check_silent(
        run_program("""
        client = AsyncClient(KEY, base_url=url, retry=RetryPolicy(base=0.01, cap=0.01))
        outcome = []
        def work():
            async def one():
                try:
                    await client.request("GET", "/stall")
                except errors.ConnectionFailed as error:
                    outcome.append(str(error))
            asyncio.run(one())
        async def main():
            await client.vms.get("vm_1")
            thread = threading.Thread(target=work)
            thread.start()
            assert Service.stalls.wait(5)
            closing = asyncio.create_task(client.aclose())
            await asyncio.sleep(0)
            # It waits for its own loop's connections.
            assert closing.cancel()
            await asyncio.wait([closing])
            thread.join(5)
        asyncio.run(main())
        assert outcome and "the client was closed" in outcome[0], outcome
        """)
    )


FORKING = ("-X", "dev", "-W", "ignore::DeprecationWarning")
"""Python 3.12 and later warn of any fork beside threads, of which the server is one."""

FORK = """
def child_of(call):
    pid = os.fork()
    if pid == 0:
        try:
            began = time.monotonic()
            call()
            took = time.monotonic() - began
            os._exit(0 if took < 2.0 else 3)
        except BaseException as error:
            import traceback
            traceback.print_exc()
            os._exit(4)
    return pid
"""


@pytest.mark.skipif(sys.platform == "win32", reason="there is no fork")
def test_parent_and_child_both_work_after_a_fork():
    """R1.4: gunicorn's preload, celery's prefork. No inherited socket is used."""
    check_silent(
        run_program(
            FORK
            + """
client = AsyncClient(KEY, base_url=url)
asyncio.run(client.vms.get("vm_1"))
loop = asyncio.new_event_loop()
loop.run_until_complete(client.vms.get("vm_1"))
mine = Service.ports[-1]
pid = child_of(lambda: (asyncio.run(client.vms.get("vm_1")), asyncio.run(client.vms.get("vm_1"))))
# The parent's connection goes on as if nothing had been.
loop.run_until_complete(client.vms.get("vm_1"))
assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
loop.run_until_complete(client.vms.get("vm_1"))
assert Service.ports.count(mine) == 3, (mine, Service.ports)
assert len(Service.ports) == 6
loop.run_until_complete(client.aclose())
loop.close()
""",
            options=FORKING,
        )
    )


@pytest.mark.skipif(sys.platform == "win32", reason="there is no fork")
@pytest.mark.parametrize("loops", ["asyncio", "uvloop"])
def test_parent_and_child_both_work_when_another_thread_was_inside_the_client(loops: str):
    """R1.4: twenty forks while a thread's loop is in the middle of requests."""
    check_silent(
        run_program(
            FORK
            + f"""
if {loops == "uvloop"}:
    from uvloop import run
else:
    from asyncio import run
client = AsyncClient(KEY, base_url=url, limits=PoolLimits(max_connections=4))
stop = threading.Event()
failures = []
def work():
    async def busy():
        while not stop.is_set():
            await asyncio.gather(*(client.vms.get("vm_1") for _ in range(8)))
    try:
        run(busy())
    except BaseException as error:
        failures.append(error)
thread = threading.Thread(target=work)
thread.start()
while len(Service.ports) < 20:
    time.sleep(0.001)
for _ in range(20):
    pid = child_of(lambda: run(client.vms.get("vm_1")))
    began = time.monotonic()
    run(client.vms.get("vm_1"))
    assert time.monotonic() - began < 2.0
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
stop.set()
thread.join(5)
assert failures == [], failures
run(client.aclose())
""",
            options=FORKING,
        )
    )


@pytest.mark.skipif(sys.platform == "win32", reason="there is no fork")
def test_a_child_that_never_uses_the_client_says_nothing_of_it():
    """R1.3, R1.4: it did not make it, so it need not close it. It ends as a program ends, not by `_exit`."""
    result = run_program(
        """
        client = AsyncClient(KEY, base_url=url)
        loop = asyncio.new_event_loop()
        loop.run_until_complete(client.vms.get("vm_1"))
        sys.stderr.flush()
        pid = os.fork()
        if pid == 0:
            del client
            gc.collect()
            sys.stderr.flush()
            os._exit(0)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
        # What the child let go of is still the parent's.
        loop.run_until_complete(client.vms.get("vm_1"))
        assert len(set(Service.ports)) == 1
        loop.run_until_complete(client.aclose())
        loop.close()
        """,
        options=FORKING,
    )
    check_silent(result)


def test_a_client_crosses_multiprocessing_fork():
    """R1.4"""
    check_silent(
        run_program(
            """
        import multiprocessing
        client = AsyncClient(KEY, base_url=url)
        asyncio.run(client.vms.get("vm_1"))
        def work(queue):
            queue.put(asyncio.run(client.vms.get("vm_1")).id)
            asyncio.run(client.aclose())
        context = multiprocessing.get_context("fork")
        queue = context.SimpleQueue()
        process = context.Process(target=work, args=(queue,))
        process.start()
        process.join(10)
        assert process.exitcode == 0
        assert queue.get() == "vm_1"
        queue.close()
        process.close()
        asyncio.run(client.vms.get("vm_1"))
        asyncio.run(client.aclose())
        """,
            options=FORKING,
        )
    )


EXITS = {
    "main-returns": """
async def main():
    client = AsyncClient(KEY, base_url=url)
    global tasks
    tasks = [asyncio.create_task(client.request("GET", "/stall")) for _ in range(5)]
    while not Service.stalls.is_set():
        await asyncio.sleep(0.01)
asyncio.run(main())
""",
    "sys-exit": """
async def main():
    client = AsyncClient(KEY, base_url=url)
    task = asyncio.create_task(client.request("GET", "/stall"))
    while not Service.stalls.is_set():
        await asyncio.sleep(0.01)
    sys.exit(0)
asyncio.run(main())
""",
    "daemon-thread": """
client = AsyncClient(KEY, base_url=url)
threading.Thread(target=lambda: asyncio.run(client.request("GET", "/stall")), daemon=True).start()
Service.stalls.wait(5)
""",
    "loop-stopped": """
client = AsyncClient(KEY, base_url=url)
loop = asyncio.new_event_loop()
async def begin():
    global task
    task = asyncio.create_task(client.request("GET", "/stall"))
    while not Service.stalls.is_set():
        await asyncio.sleep(0.01)
loop.run_until_complete(begin())
task.cancel()
with contextlib.suppress(asyncio.CancelledError):
    loop.run_until_complete(task)
loop.close()
""",
    "backoff": """
async def main():
    client = AsyncClient(KEY, base_url="http://127.0.0.1:9", retry=RetryPolicy(base=50, cap=50))
    task = asyncio.create_task(client.vms.get("vm_1"))
    await asyncio.sleep(0.1)
asyncio.run(main())
""",
    "name-lookup": """
import socket
real = socket.getaddrinfo
socket.getaddrinfo = lambda host, *more, **options: (
    time.sleep(30) if "silent" in str(host) else real(host, *more, **options)
)
async def main():
    async with AsyncClient(KEY, base_url="https://silent.test", timeout=0.2) as client:
        with contextlib.suppress(errors.RequestTimeout):
            await client.vms.get("vm_1")
asyncio.run(main())
""",
    "page-loop-left": """
async def main():
    client = AsyncClient(KEY, base_url=url, org_id="org_1")
    iterator = client.vms.list(prefetch=True).__aiter__()
    with contextlib.suppress(errors.OpenRelayError):
        await iterator.__anext__()
asyncio.run(main())
""",
}


@pytest.mark.parametrize("way", EXITS)
def test_the_interpreter_ends_at_once_with_requests_in_flight(way: str):
    """R1.6: in under a second, and with an empty stderr."""
    result = run_program(EXITS[way], options=(), within=60.0)
    check_silent(result)
    # The whole program, with its start and its requests, on a busy machine. The stalls are 30 s.
    assert result.seconds < 5


def test_the_end_of_the_interpreter_takes_less_than_a_second():
    """R1.6: measured from the last line of the program to the end of the process."""
    result = run_program(
        EXITS["daemon-thread"]
        + """
import subprocess
# A child that outlives us tells when our end of the pipe was closed: at our exit.
reading, writing = os.pipe()
watcher = subprocess.Popen(
    [sys.executable, "-S", "-c", "import os, sys, time; began = float(sys.argv[1]);"
     "os.read(int(sys.argv[2]), 1); print(time.time() - began)", str(time.time()), str(reading)],
    pass_fds=[reading],
)
os.close(reading)
time.sleep(0.3)
watcher.returncode = 0
""",
        options=(),
    )
    check_silent(result)
    assert float(result.out) < 0.3 + 1.0 + 0.5


CALLS_UNDER_WAY = {
    "attempt": "client.request('GET', '/stall')",
    "answer": "client.request('GET', '/half')",
    "backoff": "client.request('GET', '/busy')",
    "queue": "asyncio.wait([begin(client.request('GET', '/stall')), begin(client.request('GET', '/stall'))])",
    "pacing": "paced.request('GET', '/stall')",
    "list": "whole(client.vms.list())",
    "pages": "loop_over(client.vms.list())",
    "download": "whole(client.files.get_content('stall'))",
    "organization": "whole(without_organization.vms.list())",
    "wait": "client.vms.wait('vm_1', until='stopped')",
    "wait-all": "client.vms.wait_all(['vm_1', 'vm_2'], until='stopped')",
    "watch": "loop_over(client.vms.watch())",
    "gathering": "gathering(client)",
    "group": "group(client)",
}

UNDER_WAY = """
class Stalling(Service):
    def do_GET(self):
        if self.path.endswith("/busy"):
            self.send_response(503)
            self.send_header("Retry-After", "30")
            self.send_header("Content-Length", "0")
            self.end_headers()
        elif self.path.endswith("/half") or "/files/" in self.path:
            self.send_response(200)
            self.send_header("Content-Length", "1000")
            self.end_headers()
            self.wfile.write(b"begun")
            time.sleep(30)
        else:
            if "/vms/vm_" not in self.path:
                self.path = "/stall"
            super().do_GET()

server.RequestHandlerClass = Stalling

async def whole(call):
    return await call

async def loop_over(call):
    async for _ in call:
        pass

async def gathering(client):
    await asyncio.gather(*[client.request("GET", "/stall") for _ in range(3)])

async def group(client):
    async with asyncio.TaskGroup() as calls:
        for _ in range(3):
            calls.create_task(client.request("GET", "/stall"))

tasks = []

def begin(call):
    tasks.append(asyncio.ensure_future(call))
    return tasks[-1]

def clients():
    def make(**options):
        return AsyncClient(KEY, base_url=url, inference_url=url, **options)
    return (
        make(org_id="org_1", limits=PoolLimits(max_connections=1)),
        make(org_id="org_1", max_requests_per_second=0.01),
        make(),
    )
"""


@pytest.mark.parametrize(
    ("call", "goes_on"),
    # What gathers calls has an error of its own, which asyncio reports as that of any other program.
    [(call, False) for call in CALLS_UNDER_WAY]
    + [(call, True) for call in CALLS_UNDER_WAY if call not in {"gathering", "group"}],
)
def test_nothing_is_said_of_calls_that_a_block_which_is_left_has_ended(call: str, goes_on: bool):
    """R1.6: nobody awaits them, as the program ends, or has other things to do."""
    result = run_program(
        UNDER_WAY
        + f"""
async def main():
    client, paced, without_organization = clients()
    async with client, paced, without_organization:
        if {call == "pacing"}:
            begin(paced.request("GET", "/stall"))
        begin({CALLS_UNDER_WAY[call]})
        await asyncio.sleep(0.3)
        assert not any(task.done() for task in tasks), tasks
    if {goes_on}:
        _, unfinished = await asyncio.wait(tasks, timeout=10)
        assert not unfinished
asyncio.run(main())
tasks.clear()
gc.collect()
""",
        options=(),
        within=60.0,
    )
    check_silent(result)


def test_who_awaits_a_call_has_the_error_that_its_client_was_closed():
    """And what a task that goes on after it comes to is reported as ever."""
    result = run_program(
        """
        async def goes_on(client):
            with contextlib.suppress(errors.ConnectionFailed):
                await client.request("GET", "/stall")
            raise LookupError("another thing")

        async def main():
            async with AsyncClient(KEY, base_url=url) as client:
                tasks = [asyncio.create_task(client.request("GET", "/stall")) for _ in range(3)]
                other = asyncio.create_task(goes_on(client))
                await asyncio.sleep(0.2)
            began = time.monotonic()
            for outcome in await asyncio.gather(*tasks, return_exceptions=True):
                print(type(outcome).__name__, outcome.message, outcome.attempts)
            assert time.monotonic() - began < 4
            await asyncio.wait([other])
            del other
            gc.collect()
        asyncio.run(main())
        """,
        options=(),
    )
    assert (result.code, result.out) == (0, "ConnectionFailed the client was closed 1\n" * 3)
    assert result.err.count("never retrieved") == 1
    assert result.err.endswith("LookupError: another thing\n")


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGTERM")
def test_a_service_that_is_terminated_finishes_what_runs():
    """SIGTERM as the documentation says: drain, then close; the call that ran has its answer."""
    result = run_program(
        """
        import signal
        async def main():
            client = AsyncClient(KEY, base_url=url)
            stopping = asyncio.Event()
            asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopping.set)
            answers, refused = [], []
            async def work():
                while True:
                    try:
                        answers.append(await client.vms.get("vm_1"))
                    except errors.ConnectionFailed as error:
                        refused.append(str(error))
                        return
            workers = [asyncio.create_task(work()) for _ in range(5)]
            while len(answers) < 20:
                await asyncio.sleep(0.001)
            os.kill(os.getpid(), signal.SIGTERM)
            await stopping.wait()
            await client.drain()
            await asyncio.gather(*workers)
            await client.aclose()
            assert len(refused) == 5
            assert all("draining" in text for text in refused), refused
            # Every request that the service answered has reached its caller.
            assert len(answers) == len(Service.ports)
            print("drained")
        asyncio.run(main())
        """
    )
    check_silent(result)
    assert result.out == "drained\n"
