"""An organization's balance in the shape of what is waited for."""

from __future__ import annotations

from attrs import frozen

from openrelay_async.generated.models.billing import Balance
from openrelay_async.generated.operation_rows.billing import GET_BALANCE
from openrelay_async.generated.resources.billing import Billing
from openrelay_async.lifecycles import ANY_STATE, BALANCE, Goal
from openrelay_async.pagination import Page, PagedCall
from openrelay_async.poll_source import Reading, Source
from openrelay_async.resource import Calls


@frozen
class BalanceOf:
    """An organization's balance, in the shape of what is waited for."""

    id: str
    balance: Balance

    @property
    def status(self) -> str:
        return f"{self.balance.available_cents} cents"


def balance_source(calls: Calls, org_id: str | None) -> Source[BalanceOf]:
    billing = Billing(calls)

    async def read(organization: str) -> BalanceOf:
        return BalanceOf(organization, await billing.get_balance(org_id=organization))

    async def fetch(_: str | None) -> Page[BalanceOf]:
        return Page([] if org_id is None else [await read(org_id)], None)

    return Source(
        BALANCE,
        GET_BALANCE,
        pages=lambda _: PagedCall(fetch, operation=GET_BALANCE),
        read=Reading(GET_BALANCE, read),
    )


def balance_goal(cents: int) -> Goal:
    """Return the goal of an amount that can be spent."""

    def is_there(seen: object) -> bool:
        return isinstance(seen, BalanceOf) and seen.balance.available_cents >= cents

    return Goal(f"{cents} cents", ANY_STATE, check=is_there)
