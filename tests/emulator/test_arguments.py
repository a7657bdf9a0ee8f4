"""What cannot be meant is refused where it is given, and the error names it."""

from __future__ import annotations

import math
import re

import pytest

from openrelay_async.emulator import Emulator, EmulatorError, FastClock, Fault, FaultPlan, TurnedClock
from openrelay_async.emulator.generated.routes import OPERATIONS
from openrelay_async.errors import ConfigurationError

KEY = "vl_0123456789abcdefghijklmnop"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("db", value) for value in (5, "", None)),
        *(("host", value) for value in (5, "", None)),
        *(("port", value) for value in ("x", -1, True, 1.5)),
        *(("speed", value) for value in (0, -1, "x", math.nan, math.inf, True)),
        *(("clock", value) for value in (5, "now", object())),
        *(("generation", value) for value in ("2027", 5, None)),
        *(("faults", value) for value in (5, Fault(), [5], ["createVm"], "createVm", [Fault(), None])),
        *(("rate_limit", value) for value in (0, -1, "x", math.nan, math.inf, True)),
        *(("seed", value) for value in ("x", 1.5, None, True)),
        *(("fleet", value) for value in (5, [1], {"nope": 5}, {5: 5}, {"rtx-4090": -1}, {"rtx-4090": "x"})),
        *(("fleet", {"rtx-4090": value}) for value in (True, 10**9, 1.5)),
        *(("organization", value) for value in (5, "", " ", "\ud800", "x" * 100_000)),
        *(("credit_cents", value) for value in ("x", 1.5, 10**30, None)),
        *(("dashboard", value) for value in ("yes", 1, None)),
        *(("control", value) for value in ("yes", 1, None)),
        *(("password", value) for value in (5, "", b"x")),
    ],
)
def test_an_argument_of_an_emulator_is_checked(name, value):
    with pytest.raises(ConfigurationError, match=rf"\b{name}\b.* must ") as caught:
        Emulator(**{name: value})
    assert len(str(caught.value)) < 200
    assert "\n" not in str(caught.value)


async def test_what_is_sensible_is_accepted(tmp_path):
    options = {
        "seed": -5,
        "fleet": {"b200": 0},
        "credit_cents": -5,
        "port": 0,
        "speed": 1e9,
        "password": " x",
    }
    async with Emulator(db=tmp_path / "state.db", **options) as emulator, emulator.client() as client:
        assert (await client.account.whoami()).organization_name == "Acme"
    assert (tmp_path / "state.db").exists()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("operation", value) for value in ("createVM", "", "vms.create", "* ", 5, None, KEY)),
        *(("call", value) for value in (0, -1, "1", 1.5, True)),
        *(("times", value) for value in (0, -1, "1", 1.5, True)),
        *(("status", value) for value in (0, 99, 199, 200, 600, "503", True, 10**400)),
        *(("code", value) for value in (5, "", b"x", "\ud800")),
        *(("message", value) for value in (5, "", b"x", "\ud800")),
        *(
            ("retry_after", value)
            for value in (-1, [1], math.nan, math.inf, True, "1\r\nX-Header: 1", "\ud800")
        ),
        *(("delay", value) for value in (-1, "x", math.nan, math.inf, True, 1e300, None)),
        *(("reset", value) for value in ("sideways", "", True, 5, ["before"])),
        *(("body", value) for value in ("x", "", True, 5, ["slow"])),
    ],
)
def test_a_field_of_a_fault_is_checked(name, value):
    given = {"status": 503, name: value}
    with pytest.raises(ConfigurationError, match=f"^Fault: {name} must be ") as caught:
        Fault(**given)
    assert KEY not in str(caught.value)


@pytest.mark.parametrize("given", ["createVM", "createvm", "create_vm", "vms.create", "CreateVms"])
def test_an_operation_that_is_not_there_names_the_nearest_that_is(given):
    with pytest.raises(ConfigurationError, match=rf"{re.escape(repr(given))}; did you mean createVm\?$"):
        Fault(operation=given, status=503)


def test_every_operation_can_fail():
    for operation in (*(row.id for row in OPERATIONS), "putUpload", "*"):
        assert Fault(operation=operation).operation == operation


@pytest.mark.parametrize("part", [{"code": "BUSY"}, {"message": "later"}, {"retry_after": 1}])
def test_a_part_of_an_answer_that_nobody_asked_for_is_refused(part):
    with pytest.raises(ConfigurationError, match=f"{next(iter(part))} needs a status"):
        Fault(operation="createVm", **part)


