"""The database file: kept, refused when it is not ours, whole after a kill."""

from __future__ import annotations

import sqlite3
import stat

import pytest

from openrelay_async.emulator import Emulator, EmulatorError

CREATE = "/v1/orgs/{org}/vms/create"


async def test_a_file_keeps_its_state_and_its_keys(tmp_path, connect):
    file = str(tmp_path / "state.db")
    async with Emulator(db=file) as first:
        api = connect(first)
        vm = await api.post(CREATE, {"name": "kept", "resourceSize": "small"})
        cursor_of_first = api
    async with Emulator(db=file) as second:
        assert second.org_id == first.org_id
        with pytest.raises(EmulatorError, match="hashed"):
            _ = second.api_key
        api = type(api)(second.url, cursor_of_first.token, second.org_id, api.session)
        assert (await api.get(f"/v1/vms/{vm['id']}"))["name"] == "kept"
        minted = await api.with_token(second.session_token).post(
            "/v1/orgs/{org}/api-keys/create", {"name": "new"}
        )
        await api.with_token(minted["key"]).get("/v1/whoami")
        again = await api.post(CREATE, {"name": "new", "resourceSize": "small"})
        assert again["id"] != vm["id"], "ids go on where they were"


async def test_time_goes_on_and_never_back(tmp_path, connect):
    file = str(tmp_path / "state.db")
    async with Emulator(db=file, speed=1_000_000) as emulator:
        api = connect(emulator)
        vm = await api.post(CREATE, {"name": "vm", "resourceSize": "small"})
        await api.post(CREATE, {"name": "later", "resourceSize": "small"})
        token = emulator.api_key
    async with Emulator(db=file) as emulator:
        api = type(api)(emulator.url, token, emulator.org_id, api.session)
        seen = await api.get(f"/v1/vms/{vm['id']}/detail")
        assert seen["createdAt"] <= seen["updatedAt"]
        made = await api.post(CREATE, {"name": "last", "resourceSize": "small"})
        assert made["createdAt"] >= vm["createdAt"]


async def test_a_foreign_file_is_refused_and_left_alone(tmp_path):
    text = tmp_path / "notes.txt"
    text.write_text("my diary" * 1000)
    other = tmp_path / "other.db"
    with sqlite3.connect(other) as connection:
        connection.execute("CREATE TABLE mine (x)")
    connection.close()
    for file in (text, other):
        before = file.read_bytes()
        with pytest.raises(EmulatorError, match="is not a database of the emulator"):
            await Emulator(db=str(file)).start()
        assert file.read_bytes() == before


async def test_two_emulators_do_not_share_a_file(tmp_path):
    file = str(tmp_path / "state.db")
    async with Emulator(db=file):
        with pytest.raises(EmulatorError, match="another process has it open"):
            await Emulator(db=file).start()
    async with Emulator(db=file):
        pass


async def test_a_folder_that_is_not_there_is_a_clear_error(tmp_path):
    with pytest.raises(EmulatorError, match="cannot open"):
        await Emulator(db=str(tmp_path / "none" / "state.db")).start()


async def test_a_version_of_the_future_is_refused(tmp_path):
    file = str(tmp_path / "state.db")
    async with Emulator(db=file):
        pass
    with sqlite3.connect(file) as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(EmulatorError, match="schema version 99"):
        await Emulator(db=file).start()


async def test_the_master_key_stands_beside_the_file_for_its_owner_only(tmp_path):
    file = tmp_path / "state.db"
    async with Emulator(db=str(file)):
        pass
    secret = tmp_path / "state.db.secret"
    assert stat.S_IMODE(secret.stat().st_mode) == 0o600
    secret.write_bytes(b"x" * 32)
    with pytest.raises(EmulatorError, match="belongs to another database"):
        await Emulator(db=str(file)).start()
    secret.unlink()
    with pytest.raises(EmulatorError, match=r"cannot read or write .*\.secret"):
        await Emulator(db=str(file)).start()


async def test_an_emulator_is_started_once_at_a_time():
    async with Emulator() as emulator:
        with pytest.raises(EmulatorError, match="running already"):
            await emulator.start()
    with pytest.raises(EmulatorError, match="not running"):
        await emulator.settle()


async def test_a_port_that_is_taken_is_a_clear_error():
    async with Emulator() as emulator:
        port = int(emulator.url.rpartition(":")[2])
        with pytest.raises(EmulatorError, match=f"port {port}"):
            await Emulator(port=port).start()
        with pytest.raises(EmulatorError, match="port 99999"):
            await Emulator(port=99999).start()
