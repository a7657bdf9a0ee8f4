"""The objects of the API: `from openrelay_async.models import VmSummary`.

Each resource's models are loaded when the first of them is used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from openrelay_async.generated import models as _generated

if TYPE_CHECKING:
    from openrelay_async.generated.models import *  # noqa: F403 - for type checkers and editors
else:  # a type checker shall not take every misspelt name for a model
    __all__ = _generated.__all__

    def __getattr__(name: str) -> object:
        return getattr(_generated, name)


def __dir__() -> list[str]:
    return list(_generated.__all__)
