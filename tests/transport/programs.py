"""Whole programs, run with every warning on: what a user sees on stderr is part of the behaviour."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]

PRELUDE = '''
import asyncio, contextlib, gc, http.server, json, os, sys, threading, time
from openrelay_async import AsyncClient, PoolLimits, RetryPolicy, errors

KEY = "vl_program_0123456789abcdefghijk"
VM = {"id": "vm_1", "name": "box", "organizationId": "org_1", "status": "running"}


class Service(http.server.BaseHTTPRequestHandler):
    """A service in threads of this process: it needs no loop, and outlives all of them."""

    protocol_version = "HTTP/1.1"
    stalls = threading.Event()

    def do_GET(self):
        if self.path == "/stall":
            self.stalls.set()
            time.sleep(30)
        body = json.dumps(VM | {"pid": os.getpid()}).encode()
        # Before the answer: who has it looks here at once.
        Service.ports.append(self.client_address[1])
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    ports = []

    def log_message(self, *arguments):
        pass


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256


server = Server(("127.0.0.1", 0), Service)
threading.Thread(target=server.serve_forever, daemon=True).start()
url = f"http://127.0.0.1:{server.server_port}"
print(time.time(), flush=True)
'''
"""Its last line tells when the imports were done."""


@dataclass
class Result:
    """What a program did."""

    code: int
    out: str
    err: str
    seconds: float
    """From the end of the prelude to the end of the process."""
    program: str

    def line_of(self, text: str) -> int:
        """The number of the program's last line that has a text."""
        lines = self.program.splitlines()
        return max(number for number, line in enumerate(lines, 1) if text in line)


def run_program(
    body: str, *, options: tuple[str, ...] = ("-X", "dev"), within: float = 30.0, prelude: str = PRELUDE
) -> Result:
    """Run a program after the prelude and return what it did."""
    program = prelude + textwrap.dedent(body)
    began = time.time()
    done = subprocess.run(
        [sys.executable, *options, "-c", program],
        capture_output=True,
        text=True,
        timeout=within,
        cwd=ROOT,
        env={**os.environ, "OPENRELAY_API_KEY": "", "PYTHONDONTWRITEBYTECODE": "1"},
        check=False,
    )
    # asyncio's debug mode tells what took over 0.1 s, which on a busy machine is anything.
    err = "".join(line for line in done.stderr.splitlines(True) if not line.startswith("Executing <"))
    ended, out = time.time(), done.stdout
    if prelude == PRELUDE and out:
        first, _, out = out.partition("\n")
        began = float(first)
    return Result(done.returncode, out, err, ended - began, program)
