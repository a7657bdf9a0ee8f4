"""Files and batches, on the inference side."""

from __future__ import annotations

import io
import json
import os

import aiohttp
import pytest

from openrelay_async.emulator import uploads

CHAT = "/v1/chat/completions"


def request_line(custom_id, text="hello there", model="qwen3-32b", **more):
    body = {"model": model, "messages": [{"role": "user", "content": text}]}
    return {"custom_id": custom_id, "method": "POST", "url": CHAT, "body": body, **more}


def jsonl(*lines):
    return b"".join(
        (line if isinstance(line, bytes) else json.dumps(line).encode()) + b"\n" for line in lines
    )


async def upload(api, content, *, filename="input.jsonl", purpose="batch"):
    form = aiohttp.FormData(default_to_multipart=True)
    if purpose is not None:
        form.add_field("purpose", purpose)
    if content is not None:
        form.add_field("file", io.BytesIO(content), filename=filename)
    return await api("POST", "/v1/files", data=form)


async def start(api, content, **more):
    file = (await upload(api, content)).json
    return await api.post(
        "/v1/batches",
        {"input_file_id": file["id"], "endpoint": CHAT, "completion_window": "24h", **more},
    )


async def read_lines(api, file_id):
    answered = await api("GET", f"/v1/files/{file_id}/content")
    assert answered.status == 200
    return [json.loads(line) for line in answered.raw.splitlines()]


async def test_a_file_comes_back_as_it_was_sent(api):
    content = os.urandom(3_000_000)
    made = (await upload(api, content, filename="C:\\my\\data.jsonl")).json
    assert (made["bytes"], made["filename"], made["purpose"]) == (len(content), "data.jsonl", "batch")
    assert (await api.get(f"/v1/files/{made['id']}")) == made
    answered = await api("GET", f"/v1/files/{made['id']}/content")
    assert answered.raw == content
    assert answered.headers["Content-Length"] == str(len(content))


async def test_a_batch_goes_through_its_states_to_its_output(api, clock):
    lines = [request_line("a"), request_line("b", "x" * 400), request_line("c", model="whisper-large-v3")]
    batch = await start(api, jsonl(*lines), metadata={"run": "7"})
    path = f"/v1/batches/{batch['id']}"
    assert (batch["status"], batch["request_counts"]["total"], batch["metadata"]) == (
        "validating",
        0,
        {"run": "7"},
    )
    clock.advance(1)
    now = await api.get(path)
    assert (now["status"], now["request_counts"]) == (
        "in_progress",
        {"total": 3, "completed": 0, "failed": 0},
    )
    clock.advance(0.5)
    assert (await api.get(path))["request_counts"]["completed"] == 1
    clock.advance(0.5)
    assert (await api.get(path))["status"] == "finalizing"
    assert "output_file_id" not in await api.get(path)
    clock.advance(1)
    done = await api.get(path)
    assert (done["status"], done["request_counts"]) == (
        "completed",
        {"total": 3, "completed": 2, "failed": 1},
    )
    output = {line["custom_id"]: line for line in await read_lines(api, done["output_file_id"])}
    assert set(output) == {"a", "b"}
    answer = output["a"]["response"]["body"]
    assert "hello there" in answer["choices"][0]["message"]["content"]
    (error,) = await read_lines(api, done["error_file_id"])
    assert (error["custom_id"], error["error"]["code"]) == ("c", "model_not_found")
    used = [line["response"]["body"]["usage"] for line in output.values()]
    assert done["usage"]["input_tokens"] == sum(usage["prompt_tokens"] for usage in used) == 3 + 100
    said = sum(usage["completion_tokens"] for usage in used)
    assert done["usage"]["cost_nano_usd"] == 103 * 100 + said * 300, "0.10 and 0.30 dollars for a million"


async def test_requests_that_cannot_be_answered_are_in_the_error_file_and_the_others_are_answered(api, clock):
    """Also those of models that only the service has."""
    lines = [
        request_line("good", model="a-model-of-the-service"),
        request_line("url", url="/v1/other"),
        request_line("method", method="GET"),
        request_line("body", body=None),
        request_line("no messages", body={"model": "qwen3-32b"}),
        request_line("no model", model=""),
    ]
    batch = await start(api, jsonl(*lines))
    clock.advance(3)
    done = await api.get(f"/v1/batches/{batch['id']}")
    assert (done["status"], done["request_counts"]["failed"]) == ("completed", 5)
    (answer,) = await read_lines(api, done["output_file_id"])
    assert answer["response"]["body"]["model"] == "a-model-of-the-service"
    errors = {
        line["custom_id"]: line["error"]["code"] for line in await read_lines(api, done["error_file_id"])
    }
    assert errors == dict.fromkeys(["url", "method", "body", "no messages"], "invalid_request") | {
        "no model": "model_not_found"
    }


