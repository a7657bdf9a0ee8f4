"""What every resource stands on: the calls that its methods are made of, and its place in the client."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Generic, Protocol, Self, TypeVar, overload

from openrelay_async.fork_guard import import_module
from openrelay_async.operation import Operation
from openrelay_async.pagination import PagedCall
from openrelay_async.redaction import Secret
from openrelay_async.transport import Transport
from openrelay_async.unset import UNSET, Unset
from openrelay_async.wire import Field

if TYPE_CHECKING:
    from openrelay_async.download import DownloadCall
    from openrelay_async.upload import FileSource

T = TypeVar("T")
R = TypeVar("R", bound="Resource")


class Calls(Protocol):
    """The client as its resources see it.

    Every call takes the operation, the path's ids in the template's order without the organization, the
    query and JSON body as fields (absent ones are `UNSET`), `org_id` where the path has one (`None` is the
    client's), and `timeout`, the limit in seconds for the whole call (`None` is the client's).
    """

    async def call(
        self,
        operation: Operation,
        returns: type[T],
        *,
        path: Sequence[str] = (),
        query: Sequence[Field] = (),
        body: Sequence[Field] = (),
        org_id: str | None = None,
        idempotency_key: str | Unset | None = UNSET,
        timeout: float | None = None,
    ) -> T:
        """Send a request and return its answer as a model."""
        ...

    async def call_list(
        self,
        operation: Operation,
        item: type[T],
        *,
        path: Sequence[str] = (),
        query: Sequence[Field] = (),
        org_id: str | None = None,
        timeout: float | None = None,
    ) -> list[T]:
        """Send a request and return its answer, a JSON list that is not paged, as a list of models."""
        ...

    async def call_nothing(
        self,
        operation: Operation,
        *,
        path: Sequence[str] = (),
        query: Sequence[Field] = (),
        body: Sequence[Field] = (),
        org_id: str | None = None,
        timeout: float | None = None,
    ) -> None:
        """Send a request whose success has no body."""
        ...

    async def call_secret_text(
        self, operation: Operation, *, query: Sequence[Field] = (), timeout: float | None = None
    ) -> Secret:
        """Send a request and return its answer, a text with credentials in it."""
        ...

    async def upload(
        self,
        operation: Operation,
        returns: type[T],
        *,
        file: FileSource,
        filename: str | None = None,
        form: Sequence[Field] = (),
        timeout: float | None = None,
    ) -> T:
        """Send a file as multipart/form-data, streamed in constant memory."""
        ...

    def download(
        self, operation: Operation, *, path: Sequence[str] = (), timeout: float | None = None
    ) -> DownloadCall:
        """Return the call that reads a file's content: awaited, iterated, or saved."""
        ...

    def paged(
        self,
        operation: Operation,
        item: type[T],
        *,
        path: Sequence[str] = (),
        query: Sequence[Field] = (),
        page_size: int | None = None,
        cursor: str | None = None,
        max_items: int | None = None,
        prefetch: bool = False,
        org_id: str | None = None,
        timeout: float | None = None,
    ) -> PagedCall[T]:
        """Return the call that goes through a list's pages."""
        ...

    @property
    def transport(self) -> Transport:
        """What waits and leases need beside calls: the clock, the hooks, what all views share."""
        ...

    async def find_organization(self, org_id: str | None, timeout: float | None = None) -> str:
        """Return the organization's id: the given one, or the client's."""
        ...

    def for_polls(self) -> Calls:
        """Return the same calls as polls make them.

        One request each, for one that failed is made up for by the next; and within the client's own time
        limits, for all its views share their polls.
        """
        ...


class Resource:
    """A group of operations, such as `client.vms`. It holds nothing but the way to call them."""

    __slots__ = ("_calls",)

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self._calls!r}>"


class HasCalls(Protocol):
    """A client, as far as its attributes need it."""

    @property
    def _calls(self) -> Calls: ...


class LazyResource:
    """A resource of a client, imported and made when it is first used: most programs use two or three."""

    def __init__(self, module: str, kind: str) -> None:
        """Take the name of the resource's class, and of the module that has it."""
        self.module = module
        self.kind = kind

    def __set_name__(self, owner: type[object], name: str) -> None:
        self._name = name

    def _make(self, client: object, *arguments: object) -> Any:
        """Make the client's resource, of the arguments of its class."""
        resource = getattr(import_module(self.module), self.kind)(*arguments)
        # From now on the instance's own attribute is found before this descriptor.
        vars(client)[self._name] = resource
        return resource


class ResourceAttribute(LazyResource, Generic[R]):
    """A resource of the async client."""

    @overload
    def __get__(self, client: None, owner: type[object]) -> Self: ...
    @overload
    def __get__(self, client: HasCalls, owner: type[object]) -> R: ...
    def __get__(self, client: HasCalls | None, owner: type[object]) -> R | Self:
        if client is None:
            return self
        resource: R = self._make(client, client._calls)
        return resource
