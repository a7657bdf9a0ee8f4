"""The methods that wait and watch: what differs from resource to resource, for `templates/waits.jinja`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from attrs import frozen
from jinja2 import Environment

from openrelay_async.lifecycles import Goal

from .forms import Operation
from .load_waits import Waits, alias_home
from .overrides import Overrides
from .refuse import DescriptionError, as_object, optional_text, point, refuse_unknown
from .render_operations import constant_name
from .spell import quote

PACKAGE = "openrelay_async.generated.resources"
ROWS = "openrelay_async.generated.operation_rows"


@frozen
class Overload:
    until: str
    returns: str


@frozen
class WaitingKind:
    """What the template is told of a kind of resource."""

    resource: str
    constant: str
    noun: str
    nouns: str
    item: str
    takes_org: bool
    is_paged: bool
    borrowed_imports: tuple[str, ...]
    readers: tuple[tuple[str, str], ...]
    """Variables and classes of the resources that read it."""
    reads_singly: bool
    source: str
    """The arguments of `Source`."""
    until: str
    until_something: str
    """Only goals of which something is left."""
    default: str
    returns: str
    resumed_returns: str
    overloads: tuple[Overload, ...]
    goals: str
    notes: str
    until_note: str

    def spell_wait(self, arguments: str) -> str:
        return self._spell(arguments, self.returns)

    def spell_resumed(self, arguments: str) -> str:
        return self._spell(arguments, self.resumed_returns)

    def _spell(self, arguments: str, returns: str) -> str:
        call = f"await fleet.wait({arguments})"
        return call if returns == f"{self.item} | None" else f"cast({quote(returns)}, {call})"


@frozen
class WaitMethods:
    """What a resource has besides its operations."""

    block: str
    """The methods, indented for a class."""
    imports: tuple[str, ...]
    """What only annotations name."""
    alias: str | None
    """The type that the module makes, `Name = …`."""


def render_waits(
    waits: Waits, words: Mapping[str, object], overrides: Overrides, templates: Environment
) -> WaitMethods:
    """Return a resource's methods that wait."""
    kind = _describe_kind(waits, words, overrides)
    imports = [
        "from openrelay_async.fleets import Fleet",
        "from openrelay_async.poll_source import Source",
        f"from openrelay_async.waiting import OnUpdate, WaitOutcome{', WaitToken' if kind.takes_org else ''}",
        "from openrelay_async.watching import Change",
    ]
    home, alias = alias_home(waits), None
    if home == waits.resource:
        alias = f"{waits.either} = {' | '.join(_list_types(waits))}"
    elif home is not None:
        imports.append(f"from {PACKAGE}.{home} import {waits.either}")
    return WaitMethods(
        templates.get_template("waits.jinja").render(kind=kind).rstrip("\n"), tuple(imports), alias
    )


def _describe_kind(waits: Waits, words: Mapping[str, object], overrides: Overrides) -> WaitingKind:
    at = point("waits.toml", waits.resource)
    entry = as_object(words.get(waits.resource, {}), at)
    refuse_unknown(entry, {"goals", "notes", "until"}, at)
    goals = optional_text(entry, "goals", at) or _join([f"`{goal.name}`" for goal in waits.goals])
    for goal in waits.goals:
        if f"`{goal.name}`" not in goals:
            raise DescriptionError(point(at, "goals"), f"must name `{goal.name}`")
    something = [goal for goal in waits.goals if goal.returns != "nothing"]
    operations = [*_list_readings(waits), *([waits.read_reason] if waits.read_reason else [])]
    readers = dict.fromkeys(each.resource for each in operations)
    left = "" if something == list(waits.goals) else " | None"
    return WaitingKind(
        resource=waits.resource,
        constant=waits.constant,
        noun=waits.lifecycle.noun,
        nouns=_spell_plural(waits.lifecycle.noun),
        item=waits.item,
        takes_org=waits.listed.takes_org,
        is_paged=waits.listed.answer == "page",
        borrowed_imports=(
            *(
                f"from {PACKAGE}.{each} import {overrides.class_of(each)}"
                for each in readers
                if each != waits.resource
            ),
            *(
                f"from {ROWS}.{each.resource} import {constant_name(each)}"
                for each in operations
                if each.resource != waits.resource
            ),
        ),
        reads_singly=len(operations) > 1,
        readers=tuple((each, overrides.class_of(each)) for each in readers),
        source=_spell_source(waits),
        until=_spell_until(waits, waits.goals),
        until_something=_spell_until(waits, something),
        default=waits.lifecycle.default,
        returns=_spell_results(waits, waits.goals),
        resumed_returns=f"{waits.item}{left}",
        overloads=tuple(_list_overloads(waits)),
        goals=goals,
        notes=optional_text(entry, "notes", at) or "",
        until_note=optional_text(entry, "until", at) or "",
    )


