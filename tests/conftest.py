"""What holds for the whole suite."""

from __future__ import annotations

import os
import signal
import threading

from hypothesis import HealthCheck, settings

# How long an example takes says nothing on a machine that does other work as well.
settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")

# Servers of tests are on this machine: a proxy of its environment has nothing to do with them.
for _name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
    os.environ.pop(_name, None)
    os.environ.pop(_name.lower(), None)

# A run in the background ignores Ctrl-C, and so would the programs that tests start.
if (
    signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    and threading.current_thread() is threading.main_thread()
):
    signal.signal(signal.SIGINT, signal.default_int_handler)
