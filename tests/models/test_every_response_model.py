"""Every model that answers hold: what services may send decodes, what is wrong is named without its value."""

from __future__ import annotations

import copy
import pickle
import traceback
from typing import Any

import attrs
import pytest
from schema_samples import (
    CANARY,
    SCHEMAS,
    base,
    expected,
    is_container,
    is_nullable,
    properties,
    python_name,
    required,
    response_schemas,
    sample,
    wrong,
)

from openrelay_async.generated import models
from openrelay_async.model import ApiModel
from openrelay_async.redaction import Secret
from openrelay_async.structuring import StructureError, structure, structure_list

MANY = 40
"""More rows than are read one by one."""

every_model = pytest.mark.parametrize("name", response_schemas())


def model(name: str) -> type[ApiModel]:
    found: type[ApiModel] = getattr(models, name)
    return found


def read(raw: Any, name: str) -> ApiModel:
    """Read an object alone and among many, which must be the same."""
    one = structure(raw, model(name))
    assert structure_list([raw] * MANY, model(name)) == [one] * MANY
    return one


def fail(raw: Any, name: str) -> StructureError:
    """Read what must be refused, alone and among many, and return the error of the object alone."""
    with pytest.raises(StructureError) as alone:
        structure(raw, model(name))
    with pytest.raises(StructureError) as among:
        structure_list([sample(name)] * MANY + [raw], model(name), at="items")
    inner = f".{alone.value.path}" if alone.value.path else ""
    assert among.value.path == f"items[{MANY}]{inner}"
    assert among.value.problem == alone.value.problem
    return alone.value


@every_model
def test_a_full_answer_decodes(name: str) -> None:
    raw = sample(name)
    decoded = read(raw, name)
    for wire, schema in properties(name).items():
        held = getattr(decoded, python_name(wire))
        if "$ref" in schema or (base(schema) == "array" and "$ref" in schema["items"]):
            parts = held if isinstance(held, list) else [held]
            given = raw[wire] if isinstance(held, list) else [raw[wire]]
            assert all(isinstance(part, ApiModel) for part in parts)
            assert [type(part).from_wire(each) for part, each in zip(parts, given, strict=True)] == parts
        else:
            assert held == expected(schema, raw[wire])
    assert decoded.extra == {}


@every_model
def test_the_sample_is_not_changed_by_reading_it(name: str) -> None:
    raw = sample(name)
    untouched = copy.deepcopy(raw)
    read(raw, name)
    assert raw == untouched


@every_model
def test_what_is_absent_is_none_or_empty(name: str) -> None:
    decoded = read(sample(name, only_required=True), name)
    for wire, schema in properties(name).items():
        if wire not in required(name):
            empty: Any = ([] if base(schema) == "array" else {}) if is_container(schema) else None
            assert getattr(decoded, python_name(wire)) == empty


@every_model
def test_null_decodes_wherever_a_field_is_optional_or_a_list(name: str) -> None:
    for wire, schema in properties(name).items():
        if wire not in required(name) or is_container(schema) or is_nullable(schema):
            decoded = read(sample(name) | {wire: None}, name)
            empty: Any = ([] if base(schema) == "array" else {}) if is_container(schema) else None
            assert getattr(decoded, python_name(wire)) == empty


@every_model
def test_null_is_an_error_where_a_value_is_required(name: str) -> None:
    for wire, schema in properties(name).items():
        if wire in required(name) and not is_container(schema) and not is_nullable(schema):
            error = fail(sample(name) | {wire: None}, name)
            assert error.path == wire
            assert error.problem.endswith("is null")


@every_model
def test_an_empty_time_is_none(name: str) -> None:
    for wire, schema in properties(name).items():
        if schema.get("format") in {"date-time", "date"}:
            assert getattr(read(sample(name) | {wire: ""}, name), python_name(wire)) is None


@every_model
def test_an_enum_takes_text_not_known_yet(name: str) -> None:
    for wire, schema in properties(name).items():
        if "enum" in schema:
            decoded = read(sample(name) | {wire: "not known yet"}, name)
            assert getattr(decoded, python_name(wire)) == "not known yet"


@every_model
def test_an_unknown_field_is_kept_but_not_shown(name: str) -> None:
    decoded = read(sample(name) | {"brandNew": {"key": CANARY}}, name)
    assert decoded.extra == {"brandNew": {"key": CANARY}}
    assert "brandNew" in repr(decoded)
    assert CANARY not in repr(decoded)
    assert decoded.to_wire()["brandNew"] == {"key": CANARY}
    assert decoded != read(sample(name), name)


