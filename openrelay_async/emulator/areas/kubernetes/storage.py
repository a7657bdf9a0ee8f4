"""Records of Kubernetes clusters and their node pools."""

from __future__ import annotations

import attrs

from openrelay_async.emulator.lifecycle import Timeline
from openrelay_async.emulator.storage import Collection


@attrs.frozen
class KubernetesCluster:
    id: str
    org_id: str
    name: str
    location_id: str
    version: str
    created_at: float
    updated_at: float
    timeline: Timeline


@attrs.frozen
class NodePool:
    id: str
    org_id: str
    cluster_id: str
    name: str
    created_at: float
    timeline: Timeline
    nodes: list[dict[str, object]]
    gpu_model_id: str | None = None
    cpu_sku: str | None = None


KUBERNETES_CLUSTERS = Collection("kubernetes_clusters", KubernetesCluster)
NODE_POOLS = Collection("node_pools", NodePool, indexed=("cluster_id",))
