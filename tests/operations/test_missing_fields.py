"""Answers without what they must have: `InvalidResponse` that says where, and never shows a value (R7.2)."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from openrelay_async.errors import InvalidResponse

from .answers import sample_json
from .description import Case, Schema, all_cases, case, reference, schema_of, types_of
from .recording_server import Answer, answer_json
from .sampling import Sampler, only

pytestmark = pytest.mark.asyncio(loop_scope="module")

CANARY = "canary-value-that-nobody-shall-see"


async def refusal(case: Case, client: Any, server: Any, value: object) -> InvalidResponse:
    server.default = answer_json(value, case.status, X_Request_Id="req_12345")
    call = Sampler(case.id).call(case, give=only(()))
    with pytest.raises(InvalidResponse) as caught:
        await getattr(getattr(client, case.resource), case.method)(*call.args, **call.kwargs)
    error = caught.value
    assert (error.operation, error.method, error.path) == (case.id, case.http_method, case.path)
    assert (error.status, error.request_id) == (case.status, "req_12345")
    assert "request id req_12345" in str(error)
    assert str(error).startswith(f"{case.id} {case.http_method} {case.path}: ")
    assert CANARY not in f"{error} {error!r} {error.details}"
    assert error.__context__ is None
    return error


def canaries(value: object) -> object:
    """The same JSON with a canary in place of each text that is no time."""
    if isinstance(value, dict):
        return {key: canaries(item) for key, item in value.items()}
    if isinstance(value, list):
        return [canaries(item) for item in value]
    is_text = isinstance(value, str) and not value[:4].isdigit()
    return CANARY if is_text else value


JSON_ANSWERS = [
    case for case in all_cases() if case.answer[0] == "application/json" and case.pagination is None
]


def root(case: Case) -> tuple[Schema, bool]:
    """The schema of an answer's object, and whether the answer is a list of them."""
    schema = case.answer[1]
    assert schema is not None
    is_list = schema.get("type") == "array"
    return schema_of(reference(schema["items"] if is_list else schema)), is_list


@pytest.mark.parametrize("case", JSON_ANSWERS, ids=repr)
async def test_each_required_field_that_is_missing_is_named(case, client, server):
    schema, is_list = root(case)
    whole = canaries(sample_json(case))
    for name in schema.get("required", ()):
        answer: Any = copy.deepcopy(whole)
        if is_list:
            answer = [*answer, answer[0].copy()]
            del answer[-1][name]
        else:
            del answer[name]
        place = f"[{len(answer) - 1}].{name}" if is_list else name
        assert (await refusal(case, client, server, answer)).message == f"{place}: missing"


@pytest.mark.parametrize("case", JSON_ANSWERS, ids=repr)
async def test_each_required_field_that_is_null_is_named(case, client, server):
    """A list or map that is null is empty; anything else that is required is an error."""
    schema, is_list = root(case)
    whole: Any = canaries(sample_json(case))
    for name in schema.get("required", ()):
        field = schema["properties"][name]
        if "null" in types_of(field) or types_of(field)[:1] in (["array"], ["object"]):
            continue
        answer = [{**whole[0], name: None}] if is_list else {**whole, name: None}
        message = (await refusal(case, client, server, answer)).message
        place = f"[0].{name}" if is_list else name
        assert message.startswith(f"{place}: must be ")
        assert message.endswith(", is null")


WRONG = {
    "string": (7, [CANARY]),
    "integer": (CANARY, 1.5, True),
    "number": (CANARY, True),
    "boolean": (CANARY, 1),
    "array": (CANARY, {CANARY: CANARY}),
    "object": (CANARY, [CANARY]),
}


@pytest.mark.parametrize("case", JSON_ANSWERS, ids=repr)
async def test_each_field_of_a_wrong_type_is_named(case, client, server):
    """Nothing is coerced, also where the field is optional."""
    schema, is_list = root(case)
    whole: Any = canaries(sample_json(case))
    for name, field in schema["properties"].items():
        kind = next((kind for kind in types_of(field) if kind != "null"), "object")
        for wrong in WRONG[kind]:
            answer = [{**whole[0], name: wrong}] if is_list else {**whole, name: wrong}
            message = (await refusal(case, client, server, answer)).message
            place = f"[0].{name}" if is_list else name
            assert message.startswith(f"{place}: must be "), (name, wrong)


