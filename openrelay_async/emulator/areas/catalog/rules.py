"""Prices, sizes, places and images: the facts of the emulated service. Pure."""

from __future__ import annotations

from collections.abc import Mapping

import attrs

from openrelay_async.emulator.fleet import GpuKind

SMALLEST_DISK = 10
LARGEST_DISK = 4096
TIERS = ("verified", "community")


@attrs.frozen
class CpuSize:
    """A size of machines without a GPU."""

    vcpus: int
    ram_mb: int
    cents_per_hour: int


CPU_SIZES: Mapping[str, CpuSize] = {
    "small": CpuSize(2, 4096, 3),
    "medium": CpuSize(4, 16384, 8),
    "large": CpuSize(8, 32768, 16),
    "xlarge": CpuSize(16, 65536, 32),
}


@attrs.frozen
class Place:
    id: str
    name: str
    city: str
    country: str
    region: str
    latitude: float
    longitude: float


PLACES = (
    Place("eu-central", "Frankfurt", "Frankfurt am Main", "DE", "eu", 50.11, 8.68),
    Place("us-east", "Virginia", "Ashburn", "US", "us", 39.04, -77.49),
    Place("us-west", "Oregon", "Hillsboro", "US", "us", 45.52, -122.99),
)


@attrs.frozen
class Image:
    id: str
    name: str
    slug: str
    os_type: str
    os_version: str
    requires_gpu: bool
    driver_version: str | None
    description: str


IMAGES = (
    Image("tpl-ubuntu-2404-cuda", "Ubuntu 24.04 with CUDA 13", "ubuntu-24-04-cuda", "linux", "24.04", True, "580.95", "Drivers and CUDA, nothing else"),  # noqa: E501 - a table
    Image("tpl-pytorch-2", "PyTorch 2 on Ubuntu 24.04", "pytorch-2", "linux", "24.04", True, "580.95", "CUDA, PyTorch, JupyterLab"),  # noqa: E501 - a table
    Image("tpl-ubuntu-2404", "Ubuntu 24.04", "ubuntu-24-04", "linux", "24.04", False, None, "A plain server"),
)  # fmt: skip


@attrs.frozen
class InferenceModel:
    id: str
    owned_by: str
    input_price: float
    output_price: float
    """US dollars per million tokens."""
    batch_eligible: bool


INFERENCE_MODELS = (
    InferenceModel("llama-3.3-70b-instruct", "meta", 0.40, 0.60, True),
    InferenceModel("qwen3-32b", "qwen", 0.10, 0.30, True),
    InferenceModel("whisper-large-v3", "openai", 0.05, 0.0, False),
)


def gpu_price(kind: GpuKind, tier: str, compute_class: str = "on_demand") -> int:
    """US cents per GPU and hour; what may be interrupted costs as little as the community's machines."""
    if tier == "community" or compute_class == "interruptible":
        return kind.community_cents_per_hour
    return kind.cents_per_hour * 4 // 5 if compute_class == "reserved" else kind.cents_per_hour