async def test_output_is_not_there_before_the_batch_is_complete(api, emulator, clock):
    batch = await start(api, jsonl(request_line("a")))
    clock.advance(3)
    file_id = (await api.get(f"/v1/batches/{batch['id']}"))["output_file_id"]
    other = await start(api, jsonl(request_line("a")))
    clock.advance(1)
    assert await read_lines(api, file_id)
    assert (await api.get(f"/v1/batches/{other['id']}"))["status"] == "in_progress"


@pytest.mark.parametrize(
    "lines",
    [
        [],
        [b"{"],
        [b"[]"],
        [{"url": CHAT}],
        [request_line("a"), request_line("a")],
        [request_line("a"), b"\xff"],
    ],
)
async def test_an_invalid_input_fails_the_batch_and_says_why(api, clock, lines):
    batch = await start(api, jsonl(*lines) or b"\n")
    clock.advance(1)
    failed = await api.get(f"/v1/batches/{batch['id']}")
    assert (failed["status"], failed["failed_at"]) == ("failed", failed["created_at"] + 1)
    assert "output_file_id" not in failed
    assert (await read_lines(api, failed["error_file_id"]))[0]["code"]
    clock.advance(100)
    assert (await api.get(f"/v1/batches/{batch['id']}"))["status"] == "failed"


async def test_cancelling_takes_a_moment_and_leaves_no_output(api, clock):
    batch = await start(api, jsonl(request_line("a")))
    path = f"/v1/batches/{batch['id']}"
    clock.advance(1.5)
    assert (await api.post(path + "/cancel"))["status"] == "cancelling"
    assert (await api.post(path + "/cancel"))["status"] == "cancelling"
    clock.advance(1)
    ended = await api.get(path)
    assert (ended["status"], ended["request_counts"]["completed"]) == ("cancelled", 0)
    clock.advance(10)
    assert "output_file_id" not in await api.get(path)
    done = await start(api, jsonl(request_line("a")))
    clock.advance(3)
    refused = await api("POST", f"/v1/batches/{done['id']}/cancel")
    assert (refused.status, refused.json["error"]["code"]) == (409, "BATCH_ENDED")


async def test_requests_may_come_with_the_batch(api, clock):
    body = {"endpoint": CHAT, "completion_window": "24h", "requests": [request_line("a"), request_line("b")]}
    batch = await api.post("/v1/batches", body)
    clock.advance(3)
    assert (await api.get(f"/v1/batches/{batch['id']}"))["request_counts"]["completed"] == 2
    for both in ({}, {"requests": [], "input_file_id": batch["input_file_id"]}):
        refused = await api("POST", "/v1/batches", {"endpoint": CHAT, "completion_window": "24h", **both})
        assert refused.status == 400
        assert "input_file_id" in refused.json["error"]["message"]


async def test_batches_are_listed_with_after(api):
    made = [(await start(api, jsonl(request_line("a"))))["id"] for _ in range(5)]
    seen, after = [], ""
    while True:
        page = await api.get("/v1/batches?limit=2" + after)
        seen += [batch["id"] for batch in page["data"]]
        assert (page["first_id"], page["last_id"]) == (page["data"][0]["id"], page["data"][-1]["id"])
        if not page["has_more"]:
            break
        after = f"&after={page['last_id']}"
    assert seen == made[::-1]
    assert (await api("GET", "/v1/batches?after=batch_none")).status == 400
    assert (await api.get(f"/v1/batches?after={made[0]}"))["data"] == []


