"""The generated tables are those of the description: tests/generator tells whether they are up to date."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from api_description.generator.emulator_tables import render_emulator_tables
from api_description.generator.refuse import DescriptionError
from openrelay_async.emulator.generated.routes import OPERATIONS

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def document():
    return json.loads((ROOT / "api_description/openrelay.json").read_text())


def test_every_operation_is_there_once(document):
    expected = {
        (
            node["operationId"],
            method.upper(),
            path,
            f"{node['x-openrelay']['resource']}.{node['x-openrelay']['method']}",
        )
        for path, item in document["paths"].items()
        for method, node in item.items()
    }
    assert {operation[:4] for operation in OPERATIONS} == expected
    assert len(OPERATIONS) == len(expected) == 182


@pytest.mark.parametrize(
    "schema", [{"type": "array", "items": {}}, {"type": "object", "properties": {"x": {"type": "tuple"}}}]
)
def test_what_the_tables_cannot_say_is_refused(document, schema):
    changed = json.loads(json.dumps(document))
    changed["components"]["schemas"]["CreateVmRequest"] = schema
    with pytest.raises(DescriptionError, match="CreateVmRequest"):
        render_emulator_tables(changed, "")


def test_importing_the_package_loads_no_server():
    program = (
        "import sys, openrelay_async.emulator as e; e.Emulator; e.Fault; e.TurnedClock; "
        "print([m for m in ('aiohttp', 'aiohttp.web', 'sqlite3') if m in sys.modules])"
    )
    out = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT
    ).stdout
    assert out.strip() == "['sqlite3']"
