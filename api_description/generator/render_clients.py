"""The clients' attributes: one a resource, in both packages."""

from __future__ import annotations

from pathlib import Path

from jinja2 import Environment

from .forms import Description
from .overrides import Overrides
from .read_additions import find_home
from .render_sync_resources import PACKAGE as SYNC

ROOT = Path(__file__).resolve().parents[2]


def render_clients(
    description: Description, overrides: Overrides, templates: Environment, banner: str
) -> dict[str, str]:
    """Return the modules that list the resources of the clients: path → source."""
    template = templates.get_template("client_resources.py.jinja")
    homes = {
        "openrelay_async": {name: find_home(ROOT, name) for name in description.resources},
        "openrelay_sync": dict.fromkeys(description.resources, SYNC),
    }
    attributes = {"openrelay_async": "ResourceAttribute", "openrelay_sync": "SyncResourceAttribute"}
    return {
        f"{package}/generated/client_resources.py": template.render(
            package=package,
            attribute=attributes[package],
            resources=[
                (name, f"{home}.{name}", overrides.class_of(name)) for name, home in homes[package].items()
            ],
            banner=banner,
        )
        for package in homes
    }
