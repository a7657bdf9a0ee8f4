"""Reading many rows by column gives what reading them one by one gives, and fails where that fails."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schema_samples import base, properties, required, sample, wrong

from openrelay_async.generated import models
from openrelay_async.model import ApiModel
from openrelay_async.row_shape import MOST_SHAPES, MOST_TYPES
from openrelay_async.structuring import MANY, StructureError, find_reader, structure, structure_list

NAMES = [
    "VmSummary",
    "ClusterDetail",
    "BatchObject",
    "DailyUsagePoint",
    "GuestLogs",
    "ProviderNode",
    "Whoami",
]


@st.composite
def rows(draw: st.DrawFn, name: str, *, mistakes: bool) -> list[Any]:
    """Rows with optional fields absent or null, unknown fields, any order of fields, perhaps mistakes."""
    full = sample(name)
    optional = sorted(set(full) - required(name))
    shapes = (
        draw(st.lists(st.sets(st.sampled_from(optional)), min_size=1, max_size=4)) if optional else [set()]
    )
    result: list[Any] = []
    for _ in range(draw(st.integers(MANY, MANY * 3))):
        absent = draw(st.sampled_from(shapes))
        row = {wire: value for wire, value in full.items() if wire not in absent}
        present = [wire for wire in optional if wire in row]
        match draw(st.integers(0, 11)):
            case 0 if present:
                row[draw(st.sampled_from(present))] = None
            case 1:
                row["notKnownYet"] = [1, {"a": None}]
            case 2:
                row = dict(reversed(row.items()))
            case 3 if mistakes:
                wire = draw(st.sampled_from(sorted(full)))
                row[wire] = draw(st.sampled_from(wrong(properties(name)[wire])))[0]
            case 4 if mistakes and required(name):
                del row[draw(st.sampled_from(sorted(required(name))))]
            case 5 if mistakes:
                row = draw(st.sampled_from([None, [], "row", 5, {}]))  # type: ignore[assignment]
            case 6:
                times = [wire for wire in row if properties(name).get(wire, {}).get("format") == "date-time"]
                row |= dict.fromkeys(times, "")
        result.append(row)
    return result


def one_by_one(rows: list[Any], model: type[ApiModel]) -> list[ApiModel] | tuple[str, str]:
    read: list[ApiModel] = []
    for index, row in enumerate(rows):
        try:
            read.append(structure(row, model))
        except StructureError as error:
            return f"[{index}]{'.' if error.path else ''}{error.path}", error.problem
    return read


def together(rows: list[Any], model: type[ApiModel]) -> list[ApiModel] | tuple[str, str]:
    try:
        return structure_list(rows, model)
    except StructureError as error:
        return error.path, error.problem


@pytest.mark.parametrize("name", NAMES)
@given(data=st.data())
@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
def test_both_ways_give_the_same(name: str, data: st.DataObject) -> None:
    model: type[ApiModel] = getattr(models, name)
    sent = data.draw(rows(name, mistakes=False))
    assert together(sent, model) == one_by_one(sent, model)


@pytest.mark.parametrize("name", NAMES)
@given(data=st.data())
@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
def test_both_ways_name_the_same_mistake(name: str, data: st.DataObject) -> None:
    model: type[ApiModel] = getattr(models, name)
    sent = data.draw(rows(name, mistakes=True))
    assert together(sent, model) == one_by_one(sent, model)


def test_rows_with_other_fields_keep_their_places() -> None:
    full = sample("VmSummary")
    bare = sample("VmSummary", only_required=True)
    sent = [{**(full if index % 3 else bare), "id": f"vm_{index}"} for index in range(100)]
    assert [vm.id for vm in structure_list(sent, models.VmSummary)] == [f"vm_{index}" for index in range(100)]


def test_lists_of_models_do_not_share_empty_lists() -> None:
    bare = sample("Whoami", only_required=True)
    first, second, *_ = structure_list([bare] * MANY, models.Whoami)
    assert first.scopes == []
    assert first.scopes is not second.scopes


def test_types_seen_before_do_not_let_mistakes_through() -> None:
    raw = sample("VmSummary")
    for _ in range(3):
        structure(raw, models.VmSummary)
        with pytest.raises(StructureError):
            structure(raw | {"gpuCount": True}, models.VmSummary)


def test_shapes_and_combinations_of_types_are_remembered_within_limits() -> None:
    raw = sample("VmSummary")
    optional = [
        wire for wire in raw if wire not in required("VmSummary") and base(properties("VmSummary")[wire])
    ]
    reader = find_reader(models.VmSummary)
    whole = structure(raw, models.VmSummary)
    for number in range(500):
        chosen = {wire for bit, wire in enumerate(optional) if number >> bit & 1}
        without = structure({wire: raw[wire] for wire in raw if wire not in chosen}, models.VmSummary)
        nulled = structure({wire: None if wire in chosen else raw[wire] for wire in raw}, models.VmSummary)
        assert without == nulled
        assert (without == whole) is (not chosen)
    assert 1 < len(reader._shapes) <= MOST_SHAPES
    assert max(len(shape.seen) for shape in reader._shapes.values()) <= MOST_TYPES


def test_the_order_of_fields_does_not_matter() -> None:
    raw = sample("VmDetail") | {"not_known_yet": [1]}
    turned = dict(reversed(raw.items()))
    assert structure(turned, models.VmDetail) == structure(raw, models.VmDetail)
    assert dict(structure(turned, models.VmDetail).extra) == {"not_known_yet": [1]}


def test_a_list_must_be_a_list() -> None:
    assert structure_list(None, models.VmSummary) == []
    with pytest.raises(StructureError, match="items: must be an array, is an object"):
        structure_list({}, models.VmSummary, at="items")


@pytest.mark.parametrize("row", [[], [0, 1], [7, 8], "vm", 5, None, [{}]])
def test_rows_that_are_no_objects_are_refused(row: Any) -> None:
    with pytest.raises(StructureError, match=r"\[0\]: must be an object"):
        structure_list([row] * MANY, models.VmSummary)
    with pytest.raises(StructureError, match=r"\[0\]: must be an object"):
        structure_list([row] * MANY, models.Balance)


def test_only_models_are_structured() -> None:
    with pytest.raises(TypeError, match="dict is not one of the SDK's models"):
        structure({}, dict)
