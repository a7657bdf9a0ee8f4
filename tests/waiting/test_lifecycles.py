"""The table that says what ends a wait."""

from __future__ import annotations

import pytest

from openrelay_async.lifecycles import BATCHES, CLUSTERS, KUBERNETES, LIFECYCLES, VMS, describe_lifecycles


@pytest.mark.parametrize("lifecycle", LIFECYCLES, ids=lambda lifecycle: lifecycle.noun)
def test_every_goal_has_a_known_state_that_reaches_it(lifecycle):
    for goal in lifecycle.goals.values():
        assert goal.gone or goal.reached <= set(lifecycle.states)
        assert goal.hopeless <= set(lifecycle.states)
        assert not goal.reached & goal.hopeless


@pytest.mark.parametrize("lifecycle", LIFECYCLES, ids=lambda lifecycle: lifecycle.noun)
def test_an_unknown_state_keeps_waiting(lifecycle):
    """R5.3"""
    assert {goal.judge("brand_new") for goal in lifecycle.goals.values()} == {"waiting"}


def test_interrupted_and_degraded_keep_waiting():
    """R5.3"""
    assert VMS.goal("running").judge("interrupted") == "waiting"
    assert CLUSTERS.goal("running").judge("degraded") == "waiting"


@pytest.mark.parametrize(
    ("lifecycle", "goal", "state"),
    [
        (VMS, "running", "failed"),
        (VMS, "running", "terminated"),
        (VMS, "ssh_ready", "stopped"),
        (BATCHES, "completed", "cancelling"),
        (KUBERNETES, "ready", "deleting"),
    ],
)
def test_a_state_that_leads_elsewhere_is_hopeless(lifecycle, goal, state):
    assert lifecycle.goal(goal).judge(state) == "hopeless"


def test_a_goal_that_is_not_known_is_refused_with_those_that_are():
    with pytest.raises(ValueError, match="'running', 'ssh_ready', 'stopped', 'terminated' for a VM"):
        VMS.goal("gone")


def test_the_table_for_the_docs_has_a_row_for_each_goal():
    rows = describe_lifecycles().splitlines()
    assert len(rows) == 2 + sum(len(lifecycle.goals) for lifecycle in LIFECYCLES)
