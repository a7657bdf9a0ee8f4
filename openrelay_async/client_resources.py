"""The API's resources as attributes of a client, each loaded when it is first used."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, Self, TypeVar, overload

from openrelay_async.calls import ClientCalls
from openrelay_async.fork_guard import import_module
from openrelay_async.resource import Resource

if TYPE_CHECKING:
    from openrelay_async.generated.resources.account import Account
    from openrelay_async.generated.resources.audit_events import AuditEvents
    from openrelay_async.generated.resources.batches import Batches
    from openrelay_async.generated.resources.catalog import Catalog
    from openrelay_async.generated.resources.dedicated_endpoints import DedicatedEndpoints
    from openrelay_async.generated.resources.files import Files
    from openrelay_async.generated.resources.health import ServiceHealth
    from openrelay_async.generated.resources.organizations import Organizations
    from openrelay_async.generated.resources.provider import Provider
    from openrelay_async.generated.resources.registry_credentials import RegistryCredentials
    from openrelay_async.generated.resources.reservations import Reservations
    from openrelay_async.generated.resources.roles import Roles
    from openrelay_async.generated.resources.runners import Runners
    from openrelay_async.generated.resources.snapshots import Snapshots
    from openrelay_async.generated.resources.ssh_keys import SshKeys
    from openrelay_async.generated.resources.transfers import Transfers
    from openrelay_async.generated.resources.usage import Usage
    from openrelay_async.resources.access import Access
    from openrelay_async.resources.api_keys import ApiKeys
    from openrelay_async.resources.billing import Billing
    from openrelay_async.resources.clusters import Clusters
    from openrelay_async.resources.kubernetes import Kubernetes
    from openrelay_async.resources.pods import Pods
    from openrelay_async.resources.vms import Vms
    from openrelay_async.resources.webhooks import Webhooks

R = TypeVar("R", bound=Resource)

HAND_WRITTEN = "openrelay_async.resources"
"""The package of the resources that can do more than the generated ones."""


class ResourceAttribute(Generic[R]):
    """A resource of the client, imported and made when it is first used: most programs use two or three."""

    def __init__(
        self, package: str = "openrelay_async.generated.resources", *, kind: str | None = None
    ) -> None:
        """Take the package whose module of the attribute's name has the class: `api_keys`, `ApiKeys`.

        Args:
            kind: the class, where it is not called like the attribute.
        """
        self._package = package
        self._kind = kind

    def __set_name__(self, owner: type[object], name: str) -> None:
        self._name = name
        self._kind = self._kind or name.title().replace("_", "")

    @overload
    def __get__(self, client: None, owner: type[object]) -> Self: ...
    @overload
    def __get__(self, client: ClientResources, owner: type[object]) -> R: ...
    def __get__(self, client: ClientResources | None, owner: type[object]) -> R | Self:
        if client is None:
            return self
        module = import_module(f"{self._package}.{self._name}")
        kind: type[R] = getattr(module, str(self._kind))
        resource = kind(client._calls)
        # From now on the instance's own attribute is found before this descriptor.
        client.__dict__[self._name] = resource
        return resource


class ClientResources:
    """What a client offers: one attribute a resource."""

    _calls: ClientCalls

    access: ResourceAttribute[Access] = ResourceAttribute(HAND_WRITTEN)
    account: ResourceAttribute[Account] = ResourceAttribute()
    api_keys: ResourceAttribute[ApiKeys] = ResourceAttribute(HAND_WRITTEN)
    audit_events: ResourceAttribute[AuditEvents] = ResourceAttribute()
    batches: ResourceAttribute[Batches] = ResourceAttribute()
    billing: ResourceAttribute[Billing] = ResourceAttribute(HAND_WRITTEN)
    catalog: ResourceAttribute[Catalog] = ResourceAttribute()
    clusters: ResourceAttribute[Clusters] = ResourceAttribute(HAND_WRITTEN)
    dedicated_endpoints: ResourceAttribute[DedicatedEndpoints] = ResourceAttribute()
    files: ResourceAttribute[Files] = ResourceAttribute()
    health: ResourceAttribute[ServiceHealth] = ResourceAttribute(kind="ServiceHealth")
    kubernetes: ResourceAttribute[Kubernetes] = ResourceAttribute(HAND_WRITTEN)
    organizations: ResourceAttribute[Organizations] = ResourceAttribute()
    pods: ResourceAttribute[Pods] = ResourceAttribute(HAND_WRITTEN)
    provider: ResourceAttribute[Provider] = ResourceAttribute()
    registry_credentials: ResourceAttribute[RegistryCredentials] = ResourceAttribute()
    reservations: ResourceAttribute[Reservations] = ResourceAttribute()
    roles: ResourceAttribute[Roles] = ResourceAttribute()
    runners: ResourceAttribute[Runners] = ResourceAttribute()
    snapshots: ResourceAttribute[Snapshots] = ResourceAttribute()
    ssh_keys: ResourceAttribute[SshKeys] = ResourceAttribute()
    transfers: ResourceAttribute[Transfers] = ResourceAttribute()
    usage: ResourceAttribute[Usage] = ResourceAttribute()
    vms: ResourceAttribute[Vms] = ResourceAttribute(HAND_WRITTEN)
    webhooks: ResourceAttribute[Webhooks] = ResourceAttribute(HAND_WRITTEN)
