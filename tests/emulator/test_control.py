"""Control endpoints: for tests in other languages, only when asked for."""

from __future__ import annotations

import pytest

from openrelay_async.emulator import Emulator, EmulatorError, TurnedClock


@pytest.fixture
async def controlled(clock):
    async with Emulator(clock=clock, control=True, password="open sesame") as emulator:
        yield emulator


async def control(http, emulator, method, name, body=None, **options):
    if method == "POST":
        options["json"] = {} if body is None else body
    async with http.request(method, f"{emulator.url}/_emulator/{name}", **options) as response:
        return response.status, (await response.json(content_type=None) if response.status != 204 else None)


async def test_they_are_not_there_unless_asked_for(emulator, http):
    for method, name in (("POST", "reset"), ("GET", "requests"), ("POST", "login")):
        assert (await control(http, emulator, method, name))[0] == 404


async def test_reset_begins_anew(controlled, connect, http, clock):
    api = connect(controlled)
    await api.post("/v1/orgs/{org}/vms/create", {"name": "vm", "gpuModelId": "b200", "gpuCount": 8})
    status, fresh = await control(http, controlled, "POST", "reset")
    assert status == 200
    assert (await api("GET", "/v1/whoami")).status == 401
    again = api.with_token(fresh["api_key"], fresh["org_id"])
    assert (await again.get("/v1/orgs/{org}/vms"))["items"] == []
    found = {item["gpuModelId"]: item for item in await again.get("/v1/gpu-availability")}
    assert found["b200"]["vm"]["freeGpus"] == 8
    assert controlled.api_key == fresh["api_key"]
    assert fresh["org_id"] == api.org_id, "the same seed gives the same ids"


async def test_seed_makes_organizations(controlled, connect, http):
    _, body = await control(http, controlled, "POST", "seed", {"organizations": ["One", "Two"]})
    one, two = body["organizations"]
    api = connect(controlled).with_token(one["api_key"], one["org_id"])
    assert (await api.get("/v1/whoami"))["organizationName"] == "One"
    assert (await api("GET", f"/v1/orgs/{two['org_id']}/vms")).status == 403


async def test_faults_are_set_listed_and_cleared(controlled, connect, http):
    api = connect(controlled)
    fault = {"operation": "whoami", "status": 503, "retry_after": 2, "code": "BUSY"}
    assert (await control(http, controlled, "POST", "faults", {"faults": [fault]}))[0] == 204
    _, listed = await control(http, controlled, "GET", "faults")
    assert {name: listed["faults"][0][name] for name in fault} == fault
    answered = await api("GET", "/v1/whoami")
    assert (answered.status, answered.code, answered.headers["Retry-After"]) == (503, "BUSY", "2")
    await control(http, controlled, "POST", "faults", {"faults": [fault]})
    await control(http, controlled, "DELETE", "faults")
    assert (await api("GET", "/v1/whoami")).status == 200


@pytest.mark.parametrize(
    ("fault", "field"),
    [
        ({"status": "503"}, "faults[0].status"),
        ({"status": 200}, "faults[0].status"),
        ({"status": True}, "faults[0].status"),
        ({"reset": "sometimes"}, "faults[0].reset"),
        ({"colour": "blue"}, "faults[0].colour"),
        ({"operation": "createVM", "status": 503}, "faults[0].operation"),
        ({"operation": None}, "faults[0].operation"),
        ({"call": 0}, "faults[0].call"),
        ({"times": -1}, "faults[0].times"),
        ({"delay": -1}, "faults[0].delay"),
        ({"delay": 1e308}, "faults[0].delay"),
        ({"retry_after": "1\r\nX: y", "status": 503}, "faults[0].retry_after"),
        ({"code": "BUSY"}, "faults[0].code"),
        ("boom", "faults[0]"),
    ],
)
async def test_a_wrong_fault_is_named(controlled, http, fault, field):
    status, body = await control(http, controlled, "POST", "faults", {"faults": [fault]})
    assert (status, body["field"]) == (400, field)
    assert len(controlled.faults) == 0


async def test_a_misspelt_operation_is_told_the_right_one(controlled, http):
    fault = {"operation": "createVM", "status": 503}
    _, body = await control(http, controlled, "POST", "faults", {"faults": [{}, fault]})
    assert body["error"].startswith("faults[1].operation: must be the id of an operation")
    assert body["error"].endswith("did you mean createVm?")
    assert len(controlled.faults) == 0, "all of them or none"