@every_model
def test_a_missing_required_field_is_named(name: str) -> None:
    for wire in required(name):
        raw = sample(name)
        del raw[wire]
        error = fail(raw, name)
        assert (error.path, error.problem) == (wire, "missing")


@every_model
def test_a_wrong_type_is_named_without_the_value(name: str) -> None:
    for wire, schema in properties(name).items():
        for value, shown in wrong(schema):
            error = fail(sample(name) | {wire: value}, name)
            assert error.path.split(".")[0].split("[")[0] == wire
            assert shown not in f"{error} {error!r} {error.args}"


@every_model
@pytest.mark.parametrize("raw", [None, [], "text", 5, True])
def test_what_is_no_object_is_refused(name: str, raw: Any) -> None:
    with pytest.raises(StructureError, match="must be an object"):
        structure(raw, model(name))


@every_model
def test_it_goes_to_the_wire_and_back(name: str) -> None:
    for raw in (sample(name), sample(name, only_required=True)):
        decoded = read(raw, name)
        assert type(decoded).from_wire(decoded.to_wire(reveal=True)) == decoded
    revealed = read(sample(name), name).to_wire(reveal=True)
    assert set(revealed) == set(properties(name))


@every_model
def test_it_is_a_value(name: str) -> None:
    decoded = read(sample(name), name)
    assert decoded == read(sample(name), name)
    assert copy.copy(decoded) == copy.deepcopy(decoded) == attrs.evolve(decoded) == decoded
    assert attrs.has(type(decoded))
    assert not hasattr(decoded, "__dict__")
    first = python_name(next(iter(properties(name))))
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        setattr(decoded, first, None)
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        delattr(decoded, first)
    assert type(decoded).__name__ == name
    assert "Draft" not in repr(type(decoded))


@every_model
def test_it_is_hashable_where_its_fields_are(name: str) -> None:
    decoded = read(sample(name), name)
    try:
        hash(tuple(getattr(decoded, python_name(wire)) for wire in properties(name)))
    except TypeError:
        with pytest.raises(TypeError):
            hash(decoded)
    else:
        assert hash(decoded) == hash(read(sample(name), name))


@every_model
def test_it_pickles_without_its_secrets(name: str) -> None:
    raw = sample(name)
    decoded = read(raw, name)
    data = pickle.dumps(decoded)
    assert CANARY.encode() not in data
    again = pickle.loads(data)  # noqa: S301 - made above
    assert type(again) is type(decoded)
    assert repr(again) == repr(decoded)
    if CANARY not in str(raw):
        assert again == decoded


@every_model
def test_secrets_are_masked_everywhere_and_can_be_revealed(name: str) -> None:
    decoded = read(sample(name), name)
    assert CANARY not in f"{decoded} {decoded!r} {decoded.to_wire()} {attrs.asdict(decoded)}"
    for wire, schema in properties(name).items():
        if schema.get("x-secret"):
            held = getattr(decoded, python_name(wire))
            parts = (
                list(held.values()) if isinstance(held, dict) else held if isinstance(held, list) else [held]
            )
            assert [part.reveal() for part in parts] == [f"{CANARY}_{wire}"] * len(parts)
            assert all(isinstance(part, Secret) for part in parts)


@every_model
def test_a_refused_answer_leaves_no_secret_in_the_traceback(name: str) -> None:
    secrets = [wire for wire, schema in properties(name).items() if schema.get("x-secret")]
    if not secrets:
        return
    raw = sample(name) | {secrets[0]: 5, "brandNew": CANARY}
    for call in (
        lambda raw: structure(raw, model(name)),
        lambda raw: structure_list([raw] * MANY, model(name)),
        lambda raw: model(name).from_wire(raw),
    ):
        with pytest.raises(StructureError) as refused:
            call(raw)
        error = refused.value
        assert error.__cause__ is None
        assert error.__context__ is None
        frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
        ours = [frame for frame in frames if "openrelay_async" in frame.f_code.co_filename]
        assert ours
        assert CANARY not in repr([frame.f_locals for frame in ours])


def test_there_is_a_model_for_every_schema_of_an_answer() -> None:
    assert len(response_schemas()) > 160
    assert set(response_schemas()) <= set(dir(models)) <= set(SCHEMAS) | {"ApiModel"}
