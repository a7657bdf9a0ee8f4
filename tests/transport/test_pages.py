"""Lists in pages: complete, in constant memory, resumable, and without a request too many (R6.1 to R6.3)."""

from __future__ import annotations

import asyncio
import gc
from urllib.parse import parse_qs, urlsplit

import pytest

from openrelay_async import Page, PagedCall, RetryPolicy, errors
from openrelay_async.models import VmSummary
from tests.transport.programs import run_program
from tests.transport.servers import VM, Exchange, answering, make_client, serving, until


class Listing:
    """A list of VMs in pages; cursors are texts like `c20`."""

    def __init__(self, count: int, size: int = 10) -> None:
        self.count = count
        self.size = size
        self.asked: list[str | None] = []
        self.fail: dict[str | None, tuple[int, object]] = {}
        self.next: dict[str | None, str] = {}
        self.hold: asyncio.Event | None = None

    async def __call__(self, exchange: Exchange) -> None:
        query = parse_qs(urlsplit(exchange.seen.target).query)
        cursor = query.get("cursor", [None])[0]
        self.asked.append(cursor)
        if cursor in self.fail:
            await exchange.answer(*self.fail[cursor])
            return
        if self.hold is not None and cursor is not None:
            await self.hold.wait()
        size = int(query.get("limit", [self.size])[0])
        start = int(cursor[1:]) if cursor else 0
        items = [VM | {"id": f"vm_{number}"} for number in range(start, min(start + size, self.count))]
        following = f"c{start + size}" if start + size < self.count else None
        following = self.next.get(cursor, following)
        await exchange.answer(200, {"items": items} | ({"nextCursor": following} if following else {}))


def ids(count: int, start: int = 0) -> list[str]:
    return [f"vm_{number}" for number in range(start, count)]


async def collect(call: PagedCall[VmSummary], seen: list[str]) -> None:
    """Iterate slowly, so that what is fetched ahead is there before its time."""
    async for vm in call:
        seen.append(vm.id)
        await asyncio.sleep(0.001)


async def test_awaiting_gives_the_complete_list():
    """R6.1"""
    listing = Listing(35)
    async with serving(listing) as server, make_client(server) as client:
        assert [vm.id for vm in await client.vms.list()] == ids(35)
    assert listing.asked == [None, "c10", "c20", "c30"]


async def test_iterating_gives_every_item_once():
    """R6.1"""
    listing = Listing(35)
    async with serving(listing) as server, make_client(server) as client:
        call = client.vms.list(page_size=7)
        assert [vm.id async for vm in call] == ids(35)
        # A call can be used again, from the beginning.
        assert len(await call) == 35
    assert listing.asked[:5] == [None, "c7", "c14", "c21", "c28"]


@pytest.mark.parametrize("count", [0, 1, 9, 10, 11, 20])
async def test_a_list_of_any_length_ends(count: int):
    async with serving(Listing(count)) as server, make_client(server) as client:
        assert [vm.id for vm in await client.vms.list()] == ids(count)


async def test_an_empty_page_with_a_cursor_goes_on():
    """R6.2"""

    async def sparse(exchange: Exchange) -> None:
        bodies = {1: {"items": [], "nextCursor": "a"}, 2: {"items": None, "nextCursor": "b"}}
        await exchange.answer(200, bodies.get(exchange.number, {"items": [VM], "nextCursor": ""}))

    async with serving(sparse) as server, make_client(server) as client:
        assert len(await client.vms.list()) == 1
    assert len(server.seen) == 3


@pytest.mark.parametrize("back_to", ["c10", "c20", "c30"])
async def test_a_cursor_that_comes_again_raises(back_to: str):
    """R6.2: also in a circle of several pages."""
    listing = Listing(1000)
    listing.next = {"c30": back_to}
    async with serving(listing) as server, make_client(server) as client:
        seen: list[str] = []
        with pytest.raises(errors.PaginationError, match="the same cursor twice") as caught:
            await collect(client.vms.list(), seen)
    assert caught.value.cursor == back_to
    assert (caught.value.method, caught.value.path) == ("GET", "/v1/orgs/{orgId}/vms")
    assert caught.value.yielded == len(seen) == 30
    assert len(listing.asked) == 4