async def test_a_presigned_upload(api, http):
    content = jsonl(request_line("a"))
    presigned = await api.post("/v1/files/presign", {"bytes": len(content), "filename": "in.jsonl"})
    path = f"/v1/files/{presigned['file_id']}"
    assert (await api("GET", path)).status == 404
    assert (await api("POST", path + "/complete")).status == 409
    url = presigned["put_url"]
    for wrong, status in ((url[:-1] + "x", 403), (url.replace("expires=1", "expires=2"), 403)):
        async with http.put(wrong, data=content) as response:
            assert response.status == status
    async with http.put(url, data=content + b"more") as response:
        assert response.status == 400
    async with http.put(url, data=content) as response:
        assert response.status == 204
    made = await api.post(path + "/complete")
    assert (made["bytes"], made["filename"]) == (len(content), "in.jsonl")
    assert (await api.post(path + "/complete")) == made
    assert (await api("GET", path + "/content")).raw == content
    async with http.put(url, data=content) as response:
        assert response.status == 409


async def test_a_presigned_url_expires(api, http, clock):
    presigned = await api.post("/v1/files/presign", {"bytes": 3})
    clock.advance(3600)
    async with http.put(presigned["put_url"], data=b"abc") as response:
        assert response.status == 403


@pytest.mark.parametrize(
    ("content", "purpose", "field"),
    [(None, "batch", "file"), (b"x", None, "purpose"), (b"x", "fun", "purpose")],
)
async def test_an_incomplete_form_is_refused(api, content, purpose, field):
    answered = await upload(api, content, purpose=purpose)
    assert answered.status == 400
    assert answered.json["error"]["message"].startswith(field)


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("application/json", b"{}"),
        ("multipart/form-data", b"x"),
        ("multipart/form-data; boundary=b", b""),
        ("multipart/form-data; boundary=b", b"--b\r\n\r\n"),
        ("multipart/form-data; boundary=b", b"--b\r\nContent-Disposition: form-data; name=file\r\n\r\nabc"),
        ("multipart/form-data; boundary=b", b"--c\r\n\r\nabc\r\n--c--"),
        (
            "multipart/form-data; boundary=b",
            b"--b\r\nContent-Type: multipart/mixed; boundary=c\r\n\r\n--c\r\n\r\nx\r\n--c--\r\n--b--",
        ),
        ("multipart/form-data; boundary=" + "b" * 100, b"x"),
        (
            "multipart/form-data; boundary=b",
            b'--b\r\nContent-Disposition: form-data; name="\x1a\x00\xfe"\r\n\r\nx\r\n--b--\r\n',
        ),
        ("multipart/form-data; boundary=b", b"--b\r\nno header\r\n\r\nx\r\n--b--\r\n"),
        ("multipart/form-data; boundary=b", b"--b\r\nX: " + b"y" * 20_000 + b"\r\n\r\nx\r\n--b--\r\n"),
        (
            "multipart/form-data; boundary=b",
            b'--b\r\nContent-Disposition: form-data; name="file"\r\nContent-Transfer-Encoding: magic\r\n\r\n'
            b"x\r\n--b--\r\n",
        ),
        (
            "multipart/form-data; boundary=b",
            b'--b\r\nContent-Disposition: form-data; name="purpose"\r\n\r\n\xff\r\n--b--\r\n',
        ),
    ],
)
async def test_what_is_no_form_is_400(api, content_type, body):
    answered = await api("POST", "/v1/files", data=body, headers={"Content-Type": content_type})
    assert answered.status == 400, answered.raw


async def test_a_file_that_is_too_large_is_413(api, monkeypatch):
    monkeypatch.setattr(uploads, "LARGEST_FILE", 100_000)
    answered = await upload(api, b"x" * 100_001)
    assert (answered.status, answered.json["error"]["code"]) == (413, "PAYLOAD_TOO_LARGE")
    assert (await upload(api, b"x" * 100_000)).status == 200


async def test_a_file_is_gone_after_thirty_days(api, clock):
    made = (await upload(api, b"x")).json
    clock.advance(30 * 86400)
    assert (await api("GET", f"/v1/files/{made['id']}")).status == 404


async def test_files_and_batches_of_another_organization_read_as_absent(api, emulator):
    batch = await start(api, jsonl(request_line("a")))
    other = emulator.add_organization("Other")
    theirs = api.with_token(other.api_key, other.org_id)
    assert (await theirs("GET", f"/v1/batches/{batch['id']}")).status == 404
    assert (await theirs("GET", f"/v1/files/{batch['input_file_id']}/content")).status == 404
    body = {"endpoint": CHAT, "completion_window": "24h", "input_file_id": batch["input_file_id"]}
    assert (await theirs("POST", "/v1/batches", body)).status == 400
    assert (await theirs.get("/v1/batches"))["data"] == []
