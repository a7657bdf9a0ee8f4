"""Imports that a fork cannot cut in half."""

from __future__ import annotations

import importlib
import os
import threading
from types import ModuleType

importing = threading.RLock()
"""Held while a module is imported late, so that no fork cuts it in half: `with importing:` around it.

It has to be the process's: so is what it guards, `sys.modules`.
"""


def import_module(name: str) -> ModuleType:
    """Import a module, no fork meanwhile.

    A child that is forked while another thread imports has the module half made and its lock held by a
    thread that is not there: every later use of the module waits for ever (CPython does not mend it, see
    bpo-6721). Resources are imported when they are first used, which may be in any thread.
    """
    with importing:
        return importlib.import_module(name)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=importing.acquire, after_in_parent=importing.release, after_in_child=importing.release
    )
