"""Tables of models: escaped, masked, readable, in a notebook and in a terminal."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from openrelay_async.cells import make_cell, tell_duration, tell_money, tell_nano_usd
from openrelay_async.display import show_list, show_lists_in_notebook, table
from openrelay_async.models import CreateApiKeyResult, CurrentUsage, VmSummary
from openrelay_async.pagination import Page

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


def vm(**fields: Any) -> VmSummary:
    wire = {"id": "vm_1", "name": "dev-box", "organizationId": "org_1", "status": "running", **fields}
    return VmSummary.from_wire(wire)


@pytest.mark.parametrize(
    ("name", "value", "shown"),
    [
        ("price_per_hour_cents", 49, "$0.49/h"),
        ("rate_on_demand_cents_per_hour", 1234, "$12.34/h"),
        ("balance_cents", -123456, "-$1,234.56"),
        ("amount_cents", 10**18 + 1, "$10,000,000,000,000,000.01"),
        ("cost_nano_usd", 1_500, "$0.0000015"),
        ("disk_size_gb", 100, "100 GB"),
        ("volume_used_bytes", 1536, "1.5 KiB"),
        ("busy_seconds", 7_500, "2 h 5 min"),
        ("utilization_percent", 12.5, "12.5 %"),
        ("gpu_count", 12_000, "12,000"),
        ("ssh_port", 21_188, "21188"),
        ("public", False, "no"),
        ("status_reason", None, "–"),
        ("created_at", NOW - timedelta(minutes=3), "3 min ago"),
        ("created_at", int(NOW.timestamp()) - 180, "3 min ago"),
        ("created_at", 1_764_123_456_000, "1764123456000"),
        ("created_at", 10**18, "1000000000000000000"),
        ("created_at", 10**30, "1" + "0" * 30),
        ("expires_at", NOW + timedelta(days=2, hours=5), "in 2 d 5 h"),
        ("created_at", NOW - timedelta(days=100), "2026-08-15"),
        ("created_at", int(NOW.timestamp()) - 60, "1 min ago"),
        ("scopes", ["vms:read", "vms:write"], "vms:read, vms:write"),
    ],
)
def test_a_value_reads_as_people_write_it(name: str, value: object, shown: str) -> None:
    assert make_cell(name, value, NOW).text == shown


def test_values_of_maps_are_not_shown() -> None:
    """Environments and labels: who knows what is in them."""
    assert make_cell("env_vars", {"TOKEN": "hunter2"}, NOW).text == "TOKEN"


def test_money_and_durations_are_exact() -> None:
    assert [tell_money(cents) for cents in (0, 5, 100, -1)] == ["$0.00", "$0.05", "$1.00", "-$0.01"]
    assert tell_nano_usd(2_000_000_000) == "$2.00"
    assert [tell_duration(s) for s in (0, 59, 60, 3600, 86_400)] == ["0 s", "59 s", "1 min", "1 h", "1 d"]


def test_text_of_the_service_is_escaped() -> None:
    shown = vm(name="<script>alert(1)</script>", statusReason='"><b>')._repr_html_()
    assert "<script>" not in shown
    assert "&lt;script&gt;" in shown
    assert "<b>" not in shown


def test_a_list_is_escaped_too() -> None:
    shown = show_list([vm(name="<img src=x onerror=alert(1)>")])
    assert shown is not None
    assert "<img" not in shown


def test_secrets_stay_masked() -> None:
    """R4.3"""
    plaintext = "vl_0123456789abcdefghijklmnop"
    made = CreateApiKeyResult.from_wire(
        {
            "id": "key_1",
            "name": "ci",
            "key": plaintext,
            "keyPrefix": "vl_01234",
            "organizationId": "org_1",
            "createdAt": "",
            "scopes": [],
        }
    )
    shown = made._repr_html_() + str(show_list([made])) + repr(table([made]))
    assert plaintext not in shown
    assert "…(sha256:" in shown


def test_fields_that_the_sdk_does_not_know_are_named_without_their_values() -> None:
    shown = vm(newThing="secret or not")._repr_html_()
    assert "newThing" in shown
    assert "secret or not" not in shown


def test_columns_that_are_empty_everywhere_are_left_out() -> None:
    shown = repr(table([vm(), vm(gpuCount=2)]))
    assert "GPU count" in shown
    assert "endpoint" not in shown


def test_names_and_states_come_first_and_times_last() -> None:
    shown = repr(table([vm(createdAt=NOW.isoformat(), gpuCount=1, pricePerHourCents=49)]))
    assert shown.splitlines()[0].split()[:3] == ["name", "ID", "status"]
    assert shown.splitlines()[0].endswith("created")


def test_headings_that_would_be_the_same_name_their_units() -> None:
    numbers = {name: 1 for _, name, kind, _, _ in CurrentUsage.wire_fields if kind in ("integer", "number")}
    usage = CurrentUsage.from_wire({"breakdown": [], **numbers})
    shown = usage._repr_html_()
    assert "usage cents" in shown
    assert "usage hours" in shown


def test_columns_can_be_chosen() -> None:
    shown = repr(table([vm()], columns=["status", "name"]))
    assert shown.splitlines()[0].split() == ["status", "name"]
    with pytest.raises(ValueError, match="no such field: nonsense"):
        table([vm()], columns=["nonsense"])


def test_a_table_is_of_models() -> None:
    with pytest.raises(TypeError, match="models"):
        table([1, 2])


def test_a_long_list_is_cut_and_says_so() -> None:
    shown = table([vm(name=f"vm-{n}") for n in range(101)])
    assert "101 VmSummary · the first 100 are shown" in shown._repr_html_()
    assert "vm-100" not in shown._repr_html_()


def test_a_page_tells_whether_more_follow() -> None:
    assert "more follow" in Page([vm()], "cursor")._repr_html_()
    assert "the last page" in Page([vm()], None)._repr_html_()
    assert "no items" in Page([], None)._repr_html_()


def test_other_lists_are_left_to_ipython() -> None:
    assert show_list([]) is None
    assert show_list([1, 2]) is None
    assert show_list([vm(), "text"]) is None


def test_nothing_is_registered_where_no_notebook_runs() -> None:
    show_lists_in_notebook()


def test_a_formatter_that_is_there_already_is_kept() -> None:
    from IPython.core.interactiveshell import InteractiveShell

    shell = InteractiveShell.instance()
    try:
        formatter = shell.display_formatter.formatters["text/html"]
        formatter.for_type(list, str)
        show_lists_in_notebook()
        assert formatter.lookup_by_type(list) is str
        formatter.pop(list)
        show_lists_in_notebook()
        assert formatter.lookup_by_type(list) is show_list
    finally:
        InteractiveShell.clear_instance()
