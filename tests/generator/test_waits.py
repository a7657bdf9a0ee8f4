"""What can be waited for: the overrides, the lifecycles and the words make the methods, or are refused."""

from __future__ import annotations

import ast
import copy
import inspect
import json
import re
import typing
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from api_description.generator.forms import Description
from api_description.generator.load import read_description
from api_description.generator.overrides import Overrides, load_overrides
from api_description.generator.prose import find_gaps, load_prose
from api_description.generator.refuse import DescriptionError
from api_description.generator.render import make_templates, render_all
from api_description.generator.render_waits import render_waits
from openrelay_async import lifecycles
from openrelay_async.generated.client_resources import ClientResources
from openrelay_async.resource import ResourceAttribute

SOURCES = Path(__file__).resolve().parents[2] / "api_description"
PODS = """
[waits.vms]
lifecycle = "VMS"
list = "listOrgVms"
read = "getVm"
read_full = "getVmDetail"
either = "{}"
[waits.pods]
lifecycle = "PODS"
list = "listPods"
read = "getVm"
read_full = "getVmDetail"
either = "AnyVm"
"""
WAITED = ("batches", "clusters", "kubernetes", "pods", "snapshots", "vms")


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((SOURCES / "openrelay.json").read_text("utf-8"))
    return loaded


@pytest.fixture(scope="module")
def description(document: dict[str, Any]) -> Description:
    return read_description(document)


@pytest.fixture(scope="module")
def overrides(description: Description) -> Overrides:
    return load_overrides(SOURCES / "overrides.toml", description)


def vms(**changes: str | None) -> str:
    """The entry of VMs, changed: a value is TOML, `None` leaves a key out."""
    entry = {
        "lifecycle": '"VMS"',
        "list": '"listOrgVms"',
        "read": '"getVm"',
        "read_full": '"getVmDetail"',
        "either": '"AnyVm"',
        **changes,
    }
    return "\n".join(["[waits.vms]", *(f"{key} = {value}" for key, value in entry.items() if value)])


REFUSALS = {
    "a resource that is not there": ("[waits.ghosts]", "ghosts"),
    "a key": (vms(lst="1"), "vms/lst"),
    "no lifecycle": (vms(lifecycle=None), "vms/lifecycle"),
    "a lifecycle that is not there": (vms(lifecycle='"GHOSTS"'), "vms/lifecycle"),
    "something else than a lifecycle": (vms(lifecycle='"LIFECYCLES"'), "vms/lifecycle"),
    "a lifecycle of another kind": (vms(lifecycle='"PODS"'), "vms/lifecycle"),
    "no list": (vms(list=None), "vms/list"),
    "an operation that is not there": (vms(list='"listGhosts"'), "vms/list"),
    "a list that is none": (vms(list='"getVm"'), "vms/list"),
    "a list of something": (vms(list='"listVmSshKeys"'), "vms/list"),
    "a reading that reads many": (vms(read='"listOrgVms"'), "vms/read"),
    "a reading that needs more than an id": (vms(read='"getKubernetesNodePool"'), "vms/read"),
    "a reading of something else": (vms(read='"getCluster"'), "vms/read"),
    "no full reading, which a goal needs": (vms(read_full=None, either=None), "vms/read_full"),
    "a reason that is not there": (
        '[waits.clusters]\nlifecycle = "CLUSTERS"\nlist = "listOrgClusters"\nread_reason = "getCluster"',
        "clusters/read_reason",
    ),
    "a reason that is there already": (vms(read_reason='"getVmDetail"'), "vms/read_reason"),
    "two types without a name for both": (vms(either=None), "vms/either"),
    "a name for one type": (vms(read_full='"getVm"'), "vms/either"),
    "a page of no size": (vms(largest_page="0"), "vms/largest_page"),
    "a size that is a flag": (vms(largest_page="true"), "vms/largest_page"),
    "a name that its home does not make": (PODS.format("SomeVm"), "pods/either"),
}


@pytest.mark.parametrize(("text", "pointer"), REFUSALS.values(), ids=REFUSALS)
def test_waits_that_do_not_fit_are_refused_with_their_place(
    text: str, pointer: str, tmp_path: Path, description: Description
) -> None:
    path = tmp_path / "overrides.toml"
    path.write_text(text, "utf-8")
    with pytest.raises(DescriptionError) as refusal:
        load_overrides(path, description)
    assert refusal.value.pointer == f"overrides.toml/waits/{pointer}"


