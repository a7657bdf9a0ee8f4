"""Uploads and downloads from sync code, and what tracebacks show of secret arguments."""

from __future__ import annotations

import io
import traceback
from pathlib import Path

import pytest

from openrelay_async.emulator import Emulator
from openrelay_async.errors import NotFound, OpenRelayError
from openrelay_sync import Client, PoolLimits

CONTENT = b'{"custom_id": "1"}\n' * 40_000


@pytest.fixture
def file_id(client: Client) -> str:
    return client.files.upload(file=CONTENT, purpose="batch", filename="input.jsonl").id


def test_a_file_is_uploaded_from_bytes_a_path_and_a_stream(client: Client, tmp_path: Path) -> None:
    path = tmp_path / "input.jsonl"
    path.write_bytes(CONTENT)
    for source in (CONTENT, path, str(path), io.BytesIO(CONTENT)):
        made = client.files.upload(file=source, purpose="batch")
        assert client.files.get_content(made.id).read() == CONTENT


def test_a_download_comes_in_chunks(client: Client, file_id: str) -> None:
    assert b"".join(client.files.get_content(file_id)) == CONTENT


def test_bytes_of_a_download_are_its_content(client: Client, file_id: str) -> None:
    assert bytes(client.files.get_content(file_id)) == CONTENT


def test_a_download_that_is_left_early_leaves_the_connection_free(emulator: Emulator, file_id: str) -> None:
    """R8.4: with one connection, the next call would wait for ever if the first kept it."""
    limits = PoolLimits(max_connections=1)
    with Client(emulator.api_key, base_url=emulator.url, inference_url=emulator.url, limits=limits) as client:
        for chunk in client.files.get_content(file_id):
            assert chunk
            break
        assert client.files.get(file_id, timeout=10).id == file_id


def test_a_download_is_saved(client: Client, file_id: str, tmp_path: Path) -> None:
    saved = client.files.get_content(file_id).save(tmp_path / "output.jsonl")
    assert saved.read_bytes() == CONTENT


def test_a_download_of_nothing_raises_when_it_is_read(client: Client) -> None:
    download = client.files.get_content("file_none")
    with pytest.raises(NotFound):
        download.read()


def test_no_frame_of_a_failing_call_shows_a_secret_argument(client: Client) -> None:
    """R4.1: the sync methods' frames are in tracebacks as well."""
    canary = "canary-0123456789abcdef"
    with pytest.raises(OpenRelayError) as caught:
        client.vms.create(name="x", gpu_model_id="no-such-gpu", env_vars={"TOKEN": canary}, cloud_init=canary)
    own = [
        dict(frame.f_locals)
        for frame, _ in traceback.walk_tb(caught.value.__traceback__)
        if "openrelay_" in frame.f_code.co_filename
    ]
    assert own
    assert canary not in repr(own)
