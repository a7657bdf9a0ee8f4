"""Methods as their callers see them: names, types, defaults and docstrings."""

from __future__ import annotations

from collections.abc import Iterable

from attrs import evolve, frozen

from .forms import Operation, Property
from .overrides import Overrides
from .spell import annotate, describe_value, wrap

_FAILURES = {
    "402": ("PaymentRequired", "the balance or the payment method does not cover it."),
    "404": ("NotFound", "what an id names does not exist, or the key cannot see it."),
    "409": ("Conflict", "the present state does not allow it."),
    "410": ("Gone", "it has expired or was used already."),
    "413": ("PayloadTooLarge", "more than the service takes."),
    "422": ("Unprocessable", "understood, but it cannot be done as asked."),
}
_NOT_SERVED = ("NotFound", "the service does not serve this operation.")
_NO_ROOM = ("CapacityUnavailable", "no room for it now; not retried.")
_STILL_NO_ROOM = ("CapacityUnavailable", "no room for it now, or in all of `wait_for_capacity`.")


@frozen
class Argument:
    """A parameter of a method."""

    name: str
    annotation: str
    default: str | None = None
    text: str | None = None

    @property
    def spelled(self) -> str:
        text = f"{self.name}: {self.annotation}"
        return text if self.default is None else f"{text} = {self.default}"


_FILE = Argument(
    "file", "FileSource", text="A path, the bytes, or a binary file object; streamed, never read whole."
)
_FILENAME = Argument(
    "filename", "str | None", "None", "Name of the file at the service; by default the path's or file's own."
)
_REQUIRED_ORG = Argument("org_id", "str", None, "Organization id; never taken from the client.")
_ORG = Argument("org_id", "str | None", "None", "Organization id; by default the client's organization.")
_WHAT_A_KEY_DOES = "Key that makes a repeat of this call harmless; made when left out."
_IDEMPOTENCY_KEY = {
    "header": Argument("idempotency_key", "str | None", "None", _WHAT_A_KEY_DOES),
    # A property as all others: the description allows no null.
    "body": Argument("idempotency_key", "str | Unset", "UNSET", _WHAT_A_KEY_DOES),
}
_PAGING = (
    Argument("page_size", "int | None", "None", "Items to ask for at once; by default the service's choice."),
    Argument("cursor", "str | None", "None", "Where to resume: the `next_cursor` of a page seen before."),
    Argument("max_items", "int | None", "None", "Stop after so many items."),
    Argument("prefetch", "bool", "False", "Fetch the next page while the present one is consumed."),
)


def _make_timeout(text: str) -> Argument:
    return Argument("timeout", "float | None", "None", text)


_TIMEOUT = _make_timeout("Limit of the whole call in seconds, retries included; by default the client's.")
_PAGE_TIMEOUT = _make_timeout(
    "Limit of each page's call in seconds, retries included; by default the client's."
)
_UPLOAD_TIMEOUT = _make_timeout(
    "Limit of the whole call in seconds, the file included; by default it takes as long as something moves."
)
_DOWNLOAD_TIMEOUT = _make_timeout(
    "Limit of the whole call in seconds, the content included; by default the client's until the content "
    "begins, which then takes as long as something moves."
)


_PATIENCE = Argument(
    "wait_for_capacity",
    "float | bool | None",
    "None",
    "Seconds to wait when there is no room, `True` for as long as it takes: availability is watched, and"
    " only `CapacityUnavailable` has it tried again, with the same idempotency key where there is one. By"
    " default, it is raised at once.",
)


@frozen
class Signature:
    """A method as its callers see it, the same for both packages."""

    name: str
    positional: tuple[Argument, ...]
    keywords: tuple[Argument, ...]
    returns: str
    is_async: bool
    doc: str

    def spell(self, *, is_async: bool) -> str:
        arguments = ["self", *(each.spelled for each in self.positional)]
        if self.keywords:
            arguments += ["*", *(each.spelled for each in self.keywords)]
        return f"{'async ' if is_async else ''}def {self.name}({', '.join(arguments)}) -> {self.returns}:"


def describe_signatures(operations: Iterable[Operation], overrides: Overrides) -> tuple[Signature, ...]:
    operations = tuple(operations)
    shadowed = any(each.method == "list" for each in operations)
    signatures = (_describe_signature(each, overrides) for each in operations)
    return tuple(_spare_builtin(each) if shadowed else each for each in signatures)


def _spare_builtin(signature: Signature) -> Signature:
    """In a class with a method `list`, annotations must name the builtin in full."""
    return evolve(signature, returns=signature.returns.replace("list[", "builtins.list["))


def _describe_signature(operation: Operation, overrides: Overrides) -> Signature:
    positional = tuple(Argument(each.name, "str", text=each.text) for each in operation.path_ids)
    keywords = tuple(_list_keywords(operation, overrides))
    return Signature(
        name=operation.method,
        positional=positional,
        keywords=keywords,
        returns=_spell_returns(operation),
        is_async=operation.answer not in ("page", "download"),
        doc=_write_doc(operation, (*positional, *keywords), overrides),
    )


