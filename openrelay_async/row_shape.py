"""Objects that have the same fields in the same order, as all that a service writes at one place have."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Final, Protocol

MOST_SHAPES: Final = 64
"""How many shapes a model's reader remembers."""
MOST_TYPES: Final = 16
"""How many combinations of types a shape remembers."""


if TYPE_CHECKING:

    class FieldReader(Protocol):
        """What a shape asks of a model's field."""

        @property
        def wire(self) -> str: ...
        @property
        def is_plain(self) -> bool: ...
        def make_default(self) -> object: ...
        def read(self, value: object, raw: Mapping[str, object]) -> object: ...


class RowShape:
    """Where the values of a model's fields stand in an object of this shape.

    An object's values are taken as they come, followed by `None` and by what is made anew for each object:
    from these, one call into C picks the fields' values in their order.
    """

    __slots__ = ("conversions", "fresh", "is_known", "pick", "seen")

    def __init__(self, names: Sequence[str], fields: Sequence[FieldReader]) -> None:
        """Take the object's names in their order, and the model's fields in theirs."""
        places = {name: place for place, name in enumerate(names)}
        nothing = len(names)
        self.fresh: list[Callable[[], object]] = []
        """Makes what the absent fields have instead, such as empty lists."""
        order: list[int] = []
        for field in fields:
            if field.wire in places:
                order.append(places[field.wire])
            elif field.make_default() is not None:
                self.fresh.append(field.make_default)
                order.append(nothing + len(self.fresh))
            else:
                order.append(nothing)
        self.pick = _make_pick(order)
        self.conversions = tuple(
            (places[field.wire], field) for field in fields if field.wire in places and not field.is_plain
        )
        """Places of what is not taken as it is, and how it is read."""
        self.is_known = len(places) == sum(field.wire in places for field in fields)
        """Whether the model has all of its fields."""
        self.seen: set[tuple[type[object], ...]] = set()
        """Types of the values of objects that were found right: most are like one seen before."""

    def remember(self, types: tuple[type[object], ...]) -> None:
        """Note that an object with values of these types is right."""
        if len(self.seen) < MOST_TYPES:
            self.seen.add(types)


def _make_pick(order: Sequence[int]) -> Callable[[Sequence[Any]], tuple[Any, ...]]:
    """Return what takes the values at these places."""
    if len(order) > 1:
        return itemgetter(*order)
    return lambda values: tuple(values[place] for place in order)
