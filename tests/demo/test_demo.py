"""The demo is the first thing a newcomer runs: it must tell the whole story and show no key."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest


@pytest.fixture(scope="module")
def told() -> str:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("OPENRELAY_")}
    run = subprocess.run(
        [sys.executable, "-X", "dev", "-W", "error", "-m", "openrelay_async.demo"],
        capture_output=True,
        text=True,
        timeout=60,
        env=environment,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    return run.stdout


@pytest.mark.parametrize(
    "line",
    [
        "An API key of Acme",
        "key: vl_",
        "clusters in the organization that the key belongs to",
        "PermissionDenied: createOrgSshKey POST /v1/orgs/{orgId}/ssh-keys/create: 403",
        "PermissionDenied: listOrgVms GET /v1/orgs/{orgId}/vms: 403",
        ": deploying, 1 × NVIDIA GeForce RTX 4090",
        ": running",
        ": terminated",
        "Unauthenticated: listOrgClusters GET /v1/orgs/{orgId}/clusters: 401 REVOKED_API_KEY",
    ],
)
def test_the_story_has_every_step(told: str, line: str) -> None:
    assert line in told


def test_no_key_is_on_the_screen(told: str) -> None:
    assert not re.search(r"\b(vl|or)_[A-Za-z0-9]{16,}", told)


def test_live_without_a_key_says_what_to_do() -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("OPENRELAY_")}
    run = subprocess.run(
        [sys.executable, "-m", "openrelay_async.demo", "--live"],
        capture_output=True,
        text=True,
        timeout=60,
        env=environment,
        check=False,
    )
    assert run.returncode == 1
    assert "OPENRELAY_API_KEY" in run.stderr
    assert "Traceback" not in run.stderr