def _list_readings(waits: Waits) -> Iterable[Operation]:
    return (each for each in (waits.listed, waits.read, waits.read_full) if each is not None)


def _list_types(waits: Waits) -> list[str]:
    models = (str(each.returns.model) for each in _list_readings(waits) if each.returns is not None)
    return list(dict.fromkeys(models))


def _spell_source(waits: Waits) -> str:
    listed = waits.listed
    constant = f"operations.{constant_name(listed)}"
    list_method = f"{listed.resource}.{listed.method}"
    organization = "org_id=org_id" if listed.takes_org else ""
    words = [waits.constant, constant]
    if listed.answer == "page":
        size = f"page_size=size, {organization}" if organization else "page_size=size"
        words.append(f"pages=lambda size: {list_method}({size})")
    else:
        words.append(f"pages=one_page({constant}, lambda: {list_method}({organization}))")
    singly = {"read": waits.read, "read_full": waits.read_full, "read_reason": waits.read_reason}
    for name, each in singly.items():
        if each is not None:
            constant = constant_name(each)
            operation = f"operations.{constant}" if each.resource == waits.resource else constant
            words.append(f"{name}=Reading({operation}, {each.resource}.{each.method})")
    if waits.largest_page is not None:
        words.append(f"largest_page={waits.largest_page}")
    return ", ".join(words)


def _spell_until(waits: Waits, goals: Iterable[Goal]) -> str:
    """Return the type of `until`: any text, but where the type of what is given depends on it."""
    known = f"Literal[{', '.join(quote(goal.name) for goal in goals)}]"
    return known if _may_leave_nothing(waits) else f"{known} | str"


def _may_leave_nothing(waits: Waits) -> bool:
    return any(goal.returns == "nothing" for goal in waits.goals)


def _spell_results(waits: Waits, goals: Iterable[Goal]) -> str:
    results = dict.fromkeys(waits.result(goal) for goal in goals)
    if set(results) == set(_list_types(waits)):
        return waits.item
    return " | ".join(str(each) for each in results)


def _list_overloads(waits: Waits) -> Iterable[Overload]:
    results = dict.fromkeys(waits.result(goal) for goal in waits.goals)
    if len(results) == 1:
        return
    for result in results:
        goals = [goal for goal in waits.goals if waits.result(goal) == result]
        default = " = ..." if any(goal.name == waits.lifecycle.default for goal in goals) else ""
        known = f"Literal[{', '.join(quote(goal.name) for goal in goals)}]"
        yield Overload(f"{known}{default}", str(result))
    if not _may_leave_nothing(waits):
        yield Overload("str", waits.item)


def _join(words: list[str]) -> str:
    return f"{', '.join(words[:-1])} or {words[-1]}" if len(words) > 1 else words[0]


def _spell_plural(noun: str) -> str:
    return f"{noun}es" if noun.endswith(("ch", "s", "sh", "x")) else f"{noun}s"
