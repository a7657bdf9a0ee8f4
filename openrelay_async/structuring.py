"""How decoded JSON becomes models: strictly, and naming the place where it does not.

Nothing is coerced: `"5"` is no integer and `true` is no number, but an integer may stand for a float. What
the service may leave out becomes `None`, or an empty list or map; so does `null` there. A time is an aware
`datetime`; an empty text where a time is meant is `None`, also where the description calls the time
required, because Go services write an unset time so. A required field that is absent is an error, and so is
`null` there unless it is a list or a map.

A model says what it holds in `wire_fields`; its `Reader`, made when first needed, goes by them. One object
is read field by field. Many are read column by column where they have the same fields, as most rows of a
page have: a column is checked by one call into C, and a loop made at build time (the model's `fill`) puts
the columns into the models. Where a column is not as described, the rows are read one by one, to say which
is wrong.
"""

from __future__ import annotations

import functools
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from itertools import repeat, starmap
from operator import itemgetter
from types import MappingProxyType
from typing import Any, Final, Generic, TypeVar

from openrelay_async.decoded_values import SCALARS, StructureError, join_path, name_json_type, read_time
from openrelay_async.model_classes import Kind, WireField, find_model
from openrelay_async.row_shape import MOST_SHAPES, RowShape

__all__ = [
    "NOTHING_EXTRA",
    "Fill",
    "Reader",
    "StructureError",
    "find_reader",
    "structure",
    "structure_empty",
    "structure_list",
]

T = TypeVar("T")

Fill = Callable[[Iterable[Any]], None]
"""Takes rows of a draft, its fields in the order of `wire_fields`, and `extra`: makes the draft a model."""

NOTHING_EXTRA: Final[Mapping[str, object]] = MappingProxyType({})
"""What a model has in `extra` where every field is known: one for all, so it cannot be written to."""
MANY: Final = 12
"""From how many rows on reading by column pays."""
_UNCHANGED: Final = frozenset({"string", "integer", "number", "boolean", "json"})
"""Kinds whose values are the JSON decoder's own."""
_EXACT: Final[Mapping[str, type[object]]] = {
    "string": str,
    "integer": int,
    "number": float,
    "boolean": bool,
}


def structure(raw: object, model: type[T]) -> T:
    """Return decoded JSON as a model.

    Args:
        raw: what the JSON decoder gave.
        model: one of the SDK's models.

    Raises:
        StructureError: `raw` is not what the API description says.
    """
    reader = find_reader(model)
    try:
        return reader.read(raw)
    except StructureError as error:
        path, problem = error.path, error.problem
    # Raised anew, without what was read: neither the traceback's frames nor a chained error may show it.
    del raw
    raise StructureError(path, problem)


def structure_list(raw: object, item: type[T], *, at: str = "") -> list[T]:
    """Return a decoded JSON list as models; `null` is an empty list.

    Args:
        raw: what the JSON decoder gave.
        item: the model of an item.
        at: the list's own place, for errors: `items` makes them read `items[3].createdAt`.

    Raises:
        StructureError: `raw` is not a list, or an item is not what the API description says.
    """
    reader = find_reader(item)
    try:
        return reader.read_list(raw)
    except StructureError as error:
        path, problem = join_path(at, error.path), error.problem
    del raw
    raise StructureError(path, problem)


def structure_empty(model: type[T]) -> T:
    """Return the model of a success without a body (204): every list and map empty.

    Raises:
        StructureError: the model requires more than lists and maps.
    """
    return find_reader(model).read_nothing()


def find_reader(model: type[T]) -> Reader[T]:
    """Return what reads a model."""
    reader = getattr(model, "reader", None)
    if isinstance(reader, Reader):
        return reader
    raise TypeError(f"{model.__name__} is not one of the SDK's models")


