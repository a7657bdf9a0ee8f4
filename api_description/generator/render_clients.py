"""The clients' attributes: one a resource, in both packages."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from attrs import frozen
from jinja2 import Environment

from .forms import Description
from .overrides import Overrides
from .read_additions import find_home
from .render_sync_resources import PACKAGE as SYNC

ROOT = Path(__file__).resolve().parents[2]


@frozen
class ClientResource:
    """An attribute of a client, and the class of what it holds."""

    name: str
    module: str
    class_name: str


def render_clients(
    description: Description, overrides: Overrides, templates: Environment, banner: str
) -> dict[str, str]:
    """Return the modules that list the resources of the clients: path → source."""
    template = templates.get_template("client_resources.py.jinja")

    def render(title: str, package: str, attribute: str, homes: Iterable[tuple[str, str]]) -> str:
        resources = [ClientResource(name, f"{home}.{name}", overrides.class_of(name)) for name, home in homes]
        return template.render(
            title=title, package=package, attribute=attribute, resources=resources, banner=banner
        )

    title = "The API's resources as attributes of a client, each loaded when it is first used."
    names = description.resources
    return {
        "openrelay_async/generated/client_resources.py": render(
            title, "openrelay_async", "ResourceAttribute", [(name, find_home(ROOT, name)) for name in names]
        ),
        "openrelay_sync/generated/client_resources.py": render(
            title, "openrelay_sync", "SyncResourceAttribute", [(name, SYNC) for name in names]
        ),
    }
