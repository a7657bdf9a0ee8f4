"""The hand-written methods that `test_every_wait.py` tests, one by one."""

from __future__ import annotations

WAITS = {
    (resource, name)
    for resource in ("batches", "clusters", "kubernetes", "pods", "snapshots", "vms")
    for name in ("as_completed", "look_now", "resume_wait", "wait", "wait_all", "wait_any", "watch")
}
