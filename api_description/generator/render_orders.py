"""The arguments of creates, as types: what leases take."""

from __future__ import annotations

from attrs import frozen
from jinja2 import Environment

from .forms import Description
from .imports import STANDARD, list_words, place_models, spell_imports
from .layout import Layout
from .overrides import Overrides
from .signatures import Argument, describe_signatures

PATH = "openrelay_async/generated/orders.py"
_OF_THE_LEASE = ("idempotency_key", "wait_for_capacity")
"""What a lease decides itself, or takes itself."""


@frozen
class Order:
    name: str
    create: str
    fields: tuple[str, ...]


def render_orders(
    description: Description, layout: Layout, overrides: Overrides, templates: Environment, banner: str
) -> dict[str, str]:
    """Return the module of the orders: path → source."""
    orders = []
    for operation in description.operations:
        if operation.id in overrides.patience:
            [signature] = describe_signatures([operation], overrides)
            fields = (each for each in signature.keywords if each.name not in _OF_THE_LEASE)
            orders.append(
                Order(
                    overrides.patience[operation.id].order,
                    f"{operation.resource}.{operation.method}",
                    tuple(_spell_field(each) for each in fields),
                )
            )
    words = list_words(field for order in orders for field in order.fields)
    imports = spell_imports(words, {**STANDARD, **place_models(words, layout)})
    template = templates.get_template("orders.py.jinja")
    return {PATH: template.render(orders=orders, imports=imports, banner=banner)}


def _spell_field(argument: Argument) -> str:
    annotation = argument.annotation.removesuffix(" | Unset")
    return f"{argument.name}: {annotation if argument.default is not None else f'Required[{annotation}]'}"
