"""The imports of a module that is rendered, from the words in it.

One too many does no harm: those that are not used are taken out when the file is formatted.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from .layout import PACKAGE as MODELS
from .layout import Layout

STANDARD: Mapping[str, Sequence[str]] = {
    "collections.abc": ("AsyncGenerator", "Generator", "Iterable", "Mapping", "Sequence"),
    "datetime": ("date", "datetime"),
    "typing": ("Literal", "cast", "overload"),
    "openrelay_async.redaction": ("Secret", "conceal"),
    "openrelay_async.resource": ("Calls",),
    "openrelay_async.unset": ("UNSET", "Unset"),
    "openrelay_async.upload": ("FileSource",),
    "openrelay_async.wait_limits": ("DEFAULT_FAILURES", "DEFAULT_TIMEOUT"),
}
"""What both packages' resources may name: module → names."""


def list_words(texts: Iterable[str]) -> set[str]:
    return set("".join(c if c.isalnum() or c == "_" else " " for c in " ".join(texts)).split())


def spell_imports(words: set[str], places: Mapping[str, Sequence[str]]) -> list[str]:
    """Return the imports of those names that are among the words."""
    lines = [f"import {module}" for module in ("builtins", "uuid") if module in words]
    for module, names in places.items():
        if used := sorted(words & set(names)):
            lines.append(f"from {module} import {', '.join(used)}")
    return lines


def place_models(words: set[str], layout: Layout) -> dict[str, list[str]]:
    """Return the models that are among the words: module → names."""
    models: dict[str, list[str]] = defaultdict(list)
    for model in sorted(words & set(layout.places)):
        models[f"{MODELS}.{layout.places[model]}"].append(model)
    return models
