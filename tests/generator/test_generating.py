"""What is committed is what the generator writes, every time and without leftovers."""

from __future__ import annotations

import ast
import copy
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from api_description.generator.load import read_description
from api_description.generator.overrides import load_overrides
from api_description.generator.publish import FOLDERS, find_stale, publish
from api_description.generator.refuse import DescriptionError
from api_description.generator.render import find_missing_words, render_all

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "api_description" / "openrelay.json"


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(SOURCE.read_text("utf-8"))
    return loaded


@pytest.fixture(scope="module")
def files(document: dict[str, Any]) -> dict[str, str]:
    return render_all(document)


def test_the_committed_code_is_up_to_date(files: dict[str, str]) -> None:
    assert find_stale(files, ROOT) == []


def test_generating_twice_gives_the_same(files: dict[str, str], document: dict[str, Any]) -> None:
    assert render_all(copy.deepcopy(document)) == files


def test_the_order_of_paths_and_schemas_in_the_description_does_not_matter_to_names(
    files: dict[str, str], document: dict[str, Any]
) -> None:
    turned = copy.deepcopy(document)
    turned["paths"] = dict(reversed(turned["paths"].items()))
    turned["components"]["schemas"] = dict(reversed(turned["components"]["schemas"].items()))
    assert render_all(turned).keys() == files.keys()


def test_every_generated_file_says_how_to_generate_it(files: dict[str, str]) -> None:
    for path, source in files.items():
        doc = ast.get_docstring(ast.parse(source)) or ""
        assert "make generate" in doc or path.startswith("openrelay_async/emulator"), path
        assert "do not edit" in doc, path


def test_a_change_of_the_description_makes_files_stale(document: dict[str, Any]) -> None:
    changed = copy.deepcopy(document)
    changed["components"]["schemas"]["VmSummary"]["properties"]["gpuCount"]["type"] = "string"
    stale = find_stale(render_all(changed), ROOT)
    assert "openrelay_async/generated/models/shared.py" in stale
    assert "openrelay_async/generated/operations.py" not in stale


def test_publishing_writes_what_changed_and_deletes_leftovers(tmp_path: Path) -> None:
    folder = FOLDERS[0]
    files = {f"{folder}/a.py": "a = 1\n", f"{folder}/b.py": "b = 1\n"}
    assert publish(files, tmp_path) == [f"{folder}/a.py", f"{folder}/b.py"]
    assert publish(files, tmp_path) == []
    untouched = (tmp_path / folder / "a.py").stat().st_mtime_ns
    leftover = tmp_path / folder / "gone.py"
    leftover.write_text("", "utf-8")
    files[f"{folder}/b.py"] = "b = 2\n"
    assert find_stale(files, tmp_path) == [f"{folder}/b.py", f"{folder}/gone.py"]
    assert publish(files, tmp_path) == [f"{folder}/b.py", f"{folder}/gone.py"]
    assert not leftover.exists()
    assert (tmp_path / folder / "a.py").stat().st_mtime_ns == untouched


def test_the_check_names_stale_files_and_fails(
    monkeypatch: pytest.MonkeyPatch, capsys: Any, tmp_path: Path
) -> None:
    from api_description import generate

    monkeypatch.setattr(generate, "ROOT", tmp_path)
    assert generate.main(["--check"]) == 1
    assert "openrelay_async/generated/operations.py" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_the_command_refuses_with_the_pointer_and_without_a_traceback(
    tmp_path: Path, document: dict[str, Any]
) -> None:
    broken = copy.deepcopy(document)
    broken["components"]["schemas"]["VmSummary"]["oneOf"] = []
    other = tmp_path / "other.json"
    other.write_text(json.dumps(broken), "utf-8")
    done = subprocess.run(
        [sys.executable, str(ROOT / "api_description" / "generate.py"), "diff", str(other)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr.startswith("refused: /components/schemas/VmSummary/oneOf: ")
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("text", "pointer"),
    [
        ('[capacity]\noperations = ["getVm"]', "overrides.toml/capacity/operations/0"),
        ('[schemas.Ghost]\nomit = "gone"', "overrides.toml/schemas/Ghost"),
        ('[schemas.VmSummary]\nomit = "unloved"', "overrides.toml/schemas/VmSummary"),
        ("[schemas.Error]", "overrides.toml/schemas/Error/omit"),
        ('[resources.vms]\nclass = "Machines"', "overrides.toml/resources/vms/reason"),
        ('[schemas.VmSummary]\nmixin = "a:B"', "overrides.toml/schemas/VmSummary/reason"),
        ("[surprise]", "overrides.toml/surprise"),
        ("[wait_for_capacity.createGhost]", "overrides.toml/wait_for_capacity/createGhost"),
        ("[wait_for_capacity.listOrgVms]", "overrides.toml/wait_for_capacity/listOrgVms"),
        ('[wait_for_capacity.createVm]\nrum = "a"', "overrides.toml/wait_for_capacity/createVm/rum"),
        ('[wait_for_capacity.createVm]\nroom = "a"', "overrides.toml/wait_for_capacity/createVm/looks_at"),
        (
            '[times.listGhosts]\narguments = ["since"]\nreason = "a"',
            "overrides.toml/times/listGhosts/arguments/0",
        ),
        (
            '[times.listAuditEvents]\narguments = ["since", "limit"]\nreason = "a"',
            "overrides.toml/times/listAuditEvents/arguments/1",
        ),
        ('[times.listAuditEvents]\narguments = ["since"]', "overrides.toml/times/listAuditEvents/reason"),
        (
            '[wait_for_capacity.createVm]\nroom = "a"\nlooks_at = ["gpu_count"]',
            "overrides.toml/wait_for_capacity/createVm/order",
        ),
        (
            '[wait_for_capacity.createVm]\nlooks_at = ["gpu_count"]',
            "overrides.toml/wait_for_capacity/createVm/room",
        ),
        (
            '[wait_for_capacity.createVm]\nroom = "a"\nlooks_at = ["gpu_count", "gpuModelId"]',
            "overrides.toml/wait_for_capacity/createVm/looks_at/1",
        ),
    ],
)
def test_an_override_without_effect_or_reason_is_refused(
    text: str, pointer: str, tmp_path: Path, document: dict[str, Any]
) -> None:
    path = tmp_path / "overrides.toml"
    path.write_text(text, "utf-8")
    with pytest.raises(DescriptionError) as refusal:
        load_overrides(path, read_description(document))
    assert refusal.value.pointer == pointer


def test_an_argument_that_would_hide_what_a_patient_create_calls_is_refused(
    tmp_path: Path, document: dict[str, Any]
) -> None:
    grown = copy.deepcopy(document)
    grown["components"]["schemas"]["CreateVmRequest"]["properties"]["uuid"] = {"type": "string"}
    path = tmp_path / "overrides.toml"
    path.write_text('[wait_for_capacity.createVm]\nroom = "a"\nlooks_at = []', "utf-8")
    with pytest.raises(DescriptionError, match="'uuid' would hide"):
        load_overrides(path, read_description(grown))


def test_prose_that_is_missing_fails_the_check(document: dict[str, Any]) -> None:
    grown = copy.deepcopy(document)
    grown["components"]["schemas"]["Ghost"] = {
        "type": "object",
        "properties": {},
        "x-generations": ["2026-10"],
    }
    assert find_missing_words(grown) == ["schemas.toml: Ghost is missing"]
    assert find_missing_words(document) == []
