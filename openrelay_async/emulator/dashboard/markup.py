"""HTML that is escaped by construction: text becomes markup only through `element`, which escapes it."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from typing import TypeAlias


class Markup(str):
    """HTML that may be sent as it is. Only this module makes it."""

    __slots__ = ()


Child: TypeAlias = "str | Markup | Iterable[Child] | None"

_VOID = frozenset({"br", "hr", "input", "link", "meta"})


def element(tag: str, /, *children: Child, **attributes: str | bool | None) -> Markup:
    """Return an element; texts and attribute values are escaped.

    Args:
        tag: its name, a constant.
        children: texts, markup, lists of them; `None` is nothing.
        attributes: `class_`, `for_`, `data_key` become `class`, `for`, `data-key`; `True` is an attribute
            without a value, `None` and `False` are left out.
    """
    head = f"<{tag}{''.join(_attribute(key, value) for key, value in attributes.items())}>"
    if tag in _VOID:
        return Markup(head)
    return Markup(f"{head}{join(children)}</{tag}>")


def join(children: Child) -> Markup:
    """Return texts and markup as one piece of markup."""
    if children is None:
        return Markup("")
    if isinstance(children, Markup):
        return children
    if isinstance(children, str):
        return Markup(escape(children))
    return Markup("".join(join(child) for child in children))


def document(*, language: str, head: Child, body: Markup) -> str:
    """Return a whole page."""
    return f"<!doctype html>\n{element('html', element('head', head), body, lang=language)}\n"


def _attribute(key: str, value: str | bool | None) -> str:
    if value is None or value is False:
        return ""
    name = key.rstrip("_").replace("_", "-")
    return f" {name}" if value is True else f' {name}="{escape(value)}"'
