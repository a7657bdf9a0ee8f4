"""`client.billing`: the balance and payments, and waiting for a deposit to arrive."""

from __future__ import annotations

from openrelay_async.config import check_integer
from openrelay_async.generated.models.billing import Balance
from openrelay_async.generated.resources.billing import Billing as GeneratedBilling
from openrelay_async.wait_limits import DEFAULT_FAILURES, DEFAULT_TIMEOUT


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
        from openrelay_async.balance import balance_goal, balance_source
        from openrelay_async.fleets import find_fleet
        from openrelay_async.lifecycles import BALANCE

        goal = balance_goal(check_integer("at_least_cents", at_least_cents, minimum=0))
        organization = await self._calls.find_organization(org_id)
        fleet = await find_fleet(self._calls, BALANCE, balance_source, organization)
        found = await fleet.wait(organization, goal, fleet.options(timeout, interval, max_failures))
        if found is None:
            raise LookupError("the organization has no balance")
        return found.balance
