"""What creating takes, as types: the arguments of leases, for the annotations of those who pass them on."""

from openrelay_async.generated.orders import ClusterOrder as ClusterOrder
from openrelay_async.generated.orders import PodOrder as PodOrder
from openrelay_async.generated.orders import VmOrder as VmOrder