class Reader(Generic[T]):
    """Reads decoded JSON objects as one model."""

    __slots__ = ("_draft", "_fields", "_fill", "_known", "_shapes")

    def __init__(
        self,
        model: type[T],
        fields: Iterable[tuple[WireField, Callable[[], object]]],
        draft: type[Any],
        fill: Fill,
    ) -> None:
        """Make the reader of a model.

        Args:
            model: the class.
            fields: what it holds, and what gives each field's value where it is absent.
            draft: a mutable twin of the class; filling a frozen object costs twice as much.
            fill: fills drafts and makes them models.
        """
        self._draft = draft
        self._fill = fill
        self._fields = tuple(_Field(model, field, default) for field, default in fields)
        self._known = frozenset(field.wire for field in self._fields)
        self._shapes: dict[tuple[str, ...], RowShape] = {}

    def read(self, raw: object) -> T:
        """Return one object."""
        if not isinstance(raw, dict):
            raise StructureError("", f"must be an object, is {name_json_type(raw)}")
        shape = self._shapes.get(tuple(raw)) or self._learn_shape(raw)
        values: list[Any] = [*raw.values(), None]
        types = tuple(map(type, values))
        if types not in shape.seen:
            self._check(raw)
            shape.remember(types)
        for place, field in shape.conversions:
            try:
                values[place] = field.read(values[place], raw)
            except StructureError as error:
                error.path = join_path(field.wire, error.path)
                raise
        values += [make() for make in shape.fresh]
        draft: Any = self._draft()
        extra = NOTHING_EXTRA if shape.is_known else self._keep_unknown(raw)
        self._fill(((draft, *shape.pick(values), extra),))
        model: T = draft
        return model

    def _learn_shape(self, raw: Mapping[str, object]) -> RowShape:
        """Return the shape of an object that nothing required is missing from; remember it for others."""
        self._check(raw)
        shape = RowShape(tuple(raw), self._fields)
        if len(self._shapes) < MOST_SHAPES:
            self._shapes[tuple(raw)] = shape
        return shape

    def _check(self, raw: Mapping[str, object]) -> None:
        """Raise the error of the first field that is wrong."""
        for field in self._fields:
            try:
                field.read(raw.get(field.wire), raw)
            except StructureError as error:
                error.path = join_path(field.wire, error.path)
                raise

    def read_list(self, raw: object) -> list[T]:
        """Return a list of objects; null is an empty list."""
        if raw is None:
            return []
        if not isinstance(raw, list):
            raise StructureError("", f"must be an array, is {name_json_type(raw)}")
        if len(raw) >= MANY:
            try:
                return self._read_many(raw)
            except (StructureError, TypeError, LookupError, AttributeError):
                pass  # some row is not as described: reading one by one tells which, and how
        models = []
        for index, row in enumerate(raw):
            try:
                models.append(self.read(row))
            except StructureError as error:
                error.path = join_path(f"[{index}]", error.path)
                raise
        return models

    def read_nothing(self) -> T:
        """Return the object of an answer without a body."""
        return self.read(
            {field.wire: None for field in self._fields if isinstance(field.make_default(), list | dict)}
        )

    def _read_many(self, rows: list[dict[str, Any]]) -> list[T]:
        names = tuple(rows[0])
        if set(map(len, rows)) == {len(names)}:
            try:
                return self._read_alike(names, rows)
            except KeyError:
                pass
        groups: dict[tuple[str, ...], list[int]] = defaultdict(list)
        for index, shape in enumerate(map(tuple, rows)):
            groups[shape].append(index)
        models: dict[int, T] = {}
        for shape, indexes in groups.items():
            models.update(zip(indexes, self._read_alike(shape, [rows[i] for i in indexes]), strict=True))
        return [models[index] for index in range(len(rows))]

    def _read_alike(self, names: tuple[str, ...], rows: list[dict[str, Any]]) -> list[T]:
        """Return rows that have the same fields, or raise `KeyError` where they do not."""
        width = len(names)
        if width < 2:
            return [self.read(row) for row in rows]
        flat: list[object] = []
        for values in map(itemgetter(*names), rows):
            flat += values
        given = {name: flat[start::width] for start, name in enumerate(names)}
        columns: list[Iterable[object]] = [
            field.read_column(given.pop(field.wire)) if field.wire in given else field.absent_column(rows)
            for field in self._fields
        ]
        columns.append([self._keep_unknown(row) for row in rows] if given else repeat(NOTHING_EXTRA))
        drafts: list[Any] = list(starmap(self._draft, repeat((), len(rows))))
        self._fill(zip(drafts, *columns))  # noqa: B905 - some columns repeat for ever
        return drafts

    def _keep_unknown(self, raw: Mapping[str, object]) -> Mapping[str, object]:
        return MappingProxyType({name: value for name, value in raw.items() if name not in self._known})


