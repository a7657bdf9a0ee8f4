"""The type of a VM or pod as waits give it, for the annotations of those who call them."""

from openrelay_async.generated.resources.vms import AnyVm as AnyVm