async def test_a_first_cursor_that_leads_back_to_where_the_list_was_resumed_raises():
    """R6.2"""
    listing = Listing(1000)
    listing.next = {"c30": "c20"}
    async with serving(listing) as server, make_client(server) as client:
        with pytest.raises(errors.PaginationError):
            await client.vms.list(cursor="c20")


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (400, {"error": "invalid cursor", "code": "INVALID_CURSOR"}),
        (410, {"error": "gone"}),
        (422, {"error": "cursor expired"}),
    ],
)
@pytest.mark.parametrize("resumed", [False, True])
async def test_an_expired_cursor_is_a_typed_error_with_the_count(status: int, body: object, resumed: bool):
    """R6.2"""
    listing = Listing(100)
    listing.fail = {"c20": (status, body)}
    async with serving(listing) as server, make_client(server) as client:
        call = client.vms.list(cursor="c20" if resumed else None)
        with pytest.raises(errors.PaginationError, match="no longer valid") as caught:
            await call
    error = caught.value
    assert error.yielded == (0 if resumed else 20)
    assert error.cursor == call.next_cursor == "c20"
    assert error.status == status
    assert error.operation == "listOrgVms"
    assert not error.maybe_applied


async def test_another_refusal_of_a_resumed_list_is_not_the_cursors_fault():
    listing = Listing(100)
    listing.fail = {"c20": (400, {"error": "limit is too large", "code": "INVALID_REQUEST"})}
    async with serving(listing) as server, make_client(server) as client:
        with pytest.raises(errors.BadRequest):
            await client.vms.list(cursor="c20", page_size=100_000)


async def test_a_list_that_broke_off_is_resumed_from_its_cursor():
    """R6.2: the last cursor is readable."""
    listing = Listing(35)
    listing.fail = {"c20": (500, {"error": "oops"})}
    async with serving(listing) as server, make_client(server, retry=RetryPolicy(max_attempts=1)) as client:
        call = client.vms.list()
        seen: list[str] = []
        with pytest.raises(errors.ServerError):
            await collect(call, seen)
        assert call.next_cursor == "c20"
        listing.fail = {}
        seen += [vm.id for vm in await client.vms.list(cursor=call.next_cursor)]
    assert seen == ids(35)


async def test_pages_give_items_and_the_cursor_after_them():
    async with serving(Listing(25)) as server, make_client(server) as client:
        pages = [page async for page in client.vms.list().pages()]
    assert all(isinstance(page, Page) for page in pages)
    assert [(len(page.items), page.next_cursor) for page in pages] == [(10, "c10"), (10, "c20"), (5, None)]


async def test_the_first_item_takes_one_request():
    """R6.3"""
    listing = Listing(100)
    async with serving(listing) as server, make_client(server) as client:
        first = await client.vms.list(prefetch=True).first()
        assert first is not None
        assert first.id == "vm_0"
        empty = Listing(0)
        async with serving(empty) as other, make_client(other) as another:
            assert await another.vms.list().first() is None
        await until(lambda: len(asyncio.all_tasks()) < 5)
    assert listing.asked[0] is None
    assert len(listing.asked) <= 2


@pytest.mark.parametrize(("most", "asked"), [(0, 0), (1, 1), (10, 1), (11, 2), (20, 2), (1000, 10)])
async def test_max_items_stops_without_a_request_too_many(most: int, asked: int):
    listing = Listing(100)
    async with serving(listing) as server, make_client(server) as client:
        assert [vm.id for vm in await client.vms.list(max_items=most)] == ids(min(most, 100))
        assert [vm.id async for vm in client.vms.list(max_items=most)] == ids(min(most, 100))
    assert len(listing.asked) == 2 * asked


async def test_a_list_that_was_cut_is_resumed_without_a_gap():
    """R6.2: the cursor of a page that was cut is its own"""
    listing = Listing(35)
    async with serving(listing) as server, make_client(server) as client:
        call = client.vms.list(max_items=13)
        *_, last = [page async for page in call.pages()]
        assert [vm.id for vm in last.items] == ids(13, 10)
        assert last.next_cursor == call.next_cursor == "c10"
        assert [vm.id for vm in await client.vms.list(cursor=call.next_cursor)] == ids(35, 10)


async def test_the_next_page_is_fetched_ahead_only_if_asked_for():
    """R6.3"""
    for prefetch in (False, True):
        listing = Listing(100)
        async with serving(listing) as server, make_client(server) as client:
            async for _ in client.vms.list(prefetch=prefetch):
                await asyncio.sleep(0.05)
                break
        assert listing.asked == ([None, "c10"] if prefetch else [None])


async def test_fetching_ahead_gives_the_same_list():
    async with serving(Listing(95)) as server, make_client(server) as client:
        assert [vm.id async for vm in client.vms.list(prefetch=True)] == ids(95)
        assert [vm.id for vm in await client.vms.list(prefetch=True)] == ids(95)


