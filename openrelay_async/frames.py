"""Lists of models as pandas `DataFrame`s, for those who have pandas: the extra `pandas`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from openrelay_async.cells import Structured
from openrelay_async.redaction import Secret
from openrelay_async.unset import UNSET

if TYPE_CHECKING:
    from pandas import DataFrame


def list_to_frame(items: Iterable[object]) -> DataFrame:
    """Return models as a `DataFrame`: a row for each, a column for each field.

    A model in a model becomes columns with a dot: `network.ip`. Times are time zone aware, lists and maps
    stay objects, and secrets are their masks: a frame is printed, pickled and saved. `.convert_dtypes()`
    makes integers of columns with gaps.

    Args:
        items: models of the API, all of one kind.

    Raises:
        ImportError: pandas is not installed.
        TypeError: something else than models.
    """
    try:
        from pandas import DataFrame  # an extra, and slow to import
    except ImportError:
        DataFrame = None  # type: ignore[assignment, misc]  # noqa: N806 - told below, without a chain
    if DataFrame is None:
        raise ImportError("list_to_frame needs pandas: pip install 'openrelay-async[pandas]'")
    if not isinstance(items, Iterable):
        raise TypeError(f"a frame is made of a list of models, not of {type(items).__name__}")
    rows = [_flatten(item) for item in items]
    columns = list(dict.fromkeys(name for row in rows for name in row))
    return DataFrame(rows, columns=columns)


def _flatten(model: object, prefix: str = "") -> dict[str, object]:
    if not isinstance(model, Structured):
        raise TypeError(f"a frame is made of models of the API, not of {type(model).__name__}")
    row: dict[str, object] = {}
    for field in model.wire_fields:
        name = str(field[0])
        value = getattr(model, name)
        if isinstance(value, Structured):
            row |= _flatten(value, f"{prefix}{name}.")
        else:
            row[prefix + name] = _plain(value)
    return row


def _plain(value: object) -> object:
    if value is UNSET:
        return None
    if isinstance(value, Secret):
        return repr(value)
    if isinstance(value, Mapping):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_plain(each) for each in value]
    return value
