"""Models as people make and use them."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any

import attrs
import pytest
from schema_samples import CANARY, properties, python_name, request_only_schemas, required, sample

from openrelay_async.cattrs_hooks import make_converter
from openrelay_async.generated import models
from openrelay_async.model import ApiModel
from openrelay_async.redaction import Secret
from openrelay_async.structuring import StructureError, structure, structure_empty, structure_list
from openrelay_async.unset import UNSET
from openrelay_async.wire import record

VM = {"id": "vm_1", "name": "dev-box", "organizationId": "org_1", "status": "running"}


def vm(**fields: Any) -> models.VmSummary:
    return models.VmSummary(id="vm_1", name="dev-box", organization_id="org_1", status="running", **fields)


def test_a_model_made_by_hand_is_the_one_that_is_read() -> None:
    made = vm(gpu_count=2, created_at=datetime(2026, 10, 31, 12, tzinfo=UTC))
    assert made == structure({**VM, "gpuCount": 2, "createdAt": "2026-10-31T12:00:00Z"}, models.VmSummary)
    assert made.to_wire() == {"createdAt": "2026-10-31T12:00:00Z", "gpuCount": 2, **VM}


def test_repr_shows_what_is_there() -> None:
    assert repr(vm(gpu_count=2)) == (
        "VmSummary(gpu_count=2, id='vm_1', name='dev-box', organization_id='org_1', status='running')"
    )
    assert repr(vm(public=False)).endswith("public=False, status='running')")


def test_a_required_field_must_be_given() -> None:
    with pytest.raises(TypeError, match="VmSummary needs the argument 'id'"):
        models.VmSummary(name="x", organization_id="o", status="s")  # type: ignore[call-arg]


def test_a_field_that_does_not_exist_is_refused() -> None:
    with pytest.raises(TypeError, match="VmSummary has no field colour"):
        vm(colour="red")


@pytest.mark.parametrize(
    ("raw", "kind"),
    [
        ("text", "a string"),
        (None, "null"),
        (5, "an integer"),
        ([], "an array"),
        ([("id", "vm_1")], "an array"),
    ],
)
def test_what_is_no_object_is_refused_as_what_it_is(raw: Any, kind: str) -> None:
    with pytest.raises(StructureError, match=f"must be an object, is {kind}"):
        models.VmSummary.from_wire(raw)


def test_any_mapping_is_an_object() -> None:
    assert models.VmSummary.from_wire(MappingProxyType(VM)) == vm()


def test_positional_arguments_are_refused() -> None:
    with pytest.raises(TypeError):
        models.VmSummary("vm_1")  # type: ignore[misc]


def test_evolve_changes_one_field() -> None:
    assert attrs.evolve(vm(), status="stopped") == structure(VM | {"status": "stopped"}, models.VmSummary)


def test_attrs_knows_the_fields() -> None:
    fields = attrs.fields_dict(models.VmSummary)
    assert set(fields) == {"extra", *(python_name(wire) for wire in properties("VmSummary"))}
    assert fields["id"].default is attrs.NOTHING
    assert fields["gpu_count"].default is None
    assert all(each.kw_only for each in fields.values())
    assert attrs.asdict(vm())["name"] == "dev-box"
    assert attrs.fields(models.Whoami) is attrs.fields(models.Whoami)
    assert attrs.fields(models.VmSummary).gpu_count is fields["gpu_count"]


def test_replacing_is_evolving() -> None:
    assert vm().__replace__(status="stopped") == attrs.evolve(vm(), status="stopped")


def test_extra_cannot_be_written_to() -> None:
    read = structure(VM | {"new": 1}, models.VmSummary)
    assert read.extra == {"new": 1}
    for model in (read, vm()):
        assert isinstance(model.extra, MappingProxyType)
        with pytest.raises(TypeError):
            model.extra["x"] = 1  # type: ignore[index]


def test_models_with_other_fields_or_classes_are_not_equal() -> None:
    assert vm() != vm(gpu_count=1)
    assert vm() != VM
    assert vm() != object()
    assert len({vm(), vm(), vm(gpu_count=1)}) == 2


def test_a_secret_given_as_text_is_concealed() -> None:
    made = attrs.evolve(structure(sample("WebhookSecret"), models.WebhookSecret), secret=f"{CANARY}!")
    assert isinstance(made.secret, Secret)
    assert made.secret.reveal() == f"{CANARY}!"
    assert CANARY not in repr(made)


def test_secrets_go_to_the_wire_only_when_asked() -> None:
    made = structure(sample("WebhookSecret") | {"secret": CANARY}, models.WebhookSecret)
    assert made.to_wire()["secret"] == repr(Secret(CANARY))
    assert made.to_wire(reveal=True)["secret"] == CANARY


@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("2026-10-31T12:34:56Z", datetime(2026, 10, 31, 12, 34, 56, tzinfo=UTC)),
        ("2026-10-31T12:34:56.5Z", datetime(2026, 10, 31, 12, 34, 56, 500_000, tzinfo=UTC)),
        ("2026-10-31T12:34:56.123456789Z", datetime(2026, 10, 31, 12, 34, 56, 123_456, tzinfo=UTC)),
        ("2026-10-31t12:34:56z", datetime(2026, 10, 31, 12, 34, 56, tzinfo=UTC)),
        ("2026-10-31T14:34:56+02:00", datetime(2026, 10, 31, 12, 34, 56, tzinfo=UTC)),
        ("", None),
    ],
)
def test_times_are_rfc_3339(text: str, time: datetime | None) -> None:
    assert structure(VM | {"createdAt": text}, models.VmSummary).created_at == time


@pytest.mark.parametrize("text", ["2026-10-31", "2026-10-31T12:34:56", "yesterday", "1761914096", " "])
def test_other_texts_are_no_times(text: str) -> None:
    with pytest.raises(StructureError, match=r"createdAt: must be an RFC 3339 time with an offset"):
        structure(VM | {"createdAt": text}, models.VmSummary)


def test_an_integer_may_stand_for_a_number_but_not_for_a_flag() -> None:
    raw = sample("CurrentUsage") | {"projectedRunwayHours": 3}
    assert structure(raw, models.CurrentUsage).projected_runway_hours == 3
    with pytest.raises(StructureError, match="public: must be a boolean, is an integer"):
        structure(VM | {"public": 1}, models.VmSummary)


def test_a_place_deep_inside_is_named() -> None:
    raw = sample("Whoami")
    raw["availableOrgs"][1]["organizationId"] = 5
    with pytest.raises(StructureError) as refused:
        structure(raw, models.Whoami)
    assert str(refused.value) == "availableOrgs[1].organizationId: must be a string, is an integer"


def test_keys_of_maps_are_not_named() -> None:
    with pytest.raises(StructureError) as refused:
        structure(sample("Snapshot") | {"envVars": {CANARY: 5}}, models.Snapshot)
    assert str(refused.value) == "envVars[…]: must be a string, is an integer"


def test_an_answer_without_a_body_has_empty_lists() -> None:
    assert structure_empty(models.RemoveMemberResult) == models.RemoveMemberResult(revoked_key_ids=[])
    with pytest.raises(StructureError, match="id: missing"):
        structure_empty(models.VmSummary)


def test_a_subclass_of_a_model_is_read_as_itself() -> None:
    class MyVm(models.VmSummary):
        __slots__ = ()

    for _ in range(2):
        assert type(MyVm.from_wire(VM)) is MyVm
        assert type(models.VmSummary.from_wire(VM)) is models.VmSummary


@pytest.mark.parametrize("name", request_only_schemas())
def test_a_model_that_is_only_sent_leaves_out_what_is_not_given(name: str) -> None:
    model: type[ApiModel] = getattr(models, name)
    full = sample(name)
    needed = {python_name(wire): full[wire] for wire in required(name)}
    made = model(**needed)
    assert set(made.to_wire()) == required(name)
    for wire in set(properties(name)) - required(name):
        assert getattr(made, python_name(wire)) is UNSET
        given = attrs.evolve(made, **{python_name(wire): full[wire]})
        assert given.to_wire(reveal=True)[wire] == full[wire]
    assert model.from_wire(full).to_wire(reveal=True) == full
    assert model.from_wire(made.to_wire(reveal=True)).to_wire(reveal=True) == made.to_wire(reveal=True)


def test_cattrs_reads_models_inside_other_classes() -> None:
    @attrs.frozen
    class Inventory:
        vms: list[models.VmSummary]
        taken_at: datetime
        key: Secret

    converter = make_converter()
    # The class is local to this function, so its annotations are given as they are.
    attrs.resolve_types(Inventory, globals(), locals())
    read = converter.structure({"vms": [VM], "taken_at": "2026-10-31T12:00:00Z", "key": CANARY}, Inventory)
    assert read == Inventory([vm()], datetime(2026, 10, 31, 12, tzinfo=UTC), Secret(CANARY))
    written = converter.unstructure(read)
    assert written == {"vms": [VM], "taken_at": "2026-10-31T12:00:00Z", "key": repr(Secret(CANARY))}


def run(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_importing_a_resource_builds_only_its_own_models() -> None:
    loaded = run(
        "import sys, openrelay_async.generated.resources.ssh_keys\n"
        "names = [name.partition('generated.models.')[2] for name in sys.modules]\n"
        "print(sorted(filter(None, names)))"
    )
    assert loaded == "['ssh_keys']"


def test_reading_a_model_needs_neither_cattrs_nor_aiohttp() -> None:
    loaded = run(
        "import sys\n"
        "from openrelay_async.generated.models import VmSummary\n"
        f"VmSummary.from_wire({VM!r})\n"
        "print([m for m in ('cattrs', 'aiohttp', 'asyncio', 'orjson') if m in sys.modules])"
    )
    assert loaded == "[]"


def test_attrs_builds_nothing_when_a_module_of_models_is_imported() -> None:
    built = run(
        "import attrs, openrelay_async.operation\n"
        "calls = []\n"
        "attrs.define = calls.append\n"
        "from openrelay_async.generated.models import VmSummary\n"
        f"VmSummary.from_wire({VM!r})\n"
        "print(calls)"
    )
    assert built == "[]"


def test_the_package_of_models_names_all_and_loads_none() -> None:
    loaded = run(
        "import sys, openrelay_async.generated.models as models\n"
        "assert 'VmSummary' in dir(models)\n"
        "print('attrs' in sys.modules, hasattr(models, 'Ghost'))"
    )
    assert loaded == "False False"


def test_what_an_answer_lacked_is_not_in_its_json_either() -> None:
    """`""` is only what the service itself writes for a time that is not set."""
    wire = sample("ProvisioningTokenItem")
    given = {key: value for key, value in wire.items() if key not in ("expiresAt", "name")}
    assert set(models.ProvisioningTokenItem.from_wire(given).to_wire()) == set(given)
    unset = {**given, "createdAt": "", "usedAt": None}
    assert models.ProvisioningTokenItem.from_wire(unset).to_wire()["createdAt"] == ""
    assert "usedAt" not in models.ProvisioningTokenItem.from_wire(unset).to_wire()


@pytest.mark.parametrize("rows", [1, 20])
def test_a_model_that_requests_hold_too_sends_back_what_the_answer_had(rows: int) -> None:
    """An empty list may mean "none allowed": an answer without a restriction does not become one."""
    wire = {"ipRanges": ["10.0.0.0/8"], "endpoints": [], "models": None}
    read = structure_list([wire] * rows, models.KeyRestrictions)[-1]
    assert (read.models, read.permissions) == ([], [])
    assert repr(read) == "KeyRestrictions(ip_ranges=['10.0.0.0/8'])"
    had = {"ipRanges": ["10.0.0.0/8"], "endpoints": []}
    for same in (read, attrs.evolve(read), copy.deepcopy(read), pickle.loads(pickle.dumps(read))):  # noqa: S301 - made here
        assert same == read
        assert same.to_wire() == record(models.KeyRestrictions)(same, "restrictions") == had
    for more in ({"models": []}, {"permissions": ["vms.read"]}):
        changed = attrs.evolve(read, **more)
        assert changed.to_wire() == record(models.KeyRestrictions)(changed, "restrictions") == had | more
    read.permissions.append("vms.read")
    assert read.to_wire() == had | {"permissions": ["vms.read"]}
