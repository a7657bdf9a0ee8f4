"""What is said of a lease that may have left something running."""

from __future__ import annotations

from typing import TypeVar

from openrelay_async.errors import LeaseError, OpenRelayError
from openrelay_async.lease_search import describe_ids
from openrelay_async.lease_terms import LeaseSteps
from openrelay_async.waiting import Living

C = TypeVar("C", bound=Living)
W = TypeVar("W")


def unknown_creation(
    steps: LeaseSteps[C, W], error: OpenRelayError, problem: str, candidates: list[str]
) -> LeaseError:
    """Return the error of a create of which nobody knows what it created."""
    if candidates:
        shown = describe_ids(candidates)
        problem = f"and what it created cannot be told from what others did: none of {shown} was ended"
    unknown = LeaseError(f"creating {steps} may have succeeded, {problem}")
    unknown._with_facts_of(error)._with(
        resource_id=candidates[0] if len(candidates) == 1 else "",
        resource_name=steps.name,
    )
    if candidates:
        unknown.details = {**error.details, "candidates": candidates}
    return unknown


def left_running(steps: LeaseSteps[C, W], resource_id: str, failure: OpenRelayError) -> LeaseError:
    """Return the error of what could not be terminated."""
    left = LeaseError(
        f"the {steps.lifecycle.noun} {resource_id} ({steps.name!r}) could not be terminated and may still "
        f"run: {failure._say()}",
    )
    left._with_facts_of(failure)._with(resource_id=resource_id, resource_name=steps.name)
    return left
