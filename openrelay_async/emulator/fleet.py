"""The machines: 120 GPUs on 12 nodes unless told otherwise, and where a workload fits. Pure rules."""

from __future__ import annotations

from collections.abc import Mapping

import attrs

from openrelay_async.emulator.arguments import find_choice_problem, find_integer_problem, require
from openrelay_async.errors import ConfigurationError

CPU_NODE = "node-cpu-01"
_MOST_GPUS = 1_000_000


@attrs.frozen
class GpuKind:
    """A GPU model of the catalog."""

    id: str
    name: str
    manufacturer: str
    architecture: str
    form_factor: str
    vram_gb: int
    node_size: int
    """GPUs in one machine: the most that one VM can have."""
    total: int
    location_id: str
    cents_per_hour: int
    community_cents_per_hour: int


GPU_KINDS: tuple[GpuKind, ...] = (
    GpuKind(
        "rtx-4090",
        "NVIDIA GeForce RTX 4090",
        "NVIDIA",
        "Ada Lovelace",
        "PCIe",
        24,
        16,
        64,
        "eu-central",
        49,
        34,
    ),
    GpuKind("h100", "NVIDIA H100 80GB", "NVIDIA", "Hopper", "SXM5", 80, 8, 32, "us-east", 249, 199),
    GpuKind("a100", "NVIDIA A100 80GB", "NVIDIA", "Ampere", "SXM4", 80, 8, 16, "us-west", 149, 119),
    GpuKind("b200", "NVIDIA B200", "NVIDIA", "Blackwell", "SXM6", 192, 8, 8, "us-east", 449, 379),
)


@attrs.frozen
class Node:
    """One machine."""

    id: str
    location_id: str
    gpu_model_id: str | None
    gpus: int
    vcpus: int

    @property
    def hostname(self) -> str:
        return f"{self.id}.fleet.openrelay.example"


@attrs.frozen
class Fleet:
    """All machines. `gpus` overrides how many GPUs of a model there are: `{"rtx-4090": 10_000}`."""

    gpus: Mapping[str, int] = attrs.field(factory=dict[str, int])
    nodes: tuple[Node, ...] = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        if not isinstance(self.gpus, Mapping):
            raise ConfigurationError(
                'fleet must be a mapping of GPU models to numbers, such as {"rtx-4090": 64}, '
                f"not {type(self.gpus).__name__}"
            )
        known = [kind.id for kind in GPU_KINDS]
        for model_id, gpus in self.gpus.items():
            require("each GPU model of fleet", find_choice_problem(model_id, known))
            require(f"fleet[{model_id!r}]", find_integer_problem(gpus, least=0, most=_MOST_GPUS))
        nodes = [Node(CPU_NODE, "eu-central", None, 0, 512)]
        for kind in GPU_KINDS:
            left, number = self.gpus.get(kind.id, kind.total), 0
            while left > 0:
                number += 1
                size = min(kind.node_size, left)
                nodes.append(Node(f"node-{kind.id}-{number:02d}", kind.location_id, kind.id, size, size * 16))
                left -= size
        object.__setattr__(self, "nodes", tuple(nodes))

    def kind(self, model_id: str) -> GpuKind | None:
        return next((kind for kind in GPU_KINDS if kind.id == model_id), None)

    def node(self, node_id: str) -> Node | None:
        return next((node for node in self.nodes if node.id == node_id), None)

    def with_model(self, model_id: str) -> list[Node]:
        return [node for node in self.nodes if node.gpu_model_id == model_id]


def place(nodes: list[Node], used: Mapping[str, int], gpus: int) -> Node | None:
    """The node with the least room in which `gpus` still fit: full nodes fill up, whole ones stay free for
    big VMs.
    """
    fitting = [(node.gpus - used.get(node.id, 0), node.id, node) for node in nodes]
    fitting = [item for item in fitting if item[0] >= gpus]
    return min(fitting)[2] if fitting else None
