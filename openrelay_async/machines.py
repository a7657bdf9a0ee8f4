"""How VMs are read, and pods, which are VMs in all that waiting asks of them."""

from __future__ import annotations

from openrelay_async.generated import operations
from openrelay_async.generated.models.shared import VmSummary
from openrelay_async.generated.models.vms import VmDetail
from openrelay_async.generated.resources.pods import Pods
from openrelay_async.generated.resources.vms import Vms
from openrelay_async.lifecycles import PODS, VMS
from openrelay_async.poll_source import Source
from openrelay_async.resource import Calls

AnyVm = VmSummary | VmDetail


def vm_source(calls: Calls, org_id: str | None) -> Source[AnyVm]:
    vms = Vms(calls)
    return Source(
        VMS,
        operations.LIST_ORG_VMS,
        pages=lambda size: vms.list(page_size=size, org_id=org_id),
        read=vms.get,
        read_full=vms.get_detail,
    )


def pod_source(calls: Calls, org_id: str | None) -> Source[AnyVm]:
    pods, vms = Pods(calls), Vms(calls)
    return Source(
        PODS,
        operations.LIST_PODS,
        pages=lambda size: pods.list(page_size=size),
        # A pod is read singly, and ended, as the VM that it is.
        read=vms.get,
        read_full=vms.get_detail,
    )
