"""Organizations: look, change, make, delete; signals about them."""

from __future__ import annotations

import attrs

from openrelay_async.emulator.answers import NO_CONTENT, Answer, Refusal, conflict, moment, not_found
from openrelay_async.emulator.areas.account.founding import free_slug
from openrelay_async.emulator.areas.account.storage import (
    MEMBERSHIPS,
    ORGANIZATIONS,
    USERS,
    Membership,
    Organization,
)
from openrelay_async.emulator.areas.api_keys.storage import API_KEYS
from openrelay_async.emulator.areas.billing.ledger import open_account
from openrelay_async.emulator.areas.organizations.rules import read_email
from openrelay_async.emulator.call import Call
from openrelay_async.emulator.fields import check_label
from openrelay_async.emulator.metering import burn_per_hour

_BILLING_DETAILS = {
    "billingAddressLine1",
    "billingAddressLine2",
    "billingCity",
    "billingCountry",
    "billingName",
    "billingPostalCode",
    "taxCountry",
    "taxId",
}


def get_organization(call: Call) -> Answer:
    return Answer(_render(_find(call)))


def update_organization(call: Call) -> Answer:
    organization, body = _find(call), call.body
    given = {name: body.text(name) for name in _BILLING_DETAILS if name in body}
    # A text is cleared with "", and what is empty is left out of answers.
    details = {name: value for name, value in {**organization.billing_details, **given}.items() if value}
    changed = attrs.evolve(
        organization,
        name=body.name() if "name" in body else organization.name,
        billing_email=(
            read_email(body.text("billingEmail"), "billingEmail")
            if "billingEmail" in body
            else organization.billing_email
        ),
        billing_details=details,
    )
    ORGANIZATIONS.update(call.database, changed)
    call.audit("organization.updated", "organization", changed.id)
    return Answer(_render(changed))


def create_organization(call: Call) -> Answer:
    body = call.body
    slug = body.optional_text("slug")
    if slug and ORGANIZATIONS.find(call.database, slug=check_label(slug, "slug")):
        raise conflict("another organization has this slug", "SLUG_TAKEN")
    email = read_email(body.text("billingEmail"), "billingEmail") if body.text("billingEmail") else None
    return Answer(_found(call, body.name(), slug, email))


def bootstrap(call: Call) -> Answer:
    """The first organization of a new user; again, it is the same one."""
    memberships = MEMBERSHIPS.find(call.database, user_id=call.principal.user_id)
    if memberships:
        return Answer({"organizationId": memberships[0].org_id, "role": memberships[0].role})
    name = call.body.name("orgName") if "orgName" in call.body else "My organization"
    return Answer(_found(call, name, None, None))


def _found(call: Call, name: str, slug: str | None, email: str | None) -> dict[str, object]:
    user = USERS.get(call.database, call.principal.user_id or "")
    if user is None:
        raise Refusal(403, "only a user can found an organization", "FORBIDDEN")
    organization = Organization(
        id=call.new_id("org_"),
        name=name,
        slug=slug or free_slug(call.database, name),
        created_at=call.now,
        billing_email=email or user.email,
    )
    ORGANIZATIONS.insert(call.database, organization)
    membership = Membership(call.new_id("mem_"), organization.id, user.id, "owner", call.now)
    MEMBERSHIPS.insert(call.database, membership)
    open_account(call.database, organization.id, call.settings.credit_cents, call.now)
    if not user.org_id:
        USERS.update(call.database, attrs.evolve(user, org_id=organization.id))
    return {"organizationId": organization.id, "role": "owner"}


def delete_organization(call: Call) -> Answer:
    organization = _find(call)
    if burn_per_hour(call.database, organization.id, call.now):
        raise conflict("something is still running in it", "ORGANIZATION_NOT_EMPTY")
    call.audit("organization.deleted", "organization", organization.id)
    for key in API_KEYS.find(call.database, org_id=organization.id):
        if key.revoked_at is None:
            API_KEYS.update(call.database, attrs.evolve(key, revoked_at=call.now))
    for membership in MEMBERSHIPS.find(call.database, org_id=organization.id):
        MEMBERSHIPS.delete(call.database, membership)
    ORGANIZATIONS.update(call.database, attrs.evolve(organization, deleted_at=call.now))
    return NO_CONTENT


def record_device(call: Call) -> Answer:
    """What the dashboard tells about the browser: taken, and of no consequence."""
    return NO_CONTENT


def create_verification_note(call: Call) -> Answer:
    return Answer({"received": True}, status=201)


def _find(call: Call) -> Organization:
    organization = ORGANIZATIONS.get(call.database, call.org_id)
    if organization is None or organization.deleted_at is not None:
        raise not_found("organization")
    return organization


def _render(organization: Organization) -> dict[str, object]:
    return {
        "id": organization.id,
        "shortId": organization.id[-8:],
        "name": organization.name,
        "slug": organization.slug,
        "plan": "standard",
        "billingEmail": organization.billing_email,
        "isProvider": organization.is_provider,
        "accountStatus": "active",
        "createdAt": moment(organization.created_at),
        **organization.billing_details,
    }


HANDLERS = {
    "getOrg": get_organization,
    "updateOrg": update_organization,
    "createOrg": create_organization,
    "bootstrap": bootstrap,
    "deleteOrg": delete_organization,
    "recordOrgDevice": record_device,
    "createVerificationNote": create_verification_note,
}
