"""For every operation with a body: absent and given differ, property by property (R7.3)."""

from __future__ import annotations

from typing import Any

import pytest

from openrelay_async import Secret

from .answers import sample_answer
from .description import Case, Schema, all_cases, python_name, types_of
from .sampling import Sampler, only

pytestmark = pytest.mark.asyncio(loop_scope="module")

WITH_BODY = [case for case in all_cases() if case.body is not None and not case.is_multipart]
EMPTY = {"string": "", "integer": 0, "number": 0, "boolean": False, "array": [], "object": {}}


def method_of(client, case: Case):
    return getattr(getattr(client, case.resource), case.method)


def sent_body(case: Case, server) -> Any:
    seen = server.take()
    body = seen.json() if seen.body else None
    if isinstance(body, dict) and case.key_property:
        body.pop(case.key_property)
    return body


@pytest.mark.parametrize("case", WITH_BODY, ids=repr)
async def test_what_is_not_given_is_not_sent(case, client, server):
    server.default = sample_answer(case)
    call = Sampler(case.id).call(case, give=only(()))
    await method_of(client, case)(*call.args, **call.kwargs)
    body = sent_body(case, server)
    if case.body_is_required:
        assert body is not None, "a required body without any property is {}"
        assert set(body) == case.required
    else:
        assert body is None, "an optional body without any property is not sent"


@pytest.mark.parametrize("case", WITH_BODY, ids=repr)
async def test_each_property_is_sent_if_given_even_when_empty(case, client, server):
    server.default = sample_answer(case)
    sampler = Sampler(case.id)
    for name, schema in case.properties.items():
        call = sampler.call(case, give=only(()))
        values = [sampler.argument(schema)]
        kind = next((kind for kind in types_of(schema) if kind != "null"), None)
        if kind is not None:
            values.append((EMPTY[kind], EMPTY[kind]))
        for value, wire in values:
            await method_of(client, case)(*call.args, **{**call.kwargs, python_name(name): value})
            body = sent_body(case, server)
            assert body is not None, name
            assert set(body) == case.required | {name}
            assert body[name] == wire


@pytest.mark.parametrize("case", all_cases(), ids=repr)
async def test_none_is_refused_where_null_is_not_allowed(case, client, server):
    sampler = Sampler(case.id)
    arguments = {**case.filters, **case.properties}
    for name, schema in arguments.items():
        call = sampler.call(case, give=only(()))
        given = {**call.kwargs, python_name(name): None}
        if "null" in types_of(schema):
            server.default = sample_answer(case)
            await method_of(client, case)(*call.args, **given)
            server.seen.clear()
            continue
        with pytest.raises(TypeError, match=rf"^{python_name(name).rstrip('_')}_? must be "):
            await method_of(client, case)(*call.args, **given)
    assert server.seen == []


SECRETS = [
    (case, name, schema)
    for case in all_cases()
    for name, schema in {**case.filters, **case.properties}.items()
    if schema.get("x-secret")
]


def conceal(schema: Schema, text: str) -> tuple[object, object]:
    if types_of(schema) == ["object"]:
        return {"NAME": text}, {"NAME": Secret(text)}
    return text, Secret(text)


@pytest.mark.parametrize(("case", "name", "schema"), SECRETS, ids=lambda each: getattr(each, "id", None))
async def test_a_secret_may_be_text_or_secret(case, name, schema, client, server):
    server.default = sample_answer(case)
    sent = []
    for value in conceal(schema, "s3cr3t-value-of-more-than-24-characters"):
        call = Sampler(case.id).call(case, give=only(()))
        await method_of(client, case)(*call.args, **{**call.kwargs, python_name(name): value})
        seen = server.take()
        sent.append((seen.query, seen.body))
    assert sent[0] == sent[1]
    assert "s3cr3t-value-of-more-than-24-characters" in f"{sent[0]}"
