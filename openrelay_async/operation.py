"""What the client knows of one API operation: a row of the generated table `operations`."""

from __future__ import annotations

from typing import Literal, NamedTuple, TypedDict

from attrs import Factory, field, frozen

PaginationStyle = Literal["cursor", "after", "offset"]
Authentication = Literal["required", "optional", "none"]


# Named tuples, because attrs takes five times as long to build a class, before a process's first call.
class Pagination(NamedTuple):
    """How an operation's list is divided into pages."""

    style: PaginationStyle
    """`cursor`: a cursor in the body; `after`: the last item's id; `offset`: a number of items to skip."""
    items: str | None
    """The body's property that holds the items; `None` where the body is the list itself."""
    request: str
    """The query parameter that asks for the next page."""
    response: str | None = None
    """The body's property with the next cursor."""
    more: str | None = None
    """The body's property that says whether there is more (style `after`)."""
    size: str = "limit"
    """The query parameter with the number of items a page."""
    default_size: int | None = None
    """Items a page where the caller does not say (style `offset`)."""


class IdempotencyKey(NamedTuple):
    """Where an operation takes its idempotency key."""

    place: Literal["header", "body"]
    name: str


class OperationFacts(TypedDict):
    """What errors and events say of the operation."""

    operation: str
    method: str
    path: str


@frozen(eq=False)
class Operation:
    """One operation of the API, by the names of the OpenAPI description."""

    id: str
    """The operation's id in the description, such as `createVm`."""
    resource: str
    """The client's attribute, such as `vms`."""
    method: str
    """The resource's method, such as `create`."""
    http_method: str
    path: str
    """The path template, such as `/v1/vms/{id}`."""
    idempotent: bool
    """Whether it may be resent after it may have reached the server."""
    generations: tuple[str, ...] = ()
    scope: str | None = None
    """The scope that a key needs, as far as it is known."""
    permission: str | None = None
    """The permission id of the 2026-10 generation."""
    session_only: bool = False
    """Needs a dashboard session token; an API key is refused."""
    authentication: Authentication = "required"
    host: Literal["api", "inference"] = "api"
    idempotency_key: IdempotencyKey | None = None
    pagination: Pagination | None = None
    body: Literal["required", "optional", "multipart"] | None = None
    org_required: bool = False
    """Never falls back to the client's organization."""

    segments: tuple[str, ...] = field(
        init=False, repr=False, eq=False, default=Factory(lambda self: split_path(self.path), takes_self=True)
    )
    """The template's literal parts, with a path parameter between each two."""
    path_names: tuple[str, ...] = field(
        init=False, repr=False, eq=False, default=Factory(lambda self: name_ids(self.path), takes_self=True)
    )
    """The path parameters' wire names, in order."""
    takes_org: bool = field(
        init=False, repr=False, default=Factory(lambda self: "orgId" in self.path_names, takes_self=True)
    )
    """Whether the path begins with the organization's id."""

    def facts(self) -> OperationFacts:
        """Return what an error or an event says of it: `Event(**operation.facts(), …)`."""
        return {"operation": self.id, "method": self.http_method, "path": self.path}


def split_path(template: str) -> tuple[str, ...]:
    """Return the literal parts of a path template."""
    return tuple(_split(template)[0::2])


def name_ids(template: str) -> tuple[str, ...]:
    """Return the names of a path template's parameters."""
    return tuple(_split(template)[1::2])


def _split(template: str) -> list[str]:
    """Return literal parts and parameters by turns."""
    return template.replace("}", "{").split("{")
