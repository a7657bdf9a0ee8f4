"""What all models share: frozen, slotted attrs classes that know their wire names."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import date, datetime
from typing import TYPE_CHECKING, Any, ClassVar, Final, Self, TypeVar

import attrs
from attrs.exceptions import FrozenInstanceError

from openrelay_async.model_classes import (
    Kind,  # noqa: F401 - `typing.get_type_hints` looks for it here, as `WireField` names it
    LazyAttributes,
    WireField,
    make_slotted,
)
from openrelay_async.redaction import Secret, conceal
from openrelay_async.structuring import (
    NOTHING_EXTRA,
    Fill,
    Reader,
    StructureError,
    structure,
)
from openrelay_async.unset import UNSET, AbsentList, AbsentMap, is_absent
from openrelay_async.wire import encode_date, encode_time

C = TypeVar("C", bound=type)

_EMPTY: Final[Mapping[object, Callable[[], object]]] = {"list": list, "map": dict}
"""What makes the empty value of a kind, such as `("list", "string")`."""
_ABSENT: Final[Mapping[object, Callable[[], object]]] = {"list": AbsentList, "map": AbsentMap}
"""The same for models that requests hold too: a list that an answer lacked is not sent back."""

if TYPE_CHECKING:
    # Type checkers shall see attrs' own decorator, which they know: constructors, `attrs.evolve`, freezing.
    from attrs import frozen as frozen
else:

    def frozen(*, kw_only: bool) -> Callable[[C], C]:
        """Make a frozen, slotted attrs class whose methods are those of `ApiModel`."""
        return make_slotted


class _LazyReader:
    """Descriptor: a model's `Reader`, made when it is first asked for and kept by the class."""

    def __get__(self, instance: object, model: type[Any]) -> Reader[Any]:
        reader: Reader[Any] | None = vars(model).get("_reader")
        if reader is None:
            reader = model._reader = _make_reader(model)
        return reader


def _make_reader(model: type[Any]) -> Reader[Any]:
    fields = [(field, _default_of(model, field)) for field in model.wire_fields]
    fill = vars(model).get("fill") or functools.partial(_fill_any, model)
    return Reader(model, fields, _make_draft(model), fill)


def _default_of(model: type[Any], field: WireField) -> Callable[[], object]:
    """Return what gives a field's value where it is absent or null."""
    attribute, _, kind, required, _ = field
    default = model.field_defaults.get(attribute)
    if default is not UNSET and kind[0] in _EMPTY:
        return (_ABSENT if model.is_argument and not required else _EMPTY)[kind[0]]
    return lambda: default


def _make_draft(model: type[Any]) -> type[Any]:
    """Return a mutable twin of a model's class, with the same slots: an object may switch between the two."""
    # `object`'s own methods, so that CPython takes its quick way to construct and to set attributes.
    plain = {name: getattr(object, name) for name in ("__init__", "__setattr__", "__delattr__")}
    return type(f"{model.__name__}Draft", (model,), {"__slots__": (), **plain})


def _fill_any(model: type[Any], rows: Iterable[Any]) -> None:
    """Fill drafts of a model that has no generated `fill`."""
    names = [*(field[0] for field in model.wire_fields), "extra"]
    for draft, *values in rows:
        for name, value in zip(names, values, strict=True):
            setattr(draft, name, value)
        draft.__class__ = model