def _list_keywords(operation: Operation, overrides: Overrides) -> Iterable[Argument]:
    if operation.body_kind == "multipart":
        yield _FILE
    given = sorted((*operation.body, *operation.query), key=lambda each: not each.required)
    for each in given:
        if each.required:
            yield Argument(each.name, annotate(each.shape, "argument"), None, _describe(each))
    if operation.org_required:
        yield _REQUIRED_ORG
    for each in given:
        if not each.required:
            annotation = f"{annotate(each.shape, 'argument')} | Unset"
            yield Argument(each.name, annotation, "UNSET", _describe(each))
    if operation.body_kind == "multipart":
        yield _FILENAME
    if operation.answer == "page":
        yield from _PAGING
    if operation.takes_org and not operation.org_required:
        yield _ORG
    if operation.idempotency_key is not None:
        yield _IDEMPOTENCY_KEY[operation.idempotency_key.place]
    yield _choose_timeout(operation)
    if operation.id in overrides.patience:
        yield _PATIENCE


def _choose_timeout(operation: Operation) -> Argument:
    if operation.body_kind == "multipart":
        return _UPLOAD_TIMEOUT
    return {"page": _PAGE_TIMEOUT, "download": _DOWNLOAD_TIMEOUT}.get(operation.answer, _TIMEOUT)


def _describe(each: Property) -> str | None:
    text = describe_value(each)
    if each.shape.enum:
        known = "Known: " + ", ".join(f"`{value}`" for value in each.shape.enum) + "."
        if not text:
            return known
        if not all(f"`{value}`" in text for value in each.shape.enum):
            return f"{text} {known}"
    return text


def _spell_returns(operation: Operation) -> str:
    item = operation.returns.model if operation.returns is not None else None
    return {
        "model": f"{item}",
        "list": f"list[{item}]",
        "nothing": "None",
        "secret_text": "Secret",
        "download": "DownloadCall",
        "page": f"PagedCall[{item}]",
    }[operation.answer]


def _write_doc(operation: Operation, arguments: Iterable[Argument], overrides: Overrides) -> str:
    """Return a method's docstring, indented for the class body."""
    parts = [wrap(operation.summary, 8)]
    if operation.notes:
        parts.append(wrap(operation.notes, 8))
    parts.append("Args:\n" + "\n".join(f"            {_describe_argument(each)}" for each in arguments))
    if returned := _describe_returned(operation):
        parts.append(f"Returns:\n            {wrap(returned, 12, 4)}")
    if raises := _list_failures(operation, overrides):
        lines = "\n".join(f"            {wrap(f'{name}: {text}', 12, 4)}" for name, text in raises)
        parts.append(f"Raises:\n{lines}")
    facts = [f"`{operation.http_method} {operation.path}` ({operation.id})"]
    if len(operation.generations) == 1:
        facts.append(f"only generation {operation.generations[0]}")
    if operation.scope:
        facts.append(f"scope `{operation.scope}`")
    if operation.session_only:
        facts.append("only with a dashboard session")
    if operation.host == "inference":
        facts.append("inference host")
    parts.append(wrap(f"Source: {', '.join(facts)}.", 8))
    return "\n\n        ".join(parts) + "\n        "


def _describe_returned(operation: Operation) -> str | None:
    item = _lower_first(operation.returned)
    return {
        "model": operation.returned,
        "list": f"A list; each item: {item}" if item else None,
        "page": f"The list, to take whole or to iterate; each item: {item}" if item else None,
        "nothing": None,
        "secret_text": "The text, which has a credential in it; `reveal()` shows it.",
        "download": "The content, to take whole, in chunks, or to save to a file.",
    }[operation.answer]


def _describe_argument(argument: Argument) -> str:
    if not argument.text:
        return argument.name
    return wrap(f"{argument.name}: {_lower_first(argument.text)}", 12, 4)


def _lower_first(text: str | None) -> str:
    if not text:
        return ""
    first = text.split(maxsplit=1)[0]
    # Acronyms keep their case, a sentence's first word loses it.
    is_acronym = len(first) > 1 and first[:2].isupper()
    return text if is_acronym or first.startswith("`") else text[:1].lower() + text[1:]


def _list_failures(operation: Operation, overrides: Overrides) -> list[tuple[str, str]]:
    raises = [_FAILURES[status] for status in operation.failures if status in _FAILURES]
    if not operation.path_ids and not operation.takes_org:
        # Nothing is looked up: a generation that does not serve the operation answers so.
        raises = [_NOT_SERVED if name == "NotFound" else (name, text) for name, text in raises]
    if operation.id in overrides.patience:
        raises.append(_STILL_NO_ROOM)
    elif operation.id in overrides.capacity:
        raises.append(_NO_ROOM)
    return raises