@pytest.mark.parametrize("prefetch", [False, True])
@pytest.mark.parametrize("way", ["break", "raise", "cancel", "aclose"])
async def test_leaving_early_leaves_no_request(prefetch: bool, way: str):
    """R6.3: whatever ends the loop, the page that is on its way is given up."""
    listing = Listing(100)
    listing.hold = asyncio.Event()
    async with serving(listing) as server, make_client(server) as client:
        pool = client._calls.transport.shared.session.pool()

        async def leave() -> None:
            async for _ in client.vms.list(prefetch=prefetch):
                if prefetch:
                    await until(lambda: len(listing.asked) == 2)
                if way == "raise":
                    raise ValueError("mine")
                if way == "cancel":
                    await asyncio.sleep(30)
                break

        if way == "aclose":
            iterator = client.vms.list(prefetch=prefetch).__aiter__()
            await iterator.__anext__()
            await iterator.aclose()
        else:
            task = asyncio.create_task(leave())
            if way == "cancel":
                await until(lambda: len(listing.asked) == (2 if prefetch else 1))
                await asyncio.sleep(0.02)
                task.cancel()
            outcome = (await asyncio.gather(task, return_exceptions=True))[0]
            expected = {"raise": ValueError, "cancel": asyncio.CancelledError}.get(way)
            assert outcome is None if expected is None else isinstance(outcome, expected)
        gc.collect()
        await until(lambda: pool.running == 0)
        await until(lambda: server.open <= 1)
        assert pool.slots.free == 100
    assert len(listing.asked) <= 2


async def test_an_error_of_a_page_that_was_fetched_ahead_is_raised_where_it_is_due():
    listing = Listing(100)
    listing.fail = {"c10": (404, {"error": "no"})}
    async with serving(listing) as server, make_client(server) as client:
        seen: list[str] = []
        with pytest.raises(errors.NotFound):
            await collect(client.vms.list(prefetch=True), seen)
    assert seen == ids(10)


async def test_each_page_has_a_time_limit_of_its_own():
    async def slowly(exchange: Exchange) -> None:
        await asyncio.sleep(0.5)
        await listing(exchange)

    listing = Listing(50)
    async with serving(slowly) as server, make_client(server, timeout=2.0) as client:
        # Two and a half seconds altogether.
        assert len(await client.vms.list()) == 50


@pytest.mark.parametrize(
    "body", [b"[]", b'{"items": 5}', b"{}", b'{"items": [5]}', b'{"items": [], "nextCursor": 5}', b"null"]
)
async def test_a_page_that_is_none_is_an_invalid_response(body: bytes):
    async def send(exchange: Exchange) -> None:
        await exchange.answer(200, raw=body)

    async with serving(send) as server, make_client(server) as client:
        with pytest.raises(errors.InvalidResponse):
            await client.vms.list()


@pytest.mark.parametrize(
    ("arguments", "kind"),
    [
        ({"page_size": 0}, errors.ConfigurationError),
        ({"page_size": True}, errors.ConfigurationError),
        ({"max_items": -1}, ValueError),
        ({"max_items": "5"}, TypeError),
        ({"cursor": ""}, ValueError),
        ({"cursor": 5}, TypeError),
        ({"timeout": 0}, errors.ConfigurationError),
    ],
)
async def test_a_wrong_argument_of_a_list_is_told_where_it_is_given(arguments: dict, kind: type[Exception]):
    async with serving(answering((200, {}))) as server, make_client(server) as client:
        with pytest.raises(kind):
            client.vms.list(**arguments)
    assert server.seen == []


MANY = r"""
import asyncio, json, os, resource
from openrelay_async import AsyncClient

PAGES, SIZE = int(os.environ.get("OPENRELAY_TEST_PAGES", "150")), 1000
ITEM = {"id": "vm_123456", "name": "box", "organizationId": "org_1", "status": "running", "gpuCount": 1,
        "gpuModelId": "rtx-4090", "createdAt": "2026-11-01T00:00:00Z", "new": "x" * 200}
ITEMS = json.dumps([ITEM] * SIZE)


def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


async def handle(reader, writer):
    try:
        number = 0
        while await reader.readuntil(b"\r\n\r\n"):
            number += 1
            cursor = "" if number == PAGES else f"cursor-{number:06}-{'y' * 100}"
            body = f'{{"items": {ITEMS}, "nextCursor": "{cursor}"}}'.encode()
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
    except asyncio.IncompleteReadError:
        writer.close()


async def main():
    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with AsyncClient("vl_memory_0123456789abcdefghijk", base_url=url, org_id="org_1") as client:
        count, early = 0, 0.0
        async for vm in client.vms.list(page_size=SIZE):
            count += 1
            if count == 50 * SIZE:
                early = peak()
        print(count, peak() - early)


asyncio.run(main())
"""


def test_many_items_are_listed_in_constant_memory():
    """R6.1: after the first fifty pages the peak grows by less than three pages.

    A million take half a minute, so these are 150,000; OPENRELAY_TEST_PAGES=1000 makes them a million.
    """
    result = run_program(MANY, options=(), prelude="", within=100)
    assert result.err == ""
    count, growth = result.out.split()
    assert int(count) >= 150_000
    assert float(growth) < 3.0