def test_a_plan_takes_all_faults_or_none():
    plan = FaultPlan()
    with pytest.raises(ConfigurationError, match="Fault objects"):
        plan.add(Fault(status=503), {"status": 503})
    assert len(plan) == 0


@pytest.mark.parametrize("seconds", [-1, "x", math.nan, math.inf, -math.inf, True, 1e300, 10**400, None])
@pytest.mark.parametrize("make", [TurnedClock, FastClock])
def test_a_clock_is_turned_by_a_number_of_seconds(make, seconds):
    clock = make()
    before = clock.wall()
    with pytest.raises(ConfigurationError, match=r"^seconds must "):
        clock.advance(seconds)
    assert before <= clock.wall() < before + 60


async def test_no_turn_of_the_clock_breaks_the_emulator(emulator, api, clock):
    for seconds in (math.nan, math.inf, 1e12):
        with pytest.raises(ConfigurationError):
            emulator.advance(seconds)
    emulator.advance(2.2e11 - clock.wall())  # some year before 9000
    with pytest.raises(ConfigurationError, match="before the year 9000"):
        emulator.advance(1e10)
    vm = await api.post("/v1/orgs/{org}/vms/create", {"name": "vm", "resourceSize": "small"})
    await api.get(f"/v1/vms/{vm['id']}")


async def test_the_end_of_time_is_waited_for_at_any_speed():
    async with Emulator(speed=1e300) as emulator, emulator.client() as client:
        vm = await client.vms.create(name="vm", gpu_model_id="rtx-4090", gpu_count=1)
        assert (await client.vms.get(vm.id)).created_at.year == 9000


@pytest.mark.parametrize(
    ("method", "arguments", "name"),
    [
        ("add_organization", (5,), "name"),
        ("add_organization", ("",), "name"),
        ("open_session", (5,), "email"),
        ("open_session", (" ",), "email"),
        ("move_vm", (5, "failed"), "vm_id"),
        ("move_vm", ("{vm}", 5), "status"),
        ("move_vm", ("{vm}", None), "status"),
        ("move_vm", ("{vm}", "failed", {"reason": 5}), "reason"),
        *(("move_vm", ("{vm}", "failed", {"after": value}), "after") for value in (-1, "x", math.nan, 1e300)),
        ("add_runner_job", (5,), "pool_id"),
        ("add_runner_job", ("pool", {"repository": 5}), "repository"),
        ("add_runner_job", ("pool", {"size": []}), "size"),
        ("add_runner_job", ("pool", {"lasting": math.inf}), "lasting"),
        ("add_runner_job", ("pool", {"fails": "yes"}), "fails"),
        ("enroll_node", (5,), "token"),
        ("enroll_node", ("token", {"gpu_model_id": 5}), "gpu_model_id"),
        ("enroll_node", ("token", {"gpus": -1}), "gpus"),
        ("sicken_replica", (5,), "cluster_id"),
        ("sicken_replica", ("c", "0"), "index"),
        ("sicken_replica", ("c", 0, {"after": "x"}), "after"),
        ("sicken_replica", ("c", 0, {"lasting": -1}), "lasting"),
    ],
)
async def test_an_argument_of_a_control_method_is_checked(emulator, api, method, arguments, name):
    vm = await api.post("/v1/orgs/{org}/vms/create", {"name": "vm", "resourceSize": "small"})
    positional = [vm["id"] if item == "{vm}" else item for item in arguments if not isinstance(item, dict)]
    keywords = next((item for item in arguments if isinstance(item, dict)), {})
    with pytest.raises(ConfigurationError, match=f"^{name} must be "):
        getattr(emulator, method)(*positional, **keywords)
    assert (await api.get(f"/v1/vms/{vm['id']}"))["status"] == "deploying"


@pytest.mark.parametrize("name", ["api_key", "org_id", "session_token"])
def test_before_the_start_there_is_nothing_to_tell(name):
    with pytest.raises(EmulatorError, match="has not been started: use `async with Emulator"):
        getattr(Emulator(), name)


def test_no_error_shows_a_password():
    with pytest.raises(ConfigurationError) as caught:
        Emulator(password=KEY.encode())  # type: ignore[arg-type]
    assert KEY not in str(caught.value)