class _Field:
    """How one field of a model is read."""

    __slots__ = ("_default", "exact", "is_plain", "nullable", "read_value", "required", "wire")

    def __init__(self, owner: type[object], field: WireField, default: Callable[[], object]) -> None:
        _, self.wire, kind, self.required, self.nullable = field
        self.read_value = _make_reader(owner, kind)
        self._default = default
        self.exact = _EXACT.get(kind) if isinstance(kind, str) else None
        """The type whose values are taken as they are."""
        self.is_plain = kind in _UNCHANGED and default() is None and not (self.required and self.nullable)
        """Whether what `dict.get` gives is the field's value, if its type is right."""

    def make_default(self) -> object:
        """Return the value where the field is absent or null."""
        return self._default()

    def read(self, value: object, raw: Mapping[str, object]) -> object:
        """Return the field's value in an object, from what `dict.get` gives."""
        if value is not None:
            return self.read_value(value)
        if self.wire in raw:
            return self.read_null()
        if self.required:
            raise StructureError("", "missing")
        return self.make_default()

    def read_null(self) -> object:
        if self.nullable:
            return None
        default = self.make_default()
        if self.required and not isinstance(default, list | dict):
            return self.read_value(None)
        return default

    def read_column(self, column: list[Any]) -> Iterable[object]:
        """Return the field's values in many rows, none of which lacks it."""
        if self.exact is str:
            try:
                "".join(column)  # a check at the speed of C: it takes nothing but texts
            except TypeError:
                pass
            else:
                return column
        elif self.exact is not None:
            if set(map(type, column)) == {self.exact}:
                return column
        elif self.read_value is read_time:
            try:
                times = [time for time in map(datetime.fromisoformat, column) if time.tzinfo is not None]
            except (TypeError, ValueError):
                pass
            else:
                if len(times) == len(column):
                    return times
        return [self.read_null() if value is None else self.read_value(value) for value in column]

    def absent_column(self, rows: Sequence[object]) -> Iterable[object]:
        """Return the field's values in rows that all lack it."""
        if self.required:
            raise StructureError("", "missing")
        default = self.make_default()
        return [self.make_default() for _ in rows] if isinstance(default, list | dict) else repeat(default)


def _make_reader(owner: type[object], kind: Kind) -> Callable[[object], object]:
    """Return the function that reads a value of a kind, which is not null."""
    if isinstance(kind, str):
        return SCALARS[kind]
    shape, inner = kind
    if shape == "model":
        model = find_model(owner, str(inner))
        return lambda value: find_reader(model).read(value)
    if shape == "list" and isinstance(inner, tuple) and inner[0] == "model":
        item_model = find_model(owner, str(inner[1]))
        return lambda value: find_reader(item_model).read_list(value)
    read_item = _make_reader(owner, inner)
    if shape == "nullable":
        return lambda value: None if value is None else read_item(value)
    return functools.partial(_read_items if shape == "list" else _read_map, read_item)


def _read_items(read_item: Callable[[object], object], value: object) -> list[object]:
    if not isinstance(value, list):
        raise StructureError("", f"must be an array, is {name_json_type(value)}")
    items = []
    for index, item in enumerate(value):
        try:
            items.append(read_item(item))
        except StructureError as error:
            error.path = join_path(f"[{index}]", error.path)
            raise
    return items


def _read_map(read_item: Callable[[object], object], value: object) -> dict[str, object]:
    if not isinstance(value, dict):
        raise StructureError("", f"must be an object, is {name_json_type(value)}")
    try:
        return {key: read_item(item) for key, item in value.items()}
    except StructureError as error:
        error.path = join_path("[…]", error.path)  # keys are data, which may be private: errors name none
        raise
