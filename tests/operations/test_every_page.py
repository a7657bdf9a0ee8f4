"""For every paged operation: the first page, the next one, and how large they are."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs

import orjson
import pytest

from .answers import AnswerSampler, compare
from .description import Case, all_cases
from .recording_server import answer_json
from .sampling import Sampler, only

pytestmark = pytest.mark.asyncio(loop_scope="module")

PAGED = [case for case in all_cases() if case.pagination is not None]
AWKWARD = "c+/=&? ü#%41"


def make_page(case: Case, count: int, following: str | None) -> Any:
    """A page's JSON, and the way to the one after it."""
    sampler = AnswerSampler(f"{case.id} {following}", "full")
    items = [sampler.value(case.item) for _ in range(count)]
    paging = case.paging
    match paging["style"]:
        case "cursor":
            return {paging["items"]: items} | ({paging["response"]: following} if following else {})
        case "after":
            last = following or "last"
            return {paging["items"]: items, paging["response"]: last, paging["more"]: bool(following)}
        case _:
            return items


def queries(server):
    return [parse_qs(seen.query, keep_blank_values=True) for seen in server.seen]


async def test_the_description_has_pages_of_each_kind():
    assert sorted({case.paging["style"] for case in PAGED}) == ["after", "cursor", "offset"]


@pytest.mark.parametrize("case", PAGED, ids=repr)
async def test_pages_follow_each_other(case, client, server):
    method = getattr(getattr(client, case.resource), case.method)
    call = Sampler(case.id).call(case)
    offset = case.paging["style"] == "offset"
    # A list by offset does not say that there is more: a page that is not full was the last.
    following = ["50", "100", None] if offset else [AWKWARD, "second", None]
    sizes = [50, 50, 1] if offset else [2, 0, 1]
    pages = [make_page(case, size, at) for size, at in zip(sizes, following, strict=True)]
    server.answers.extend(answer_json(page) for page in pages)

    result = await method(*call.args, **call.kwargs)

    name = case.paging["items"] if not offset else None
    wire = [item for page in pages for item in (page if name is None else page[name])]
    compare({"type": "array", "items": case.item}, result, orjson.loads(orjson.dumps(wire)), case.id)
    asked = queries(server)
    parameter = case.paging["request"]
    assert [query.pop(parameter, [None])[0] for query in asked] == [None, *following[:2]]
    filters: dict[str, list[str]] = {}
    for key, value in call.query:
        filters.setdefault(key, []).append(value)
    assert asked == [filters] * 3, "the filters go with every page"
    assert {seen.path for seen in server.seen} == {call.path}


@pytest.mark.parametrize("case", PAGED, ids=repr)
async def test_page_size_and_cursor_resume_a_list(case, client, server):
    method = getattr(getattr(client, case.resource), case.method)
    call = Sampler(case.id).call(case, give=only(()))
    server.default = answer_json(make_page(case, 0, None))
    cursor = "150" if case.paging["style"] == "offset" else AWKWARD
    assert await method(*call.args, **call.kwargs, page_size=7, cursor=cursor) == []
    (query,) = queries(server)
    assert query == {
        "limit": ["7"],
        case.paging["request"]: [cursor],
        **{name: [value] for name, value in call.query},
    }


@pytest.mark.parametrize("case", PAGED, ids=repr)
async def test_pages_and_first_give_what_came(case, client, server):
    method = getattr(getattr(client, case.resource), case.method)
    call = Sampler(case.id).call(case, give=only(()))
    offset = case.paging["style"] == "offset"
    page = make_page(case, 50 if offset else 1, "50" if offset else "next")
    server.default = answer_json(page)
    first = await method(*call.args, **call.kwargs).first()
    assert type(first).__name__ == case.item["$ref"].rpartition("/")[2]
    assert len(server.seen) == 1, "no page after the one that has it"
    async for got in method(*call.args, **call.kwargs).pages():
        assert got.items[0] == first
        assert got.next_cursor == ("50" if offset else "next")
        break


@pytest.mark.parametrize("case", PAGED, ids=repr)
async def test_a_null_list_is_an_empty_page(case, client, server):
    method = getattr(getattr(client, case.resource), case.method)
    call = Sampler(case.id).call(case, give=only(()))
    items = case.paging.get("items")
    more = {} if case.paging["style"] != "after" else {"has_more": False}
    server.default = answer_json(None if items is None else {items: None, **more})
    assert await method(*call.args, **call.kwargs) == []
