"""`Emulator.in_thread()`: for sync code and notebooks."""

from __future__ import annotations

import json
import threading
import urllib.request

import pytest

from openrelay_async.emulator import Emulator, EmulatorError, Fault, TurnedClock


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