async def test_the_clock_goes_no_further_than_there_are_dates(controlled, connect, http):
    turn = {"advance": 10**9}
    answers = [await control(http, controlled, "POST", "clock", turn) for _ in range(300)]
    assert {status for status, _ in answers} == {200, 400}
    assert answers[-1][1]["field"] == "advance"
    assert (await connect(controlled)("GET", "/v1/gpu-models")).status == 200


async def test_the_clock_is_read_and_turned(controlled, connect, http):
    api = connect(controlled)
    vm = await api.post("/v1/orgs/{org}/vms/create", {"name": "vm", "resourceSize": "small"})
    _, before = await control(http, controlled, "GET", "clock")
    _, after = await control(http, controlled, "POST", "clock", {"advance": 2.5})
    assert after["unix"] - before["unix"] == 2.5
    assert (await api.get(f"/v1/vms/{vm['id']}"))["status"] == "running"
    for wrong in (-1, "x", True, None, 10**10):
        assert (await control(http, controlled, "POST", "clock", {"advance": wrong}))[0] == 400


async def test_the_clock_of_the_machine_is_turned_forward_too(connect, http):
    async with Emulator(control=True) as emulator:
        api = connect(emulator)
        vm = await api.post("/v1/orgs/{org}/vms/create", {"name": "vm", "resourceSize": "small"})
        await control(http, emulator, "POST", "clock", {"advance": 3600})
        assert (await api.get(f"/v1/vms/{vm['id']}"))["status"] == "running"


async def test_requests_are_listed_without_credentials(controlled, connect, http):
    await connect(controlled)("GET", "/v1/whoami")
    _, body = await control(http, controlled, "GET", "requests")
    assert [(item["operation"], item["status"]) for item in body["requests"]] == [("whoami", 200)]
    assert controlled.api_key not in str(body)
    await control(http, controlled, "DELETE", "requests")
    assert (await control(http, controlled, "GET", "requests"))[1] == {"requests": []}


async def test_people_sign_in_with_the_password(controlled, connect, http):
    wrong = {"email": "owner@acme.example", "password": "please"}
    assert (await control(http, controlled, "POST", "login", wrong))[0] == 401
    nobody = {"email": " ", "password": "open sesame"}
    assert (await control(http, controlled, "POST", "login", nobody))[0] == 400
    right = {**wrong, "email": "Owner@Acme.example", "password": "open sesame"}
    _, body = await control(http, controlled, "POST", "login", right)
    user = connect(controlled).with_token(body["session_token"])
    assert (await user.get("/v1/me"))["user"]["email"] == "owner@acme.example"
    async with Emulator(control=True) as emulator:
        assert (await control(http, emulator, "POST", "login", wrong))[0] == 403


async def test_a_session_ends_by_itself(controlled, connect, clock):
    user = connect(controlled).with_token(controlled.open_session("owner@acme.example"))
    await user.get("/v1/me")
    clock.advance(12 * 3600)
    answered = await user("GET", "/v1/me")
    assert (answered.status, answered.code) == (401, "SESSION_EXPIRED")


async def test_a_web_page_cannot_use_them(controlled, http):
    url = f"{controlled.url}/_emulator/reset"
    for headers in ({"Content-Type": "text/plain"}, {"Content-Type": "application/x-www-form-urlencoded"}):
        async with http.post(url, data=b"{}", headers=headers) as response:
            assert response.status == 400
            assert "Access-Control-Allow-Origin" not in response.headers
    async with http.options(url) as response:
        assert response.status == 404


@pytest.mark.parametrize("body", [b"[]", b"{", b"null"])
async def test_what_is_no_object_is_400(controlled, http, body):
    headers = {"Content-Type": "application/json"}
    async with http.post(f"{controlled.url}/_emulator/seed", data=body, headers=headers) as response:
        assert response.status == 400


async def test_a_clock_that_cannot_be_turned_says_so(http):
    class Fixed:
        def monotonic(self):
            return 0.0

        def wall(self):
            return 1_800_000_000.0

        async def sleep(self, seconds):
            await TurnedClock().sleep(seconds)

        def uniform(self, low, high):
            return low

    async with Emulator(clock=Fixed(), control=True) as emulator:
        assert (await control(http, emulator, "POST", "clock", {"advance": 1}))[0] == 409
        with pytest.raises(EmulatorError, match="cannot be turned"):
            emulator.advance(1)
