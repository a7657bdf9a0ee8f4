"""How resources change over time: their states, what can be waited for, and when a goal is out of reach.

One table for all kinds. `interrupted` and `degraded` are not ends, and a state that this version does not
know is not one either: a wait goes on there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal

from attrs import field, frozen

Verdict = Literal["reached", "waiting", "hopeless"]


ANY_STATE = frozenset({"*"})


@frozen
class Goal:
    """What a wait is for."""

    name: str
    reached: frozenset[str]
    """The states that mean it is reached."""
    hopeless: frozenset[str] = frozenset()
    """The states that do not lead to it unless somebody acts."""
    flag: str | None = None
    """What the full reading must show besides, such as `ssh_ready`."""
    gone: bool = False
    """Whether it is reached, too, when the resource no longer exists."""
    returns: Literal["listed", "read", "nothing"] = "listed"
    """What a wait gives: the resource as lists show it, as it is read singly, or nothing."""
    check: Callable[[object], bool] | None = None
    """What must hold besides, for goals that are a number and not a state."""

    def judge(self, state: str) -> Verdict:
        if state in self.reached or self.reached is ANY_STATE:
            return "reached"
        return "hopeless" if state in self.hopeless else "waiting"


@frozen
class Lifecycle:
    """The states and goals of one kind of resource."""

    kind: str
    """The client's attribute, such as `vms`."""
    noun: str
    """For messages: `VM`, `node pool`."""
    states: tuple[str, ...]
    """All that are known, in their usual order."""
    ends: frozenset[str]
    """Those that a resource does not leave by itself."""
    goals: Mapping[str, Goal]
    reason: str = "status_reason"
    """The field that says why it is in its state."""
    default: str = field(default="")

    def goal(self, name: object) -> Goal:
        """Return the goal of this name.

        Raises:
            ValueError: there is none.
        """
        goal = self.goals.get(name) if isinstance(name, str) else None
        if goal is None:
            known = ", ".join(repr(goal) for goal in self.goals)
            raise ValueError(f"until must be one of {known} for a {self.noun}, not {name!r}")
        return goal


def _lifecycle(
    kind: str, noun: str, states: str, ends: str, goals: tuple[Goal, ...], reason: str = "status_reason"
) -> Lifecycle:
    return Lifecycle(
        kind,
        noun,
        tuple(states.split()),
        frozenset(ends.split()),
        {goal.name: goal for goal in goals},
        reason,
        goals[0].name,
    )


def _states(names: str) -> frozenset[str]:
    return frozenset(names.split())


_MACHINE_GOALS = (
    Goal("running", _states("running"), _states("stopped failed terminated")),
    Goal(
        "ssh_ready",
        _states("running"),
        _states("stopped failed terminated"),
        flag="ssh_ready",
        returns="read",
    ),
    Goal("stopped", _states("stopped"), _states("failed terminated")),
    Goal("terminated", _states("terminated"), gone=True),
)

_MACHINE_STATES = "pending deploying running interrupted stopped failed terminated"

VMS = _lifecycle("vms", "VM", _MACHINE_STATES, "stopped failed terminated", _MACHINE_GOALS)

PODS = _lifecycle("pods", "pod", _MACHINE_STATES, "stopped failed terminated", _MACHINE_GOALS)

CLUSTERS = _lifecycle(
    "clusters",
    "cluster",
    "deploying running degraded stopped failed terminated",
    "stopped failed terminated",
    (
        Goal("running", _states("running"), _states("stopped failed terminated")),
        Goal("stopped", _states("stopped"), _states("failed terminated")),
        Goal("terminated", _states("terminated"), gone=True),
    ),
)

BATCHES = _lifecycle(
    "batches",
    "batch",
    "validating in_progress finalizing completed failed expired cancelling cancelled",
    "completed failed expired cancelled",
    (
        Goal("completed", _states("completed"), _states("failed expired cancelling cancelled")),
        Goal("cancelled", _states("cancelled"), _states("completed failed expired")),
        Goal("ended", _states("completed failed expired cancelled")),
    ),
)

KUBERNETES = _lifecycle(
    "kubernetes",
    "Kubernetes cluster",
    "creating ready updating degraded deleting failed",
    "failed",
    (
        Goal("ready", _states("ready"), _states("failed deleting"), returns="read"),
        Goal("deleted", _states("deleted"), gone=True, returns="nothing"),
    ),
)

NODE_POOLS = _lifecycle(
    "kubernetes",
    "node pool",
    "creating ready scaling deleting failed",
    "failed",
    (
        Goal("ready", _states("ready"), _states("failed deleting")),
        Goal("deleted", _states("deleted"), gone=True, returns="nothing"),
    ),
)

SNAPSHOTS = _lifecycle(
    "snapshots",
    "snapshot",
    "pending ready failed",
    "ready failed",
    (Goal("ready", _states("ready"), _states("failed")),),
    reason="error_message",
)

BALANCE = Lifecycle("billing", "balance", (), frozenset(), {})
"""It has no states: waits are for an amount."""

LIFECYCLES: tuple[Lifecycle, ...] = (VMS, PODS, CLUSTERS, BATCHES, KUBERNETES, NODE_POOLS, SNAPSHOTS)


def describe_lifecycles() -> str:
    """Return the table as Markdown: what each wait is for, what ends it, what fails it."""
    lines = ["| kind | until | reached in | fails in | goes on in |", "|---|---|---|---|---|"]
    for lifecycle in LIFECYCLES:
        for goal in lifecycle.goals.values():
            on = [state for state in lifecycle.states if goal.judge(state) == "waiting"]
            reached = [*sorted(goal.reached), *(["(not found)"] if goal.gone else [])]
            if goal.flag:
                reached = [f"{state} and {goal.flag}" for state in reached]
            cells = (lifecycle.noun, f"`{goal.name}`", *map(_join, (reached, sorted(goal.hopeless), on)))
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _join(states: list[str]) -> str:
    return ", ".join(states) or "–"