@frozen(kw_only=True)
class ApiModel:
    """An object of the API.

    Models are values: frozen, comparable, hashable where their fields are, and they never hold a client.
    Fields that the SDK does not know yet are kept in `extra`.
    """

    extra: Mapping[str, object] = NOTHING_EXTRA
    """Fields of the answer that this version of the SDK does not know, by wire name."""

    wire_fields: ClassVar[tuple[WireField, ...]] = ()
    field_defaults: ClassVar[Mapping[str, object]]
    """What stands behind the fields in the class's source."""
    reader: ClassVar[_LazyReader] = _LazyReader()
    """What reads the model; made for each class when first asked for."""
    fill: ClassVar[Fill | None] = None
    """Puts values into drafts of the model, and makes them models: written by the generator."""
    is_argument: ClassVar[bool] = False
    """Whether requests hold it as well: then a field that its constructor is not given is `UNSET`."""

    @classmethod
    def from_wire(cls, raw: Mapping[str, object]) -> Self:
        """Return the model of a decoded JSON object, in wire names.

        Raises:
            StructureError: `raw` is not what the API description says; it names the field, never a value.
        """
        try:
            return structure(_as_decoded(raw), cls)
        except StructureError as error:
            path, problem = error.path, error.problem
        del raw  # it may hold secrets, and a traceback shows this frame
        raise StructureError(path, problem)

    def to_wire(self, reveal: bool = False) -> dict[str, object]:
        """Return the model as JSON values in wire names; fields that are absent are left out.

        Args:
            reveal: give the plaintext of secrets, not their masks.
        """
        wire: dict[str, object] = {}
        for attribute, name, kind, required, nullable in self.wire_fields:
            value = getattr(self, attribute)
            if is_absent(value):
                continue
            # In an answer, these are what absent fields become; in a request they were given.
            is_received = not required and self.field_defaults.get(attribute) is not UNSET
            if is_received and (value is None or (not self.is_argument and value in ([], {}))):
                continue
            if value is None and kind == "time" and not nullable:
                value = ""
            wire[name] = _unstructure(value, reveal)
        wire.update(self.extra)
        return wire

    if not TYPE_CHECKING:
        # Out of type checkers' sight: what they know of attrs' frozen classes is more exact.
        __attrs_attrs__ = LazyAttributes()

        def __init__(self, **values: object) -> None:
            cls = type(self)
            put = object.__setattr__
            problem = ""
            put(self, "extra", values.pop("extra", NOTHING_EXTRA))
            for field in cls.wire_fields:
                name = field[0]
                if name in values:
                    put(self, name, conceal(values.pop(name)) if "secret" in field[2] else values.pop(name))
                elif name in cls.field_defaults:
                    put(self, name, UNSET if cls.is_argument else _default_of(cls, field)())
                else:
                    problem = f"{cls.__name__} needs the argument {name!r}"
                    break
            if values and not problem:
                problem = f"{cls.__name__} has no field {', '.join(sorted(values))}"
            if problem:
                del values  # secrets may be among what was not reached, and a traceback shows this frame
                raise TypeError(problem)

        def __setattr__(self, name: str, value: object) -> None:
            raise FrozenInstanceError

        def __delattr__(self, name: str) -> None:
            raise FrozenInstanceError

    def __replace__(self, **changes: Any) -> Self:
        return attrs.evolve(self, **changes)

    def __repr__(self) -> str:
        fields = [f"{name}={value!r}" for name, value in self._shown()]
        if extra := getattr(self, "extra", None):
            # Nobody has said that they are no secrets.
            fields.append(f"extra=<{', '.join(sorted(extra))}>")
        return f"{type(self).__name__}({', '.join(fields)})"

    def _repr_html_(self) -> str:
        """Return the model as a table, for notebooks."""
        from openrelay_async.display import show_model  # only notebooks need it

        return show_model(self)

    def _shown(self) -> Iterator[tuple[str, object]]:
        for attribute, _, _, _, _ in self.wire_fields:
            # `None` also in a model that is half made: the traceback of its constructor shows it.
            value = getattr(self, attribute, None)
            if value is not None and value is not UNSET and value != [] and value != {}:
                yield attribute, value

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, ApiModel) or type(other) is not type(self):
            return NotImplemented
        return self._values() == other._values() and self.extra == other.extra

    def __hash__(self) -> int:
        return hash((type(self), self._values()))

    def _values(self) -> tuple[object, ...]:
        return tuple(getattr(self, attribute) for attribute, _, _, _, _ in self.wire_fields)

    def __reduce__(self) -> tuple[object, ...]:
        return _restore, (type(self), self._values(), dict(self.extra))


def _as_decoded(raw: object) -> object:
    return dict(raw) if isinstance(raw, Mapping) else raw


def _restore(model: type[ApiModel], values: tuple[object, ...], extra: dict[str, object]) -> ApiModel:
    names = (field[0] for field in model.wire_fields)
    arguments: dict[str, Any] = dict(zip(names, values, strict=True))
    return model(**arguments, extra=extra or NOTHING_EXTRA)


def _unstructure(value: object, reveal: bool) -> object:
    if isinstance(value, Secret):
        return value.reveal() if reveal else repr(value)
    if isinstance(value, ApiModel):
        return value.to_wire(reveal)
    if isinstance(value, datetime):
        return encode_time(value, "time")
    if isinstance(value, date):
        return encode_date(value, "date")
    if isinstance(value, Mapping):
        return {key: _unstructure(item, reveal) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_unstructure(item, reveal) for item in value]
    return value
