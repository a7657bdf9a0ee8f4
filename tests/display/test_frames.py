"""Lists as pandas frames, in both packages."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pandas
import pytest

from openrelay_async.emulator import Emulator
from openrelay_async.frames import list_to_frame
from openrelay_async.models import CreateApiKeyResult, VmSummary, Whoami
from openrelay_sync import Client

VM = {"id": "vm_1", "name": "a", "organizationId": "org_1", "status": "running"}


def test_fields_become_columns_and_models_rows() -> None:
    frame = list_to_frame([VmSummary.from_wire({**VM, "gpuCount": n}) for n in (1, 2)])
    assert list(frame["gpu_count"]) == [1, 2]
    assert frame["name"].tolist() == ["a", "a"]


@pytest.mark.parametrize("items", [None, 5, VmSummary.from_wire(VM)])
def test_what_is_no_list_is_refused(items) -> None:
    with pytest.raises(TypeError, match="a frame is made of a list of models, not of"):
        list_to_frame(items)


def test_times_are_aware() -> None:
    frame = list_to_frame([VmSummary.from_wire({**VM, "createdAt": "2026-11-23T12:00:00Z"})])
    assert frame["created_at"][0] == datetime(2026, 11, 23, 12, tzinfo=UTC)
    assert isinstance(frame["created_at"].dtype, pandas.DatetimeTZDtype)


def test_a_model_in_a_model_becomes_columns_with_a_dot() -> None:
    whoami = {"principalType": "api_key", "key": {"id": "key_1", "name": "ci", "prefix": "vl_1"}}
    frame = list_to_frame(
        [Whoami.from_wire({"scopes": [], "email": "", "userId": "u", "organizationId": "o", **whoami})]
    )
    assert frame["key.name"][0] == "ci"


def test_secrets_are_masked_in_a_frame() -> None:
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
    assert plaintext not in list_to_frame([made]).to_csv()


def test_a_frame_is_made_of_models() -> None:
    with pytest.raises(TypeError, match="not of int"):
        list_to_frame([1])


async def test_paged_calls_of_both_packages_give_frames() -> None:
    with Emulator.in_thread() as emulator:
        with Client(emulator.api_key, base_url=emulator.url, org_id=emulator.org_id) as client:
            client.vms.create(name="a", gpu_model_id="rtx-4090", gpu_count=1)
            assert client.vms.list().to_pandas()["name"].tolist() == ["a"]
            assert next(client.vms.list().pages()).to_pandas()["name"].tolist() == ["a"]
        async with emulator.client() as async_client:
            assert (await async_client.vms.list().to_pandas())["name"].tolist() == ["a"]


def test_without_pandas_it_says_what_to_install(tmp_path: Path) -> None:
    (tmp_path / "pandas.py").write_text("raise ImportError('hidden')")
    script = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from openrelay_async.frames import list_to_frame\n"
        "try: list_to_frame([])\n"
        "except ImportError as error: print(error, error.__context__)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[2],
    )
    assert done.stdout == "list_to_frame needs pandas: pip install 'openrelay-async[pandas]' None\n"