def test_the_entries_that_the_refusals_start_from_are_taken(tmp_path: Path, description: Description) -> None:
    path = tmp_path / "overrides.toml"
    for text in (vms(), PODS.format("AnyVm")):
        path.write_text(text, "utf-8")
        assert "vms" in load_overrides(path, description).waits


@pytest.mark.parametrize(
    ("words", "pointer"),
    [
        ({"vms": {"goals": "`running` or `stopped`"}}, "waits.toml/vms/goals"),
        ({"vms": {"goal": "`running`"}}, "waits.toml/vms/goal"),
        ({"vms": {"notes": ""}}, "waits.toml/vms/notes"),
    ],
)
def test_words_that_do_not_fit_the_goals_are_refused(
    words: dict[str, object], pointer: str, overrides: Overrides
) -> None:
    with pytest.raises(DescriptionError) as refusal:
        render_waits(overrides.waits["vms"], words, overrides, make_templates())
    assert refusal.value.pointer == pointer


def test_without_words_the_goals_are_listed(overrides: Overrides) -> None:
    methods = render_waits(overrides.waits["clusters"], {}, overrides, make_templates())
    assert '"""Wait until a cluster is `running`, `stopped` or `terminated`.' in methods.block


def test_what_is_waited_for_needs_words(description: Description, overrides: Overrides) -> None:
    prose = load_prose(SOURCES / "prose")
    words = {**prose, "waits.toml": {"vms": {}, "ghosts": {}}}
    assert find_gaps(description, overrides.waits, prose) == []
    assert find_gaps(description, ["pods", "vms"], words) == [
        "waits.toml: pods is missing",
        "waits.toml: ghosts is not in the description",
    ]


def find_method(resource: str, name: str) -> Any:
    attribute = vars(ClientResources)[resource]
    assert isinstance(attribute, ResourceAttribute)
    return getattr(getattr(import_module(attribute.module), attribute.kind), name)


def find_goals(method: Any) -> set[str]:
    """The goals that a method's annotation knows."""
    until = inspect.signature(method).parameters["until"].annotation
    return set(re.findall(r"'(\w+)'", ast.unparse(ast.parse(until))))


@pytest.mark.parametrize("resource", WAITED)
def test_every_goal_of_the_lifecycle_is_offered(resource: str, overrides: Overrides) -> None:
    """R5.7"""
    assert set(overrides.waits) == set(WAITED)
    lifecycle = overrides.waits[resource].lifecycle
    something = {goal.name for goal in lifecycle.goals.values() if goal.returns != "nothing"}
    for name in ("wait", "as_completed"):
        assert find_goals(find_method(resource, name)) == set(lifecycle.goals)
    for name in ("wait_all", "wait_any"):
        assert find_goals(find_method(resource, name)) == something
        assert inspect.signature(find_method(resource, name)).parameters["until"].default == lifecycle.default


@pytest.mark.parametrize(
    ("resource", "returns"),
    [
        ("batches", []),
        ("clusters", []),
        ("kubernetes", ["KubernetesCluster", "None"]),
        ("pods", ["VmSummary", "VmDetail", "AnyVm"]),
        ("snapshots", []),
        ("vms", ["VmSummary", "VmDetail", "AnyVm"]),
    ],
)
def test_the_type_of_what_a_wait_gives_follows_from_its_goal(resource: str, returns: list[str]) -> None:
    """R7.4"""
    overloads = typing.get_overloads(find_method(resource, "wait"))
    assert [inspect.signature(each).return_annotation for each in overloads] == returns


def test_a_new_goal_must_get_words(document: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    goals = dict(lifecycles.CLUSTERS.goals)
    goals["degraded"] = lifecycles.Goal("degraded", frozenset({"degraded"}))
    changed = lifecycles.Lifecycle(
        "clusters", "cluster", lifecycles.CLUSTERS.states, frozenset(), goals, default="running"
    )
    monkeypatch.setattr(lifecycles, "CLUSTERS", changed)
    with pytest.raises(DescriptionError, match="must name `degraded`"):
        render_all(copy.deepcopy(document))


@pytest.mark.parametrize("resource", WAITED)
def test_importing_a_resource_loads_nothing_of_waiting(resource: str) -> None:
    """R7.1"""
    path = SOURCES.parent / "openrelay_async" / "generated" / "resources" / f"{resource}.py"
    loaded = {
        node.module
        for node in ast.parse(path.read_text("utf-8")).body
        if isinstance(node, ast.ImportFrom) and node.module
    }
    assert not {name for name in loaded if ".fleet" in name or ".wait" in name} - {
        "openrelay_async.wait_limits"
    }
    others = {name for name in loaded if name.startswith("openrelay_async.generated.resources.")}
    assert not others