@pytest.mark.parametrize("wrong", [None, 7, CANARY, True, []], ids=repr)
async def test_an_answer_that_is_no_object_is_refused(wrong, client, server):
    message = (await refusal(case("getVm"), client, server, wrong)).message
    assert message.startswith("the answer: must be an object, is ")


async def test_a_field_deep_inside_is_named_with_its_way(client, server):
    whoami: Any = canaries(sample_json(case("whoami")))
    del whoami["key"]["id"]
    assert (await refusal(case("whoami"), client, server, whoami)).message == "key.id: missing"


async def test_a_map_key_is_not_shown(client, server):
    detail: Any = canaries(sample_json(case("getClusterDetail")))
    detail["envVars"] = {CANARY: 7}
    message = (await refusal(case("getClusterDetail"), client, server, detail)).message
    assert message.startswith("envVars[…]: must be a string")


PAGED = [each for each in all_cases() if each.pagination is not None]


@pytest.mark.parametrize("case", PAGED, ids=repr)
async def test_a_field_of_an_item_of_a_page_is_named(case, client, server):
    page: Any = canaries(sample_json(case))
    name = case.paging.get("items")
    items = page if name is None else page[name]
    required = schema_of(reference(case.item))["required"][0]
    del items[1][required]
    where = f"{name or ''}[1].{required}"
    assert (await refusal(case, client, server, page)).message == f"{where}: missing"


@pytest.mark.parametrize("case", PAGED, ids=repr)
async def test_a_page_without_its_list_is_refused(case, client, server):
    for wrong in (7, CANARY, True, {"other": [CANARY]}):
        await refusal(case, client, server, wrong)


@pytest.mark.parametrize(
    ("more", "cursor"), [("nextCursor", 7), ("nextCursor", [CANARY]), ("nextCursor", True)]
)
async def test_a_cursor_that_is_no_text_is_refused(more, cursor, client, server):
    error = await refusal(case("listOrgVms"), client, server, {"items": [], more: cursor})
    assert error.message == "nextCursor: must be a string"


@pytest.mark.parametrize("last", [None, "", 7])
async def test_more_without_a_last_id_is_refused(last, client, server):
    page = {"data": [], "has_more": True, "last_id": last}
    assert (await refusal(case("listBatches"), client, server, page)).message.startswith("last_id: ")


@pytest.mark.parametrize("more", ["absent", None, "false", 0])
async def test_a_list_that_does_not_say_whether_there_is_more_is_refused(more, client, server):
    """R6.1 R7.2: else it would end early, and nobody would know."""
    page = {"data": [], "last_id": "batch_1"} | ({} if more == "absent" else {"has_more": more})
    error = await refusal(case("listBatches"), client, server, page)
    assert error.message.startswith(
        "has_more: missing" if more == "absent" else "has_more: must be a boolean"
    )


@pytest.mark.parametrize("case", JSON_ANSWERS, ids=repr)
async def test_only_a_204_is_an_answer_without_a_body(case, client, server):
    """R7.2: an empty 200 does not say that there is nothing."""
    call = Sampler(case.id).call(case, give=only(()))
    server.default = Answer(200, b"", {"Content-Type": "application/json"})
    with pytest.raises(InvalidResponse, match=r"the answer (has no body|is not JSON)"):
        await getattr(getattr(client, case.resource), case.method)(*call.args, **call.kwargs)
    if 204 in case.answers:
        server.default = Answer(204, b"", {})
        assert await getattr(getattr(client, case.resource), case.method)(*call.args, **call.kwargs)


async def test_an_answer_of_a_change_may_have_been_applied(client, server):
    """R3.2: the change took place, only its answer cannot be read."""
    assert (await refusal(case("createVm"), client, server, {})).maybe_applied
    assert not (await refusal(case("getVm"), client, server, {})).maybe_applied
