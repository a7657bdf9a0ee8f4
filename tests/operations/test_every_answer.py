"""For every operation: what the service may send becomes a model that holds it."""

from __future__ import annotations

import pytest

from .answers import FORMS, compare_result, sample_answer
from .description import all_cases, case
from .recording_server import Answer
from .sampling import Sampler, only

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.mark.parametrize("case", all_cases(), ids=repr)
async def test_sample_answer_becomes_what_it_says(case, client, server):
    """R7.2: unknown enum value, unknown field, missing optional, null, empty time all decode."""
    method = getattr(getattr(client, case.resource), case.method)
    call = Sampler(case.id).call(case, give=only(()))
    for form in FORMS:
        for generation in case.generations:
            server.default = sample_answer(case, form, generation)
            compare_result(case, await method(*call.args, **call.kwargs), server.default)


async def test_removing_a_member_may_answer_with_nothing(client, server):
    server.default = Answer(204, b"", {})
    result = await client.organizations.remove_member("user_1")
    assert type(result).__name__ == "RemoveMemberResult"
    assert server.take().method == "DELETE"
    assert sorted(case("removeOrgMember").answers) == [200, 204]
