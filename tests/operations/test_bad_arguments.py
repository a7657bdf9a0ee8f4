"""Wrong arguments: refused by name, before a request is made, and their values are not shown."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from openrelay_async import Secret, models

from .answers import sample_answer
from .description import (
    Case,
    Schema,
    all_cases,
    python_name,
    reference,
    schema_of,
    schemas_in_answers,
    types_of,
)
from .sampling import Sampler, only, percent_encode

pytestmark = pytest.mark.asyncio(loop_scope="module")

# One server for all examples, emptied before each; and a busy machine is no failure.
SLOW_OR_SHARED = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
CANARY = "canary-that-nobody-shall-see-in-an-error"
ANY: list[object] = [CANARY.encode(), object(), {1: CANARY}, [object()], Decimal(1), 1j, Ellipsis]


def wrong_values(schema: Schema, *, secret: bool = False) -> Iterator[object]:
    """Values that a schema does not allow, each for its own reason."""
    if "$ref" in schema:
        yield from wrong_objects(reference(schema))
        return
    secret = secret or bool(schema.get("x-secret"))
    kinds = types_of(schema)
    if kinds and "null" not in kinds:
        yield None
    match next((kind for kind in kinds if kind != "null"), None):
        case "string":
            yield from (7, 1.5, True, [CANARY], {"a": CANARY}, f"\ud800{CANARY}", *ANY)
            if schema.get("format") == "date-time":
                yield from (datetime(2026, 1, 1), date(2026, 1, 1), CANARY, "2026-01-01T00:00:00", "now")  # noqa: DTZ001 - naive on purpose
                yield datetime.min.replace(tzinfo=timezone(timedelta(hours=1)))
            elif secret:
                yield Secret(f"\udfff{CANARY}")
            else:
                yield Secret(CANARY)
                yield datetime(2026, 1, 1)  # noqa: DTZ001 - naive on purpose
        case "integer":
            yield from (CANARY, "7", 1.5, True, 2**70, -(2**64), [7], *ANY)
        case "number":
            yield from (CANARY, "7", True, float("nan"), float("inf"), 2**70, [7], *ANY)
        case "boolean":
            yield from (CANARY, "true", 0, 1, [True], *ANY)
        case "array":
            yield from (CANARY, 7, {"a": CANARY}, True, Secret(CANARY), *(x for x in ANY if x != [object()]))
            for wrong in wrong_values(schema["items"], secret=secret):
                yield [wrong]
        case "object":
            yield from (
                CANARY,
                7,
                [CANARY],
                True,
                Secret(CANARY),
                {7: CANARY},
                {"\ud800": CANARY},
                [("a", "b")],
            )
            for wrong in wrong_values(schema["additionalProperties"], secret=secret):
                yield {"a": wrong}
        case _:
            circle: list[object] = []
            circle.append(circle)
            yield from (object(), CANARY.encode(), {1: 2}, float("nan"), circle, f"\ud800{CANARY}", 2**70)


def wrong_objects(name: str) -> Iterator[object]:
    schema = schema_of(name)
    sampler = Sampler(name)
    properties = schema["properties"]
    right = {each: sampler.argument(properties[each])[1] for each in schema.get("required", ())}
    yield from (None, CANARY, 7, [right], True, models.Whoami, {7: CANARY}, object())
    for each in schema.get("required", ()):
        yield {key: value for key, value in right.items() if key != each}
    kind: Any = getattr(models, name)
    for each, value in properties.items():
        for wrong in wrong_values(value):
            yield {**right, each: wrong}
            if wrong is not None or name not in schemas_in_answers():
                yield kind(**{python_name(key): right[key] for key in right} | {python_name(each): wrong})
        if python_name(each) != each:
            yield {**{key: right[key] for key in right if key != each}, python_name(each): CANARY}


ARGUMENTS = [
    (case, name, schema)
    for case in all_cases()
    for name, schema in {**case.filters, **case.properties}.items()
    if schema.get("format") != "binary"
]


async def refused(case: Case, client: object, name: str, /, *args: object, **kwargs: object) -> None:
    """Make a call that must be refused for the sake of one argument."""
    method = getattr(getattr(client, case.resource), case.method)
    with pytest.raises((TypeError, ValueError)) as caught:
        await method(*args, **kwargs)
    message = str(caught.value)
    assert name in message.split(" must ")[0].split(" is ")[0].split(" does ")[0].split(" has ")[0]
    assert CANARY not in message
    assert "\n" not in message
    assert not isinstance(caught.value, UnicodeError), "its attributes hold the text"


@pytest.mark.parametrize(
    ("case", "name", "schema"), ARGUMENTS, ids=[f"{case.id}-{name}" for case, name, _ in ARGUMENTS]
)
async def test_wrong_argument_is_refused_by_name(case, name, schema, client, server):
    call = Sampler(case.id).call(case, give=only(()))
    for wrong in wrong_values(schema):
        await refused(
            case, client, python_name(name), *call.args, **{**call.kwargs, python_name(name): wrong}
        )
    assert server.seen == []


ASKING = [case for case in all_cases() if case.takes_org and not case.org_required]


@pytest.mark.parametrize("case", ASKING, ids=repr)
async def test_wrong_arguments_are_refused_before_the_organization_is_asked_for(
    case, client_without_org, server
):
    call = Sampler(case.id).call(case, give=only(()))
    kwargs = {name: value for name, value in call.kwargs.items() if name != "org_id"}
    wrong = {name: next(wrong_values(schema)) for name, schema in (case.filters | case.properties).items()}
    if case.key_header or case.key_property:
        wrong["idempotencyKey"] = "two words"
    for name, value in wrong.items():
        name = python_name(name)
        await refused(case, client_without_org, name, *call.args, **{**kwargs, name: value})
    for index, name in enumerate(case.ids):
        args = [*call.args[:index], "..", *call.args[index + 1 :]]
        await refused(case, client_without_org, python_name(name), *args, **kwargs)
    assert server.seen == []


WITH_IDS = [case for case in all_cases() if case.path_names]
WRONG_IDS = [
    "",
    ".",
    "..",
    "\x00",
    f"a\n{CANARY}",
    "\r",
    "\x1f",
    "\x7f",
    "\x85",
    f"\ud800{CANARY}",
    None,
    7,
    True,
    CANARY.encode(),
    [CANARY],
    Secret(CANARY),
]


@pytest.mark.parametrize("case", WITH_IDS, ids=repr)
async def test_wrong_id_is_refused_by_name(case, client, server):
    call = Sampler(case.id).call(case, give=only(()))
    for wrong in WRONG_IDS:
        for index, name in enumerate(case.ids):
            args = [*call.args[:index], wrong, *call.args[index + 1 :]]
            await refused(case, client, python_name(name), *args, **call.kwargs)
        if case.takes_org and (wrong is not None or case.org_required):
            await refused(case, client, "org_id", *call.args, **{**call.kwargs, "org_id": wrong})
    assert server.seen == []


@settings(max_examples=150, deadline=None, suppress_health_check=SLOW_OR_SHARED)
@given(id=st.text(max_size=12))
async def test_any_other_text_is_an_id(id, client, server):
    """What arrives, decoded, is what was given; else it was refused."""
    server.reset()
    server.default = sample_answer(next(case for case in all_cases() if case.id == "getVm"))
    bad = id in {"", ".", ".."} or any(ord(c) < 32 or 127 <= ord(c) < 160 for c in id)
    bad = bad or any("\ud800" <= c <= "\udfff" for c in id)
    try:
        await client.vms.get(id)
    except ValueError:
        assert bad
        assert server.seen == []
    else:
        assert not bad
        assert server.take().target == f"/v1/vms/{percent_encode(id)}"


@settings(max_examples=100, deadline=None, suppress_health_check=SLOW_OR_SHARED)
@given(name=st.text(max_size=12), env=st.dictionaries(st.text(max_size=5), st.text(max_size=5), max_size=3))
async def test_any_text_arrives_as_it_was_given(name, env, client, server):
    server.reset()
    server.default = sample_answer(next(case for case in all_cases() if case.id == "createVm"))
    halves = any("\ud800" <= c <= "\udfff" for text in (name, *env, *env.values()) for c in text)
    try:
        await client.vms.create(name=name, env_vars=env)
    except ValueError:
        assert halves
    else:
        assert not halves
        assert server.take().json() == {"name": name, "envVars": env}


ALL_PAGED = [case for case in all_cases() if case.pagination is not None]


@pytest.mark.parametrize("case", ALL_PAGED, ids=repr)
@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        *(("page_size", wrong) for wrong in (0, -1, True, "7", 1.5, CANARY)),
        *(("cursor", wrong) for wrong in ("", 7, b"c", f"\ud800{CANARY}", ["c"])),
        *(("max_items", wrong) for wrong in (-1, True, "7", 1.5, CANARY)),
        *(("prefetch", wrong) for wrong in (None, 1, "yes", CANARY)),
    ],
)
async def test_wrong_paging_is_refused_where_it_is_given(case, name, wrong, client, server):
    call = Sampler(case.id).call(case, give=only(()))
    method = getattr(getattr(client, case.resource), case.method)
    with pytest.raises((TypeError, ValueError), match=rf"^{name} ") as caught:
        method(*call.args, **call.kwargs, **{name: wrong})  # not awaited: the call itself refuses
    assert CANARY not in str(caught.value)
    assert server.seen == []


@pytest.mark.parametrize("case", ALL_PAGED, ids=repr)
async def test_wrong_arguments_of_a_list_are_refused_where_they_are_given(case, client, server):
    call = Sampler(case.id).call(case, give=only(()))
    method = getattr(getattr(client, case.resource), case.method)
    for index, name in enumerate(case.ids):
        with pytest.raises(ValueError, match=rf"^{python_name(name)} "):
            method(*call.args[:index], "..", *call.args[index + 1 :])
    if case.takes_org:
        with pytest.raises(TypeError, match=r"^org_id "):
            method(*call.args, org_id=7)
    with pytest.raises(ValueError, match=r"^timeout "):
        method(*call.args, timeout=0)


async def test_cursor_of_a_list_by_offset_is_a_number(client, server):
    for wrong in ("x", "-1", "1.5", "１", " 1"):
        with pytest.raises(ValueError, match=r"^cursor "):
            client.runners.list_jobs("pool_1", cursor=wrong)


@pytest.mark.parametrize("wrong", [0, -1, float("nan"), "7", True, [], CANARY])
@pytest.mark.parametrize("case", [all_cases()[0], *all_cases()[20::25]], ids=repr)
async def test_wrong_timeout_is_refused(case, wrong, client, server):
    call = Sampler(case.id).call(case, give=only(()))
    await refused(case, client, "timeout", *call.args, **call.kwargs, timeout=wrong)
    assert server.seen == []


@pytest.mark.parametrize(
    "wrong", ["", "two words", "line\nbreak", "ü", "\x00", 7, b"key", True, f"{CANARY} "]
)
@pytest.mark.parametrize(
    "case", [case for case in all_cases() if case.key_header or case.key_property], ids=repr
)
async def test_wrong_idempotency_key_is_refused(case, wrong, client, server):
    call = Sampler(case.id).call(case, give=only(()))
    await refused(case, client, "idempotency_key", *call.args, **call.kwargs, idempotency_key=wrong)
    assert server.seen == []


@pytest.mark.parametrize("file", [7, None, ["x"], 1.5, object()])
async def test_what_is_no_file_is_refused(file, client, server):
    with pytest.raises(TypeError, match=r"^file "):
        await client.files.upload(file=file, purpose="batch")
    assert server.seen == []


async def test_a_file_that_is_not_there_and_one_in_text_mode_are_refused(client, server, tmp_path):
    with pytest.raises(FileNotFoundError):
        await client.files.upload(file=tmp_path / "none", purpose="batch")
    with pytest.raises(FileNotFoundError):
        await client.files.upload(file=str(tmp_path), purpose="batch")
    (tmp_path / "text").write_text("x")
    with (
        (tmp_path / "text").open() as file,
        pytest.raises(TypeError, match=r"^file must be opened in binary"),
    ):
        await client.files.upload(file=file, purpose="batch")
    with pytest.raises(TypeError, match=r"^filename "):
        await client.files.upload(file=b"x", purpose="batch", filename=7)
    assert server.seen == []


async def test_arguments_that_do_not_exist_are_refused(client, server):
    for wrong in ({"gpuCount": 1}, {"gpu_count": 1, "unknown": 2}, {"self": 1}):
        with pytest.raises(TypeError, match="argument"):
            await client.vms.create(name="x", **wrong)
    with pytest.raises(TypeError, match="name"):
        await client.vms.create()
    with pytest.raises(TypeError, match="positional"):
        await client.vms.create("name")
    assert server.seen == []


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"method": 7}, "^method "),
        ({"method": "BREW"}, "^method "),
        ({"method": "GET "}, "^method "),
        ({"path": 7}, "^path "),
        ({"path": ""}, "^path "),
        ({"path": "v1/vms"}, "^path "),
        ({"path": "//elsewhere.example/v1"}, "^path "),
        ({"path": "https://elsewhere.example/v1"}, "^path "),
        ({"path": "/v1/../admin"}, "^path "),
        ({"path": "/v1/%2e%2E/admin"}, "^path "),
        ({"path": "/v1/./x"}, "^path "),
        ({"path": "/v1/vms?x=1"}, "^path "),
        ({"path": "/v1/vms#x"}, "^path "),
        ({"path": "/v1/vms x"}, "^path "),
        ({"path": "/v1/\nvms"}, "^path "),
        ({"path": "/v1/vm%2"}, "^path "),
        ({"path": "/v1/ü"}, "^path "),
        ({"params": [("a", 1)]}, "^params "),
        ({"params": {7: 1}}, "^params "),
        ({"params": {"a": [[1]]}}, r"^params\['a'\] "),
        ({"params": {"a": {"b": 1}}}, r"^params\['a'\] "),
        ({"params": {"a": object()}}, "^a "),
        ({"headers": "x"}, "^headers "),
        ({"headers": {"Authorization": CANARY}}, "^headers "),
        ({"headers": {"X": "a\r\nb"}}, r"^headers\['X'\] "),
        ({"headers": {"X": 7}}, r"^headers\['X'\] "),
        ({"json": object()}, "^json "),
        ({"json": {"a": [float("nan")]}}, r"^json\['a'\]\[0\] "),
        ({"json": {"a": CANARY.encode()}}, r"^json\['a'\] "),
        ({"idempotency_key": "two words"}, "^idempotency_key "),
        ({"headers": {"idempotency-KEY": "two words"}}, "^idempotency_key "),
        ({"timeout": 0}, "^timeout "),
    ],
)
async def test_raw_request_is_checked_as_strictly(arguments, match, client, server):
    with pytest.raises((TypeError, ValueError), match=match) as caught:
        await client.request(**{"method": "GET", "path": "/v1/vms", **arguments})
    assert CANARY not in str(caught.value)
    assert server.seen == []
