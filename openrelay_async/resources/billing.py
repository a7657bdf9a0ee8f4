"""`client.billing`: the balance and payments, and waiting for a deposit to arrive."""

from __future__ import annotations

from attrs import frozen

from openrelay_async.config import check_integer
from openrelay_async.fleets import get_fleet
from openrelay_async.generated import operations
from openrelay_async.generated.models.billing import Balance
from openrelay_async.generated.resources.billing import Billing as GeneratedBilling
from openrelay_async.lifecycles import ANY_STATE, BALANCE, Goal
from openrelay_async.pagination import Page, PagedCall
from openrelay_async.poll_source import Source
from openrelay_async.resource import Calls
from openrelay_async.waiting import DEFAULT_FAILURES, DEFAULT_TIMEOUT, WaitOptions


@frozen
class _BalanceOf:
    """An organization's balance, in the shape of what is waited for."""

    id: str
    balance: Balance

    @property
    def status(self) -> str:
        return f"{self.balance.available_cents} cents"


def _balance_source(calls: Calls, org_id: str | None) -> Source[_BalanceOf]:
    billing = GeneratedBilling(calls)

    async def read(organization: str) -> _BalanceOf:
        return _BalanceOf(organization, await billing.get_balance(org_id=organization))

    async def fetch(_: str | None) -> Page[_BalanceOf]:
        return Page([] if org_id is None else [await read(org_id)], None)

    operation = operations.GET_BALANCE
    return Source(BALANCE, operation, pages=lambda _: PagedCall(fetch, operation=operation.id), read=read)


class Billing(GeneratedBilling):
    """The balance, payments and limits."""

    __slots__ = ()

    async def wait_balance(
        self,
        *,
        at_least_cents: int,
        timeout: float = DEFAULT_TIMEOUT,
        interval: float | None = None,
        max_failures: int = DEFAULT_FAILURES,
        org_id: str | None = None,
    ) -> Balance:
        """Wait until so much can be spent: a deposit arrives some time after it was made.

        Args:
            at_least_cents: amount that must be available (US cents).
            timeout: seconds of wall clock to wait; `math.inf` for no limit.
            interval: longest pause between two polls in seconds; by default they back off to 60 s.
            max_failures: polls in a row that may fail for reasons that pass.
            org_id: organization id; by default the client's organization.

        Raises:
            WaitTimeout: the time is up; its `resource.balance` is the balance as last seen.
            WaitError: more than `max_failures` polls failed in a row.
        """
        wanted = check_integer("at_least_cents", at_least_cents, minimum=0)

        def is_there(seen: object) -> bool:
            return isinstance(seen, _BalanceOf) and seen.balance.available_cents >= wanted

        options = WaitOptions.check(timeout, interval, max_failures)
        goal = Goal(f"{wanted} cents", ANY_STATE, check=is_there)
        organization = await self._calls.find_organization(org_id)
        fleet = get_fleet(self._calls, BALANCE, _balance_source, organization)
        found = await fleet.wait(organization, goal, options)
        if found is None:
            raise LookupError("the organization has no balance")
        return found.balance
