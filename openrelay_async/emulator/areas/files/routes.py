"""Files: upload as a form, or presign, put, complete; look; read."""

from __future__ import annotations

import hmac
from urllib.parse import unquote

import attrs

from openrelay_async.emulator.answers import NO_CONTENT, Answer, Refusal, bad_request, conflict, not_found
from openrelay_async.emulator.areas.files.storage import FILES, KEPT, StoredFile, read_pieces, write_pieces
from openrelay_async.emulator.call import Call
from openrelay_async.emulator.operations import Operation
from openrelay_async.emulator.uploads import LARGEST_FILE

UPLOAD_SECONDS = 3600.0

PUT_UPLOAD = Operation(
    "putUpload",
    "PUT",
    "/_uploads/{fileId}",
    "files.put",
    security="open",
    inference=True,
    query=(("expires", "integer", True), ("token", "string", True)),
    media="application/octet-stream",
)
"""Where presigned URLs lead: at the real service this is an object store, so it is not in the description."""


def upload_file(call: Call) -> Answer:
    upload = call.upload
    if upload is None or upload.file is None:
        raise bad_request("file", "is required")
    if "purpose" not in upload.fields:
        raise bad_request("purpose", "is required")
    call.validator.check("=batch", upload.fields["purpose"], "purpose")
    file = StoredFile(
        id=call.new_id("file_"),
        org_id=call.org_id,
        filename=_clean_name(upload.filename),
        purpose=upload.fields["purpose"],
        bytes=upload.size,
        created_at=call.now,
        available_from=call.now,
    )
    write_pieces(call.database, file.id, upload.pieces())
    return Answer(render_file(FILES.insert(call.database, file)))


def _clean_name(name: str) -> str:
    """The last part of a path, of printable characters; percent-encoded ones are read (RFC 7578 section
    4.2).
    """
    last = unquote(name).replace("\\", "/").rpartition("/")[2]
    return "".join(character for character in last if character.isprintable())[:255] or "file"


def presign_upload(call: Call) -> Answer:
    size = call.body.integer("bytes")
    if not 1 <= size <= LARGEST_FILE:
        raise bad_request("bytes", f"must be from 1 to {LARGEST_FILE}")
    file = StoredFile(
        id=call.new_id("file_"),
        org_id=call.org_id,
        filename=_clean_name(call.body.text("filename") or "upload.jsonl"),
        purpose="batch",
        bytes=size,
        created_at=call.now,
        available_from=call.now,
        state="presigned",
    )
    FILES.insert(call.database, file)
    expires = int(call.now + UPLOAD_SECONDS)
    token = _upload_token(call, file.id, expires)
    url = f"{call.base_url}/_uploads/{file.id}?expires={expires}&token={token}"
    return Answer({"file_id": file.id, "put_url": url, "expires_at": expires})


def _upload_token(call: Call, file_id: str, expires: int) -> str:
    return call.database.vault.derive("", "upload", file_id, str(expires))


def put_upload(call: Call) -> Answer:
    file = FILES.get(call.database, call.path["fileId"])
    expires = call.query.integer("expires")
    expected = _upload_token(call, call.path["fileId"], expires)
    given = call.query.text("token")
    if file is None or not hmac.compare_digest(expected.encode(), given.encode()):
        raise Refusal(403, "this URL was not given out", "FORBIDDEN")
    if expires <= call.now:
        raise Refusal(403, "this URL has expired", "FORBIDDEN")
    if file.state == "complete":
        raise conflict("the upload is complete already", "UPLOAD_COMPLETE")
    if call.upload is None or call.upload.size != file.bytes:
        raise bad_request("body", f"must have the {file.bytes} bytes that were announced")
    write_pieces(call.database, file.id, call.upload.pieces())
    FILES.update(call.database, attrs.evolve(file, state="uploaded"))
    return NO_CONTENT


def complete_upload(call: Call) -> Answer:
    file = call.require(FILES, call.path["id"], "file")
    if file.state == "presigned":
        raise conflict("nothing was uploaded yet", "UPLOAD_INCOMPLETE")
    return Answer(render_file(FILES.update(call.database, attrs.evolve(file, state="complete"))))


def get_file(call: Call) -> Answer:
    return Answer(render_file(find_file(call, call.path["id"])))


def get_content(call: Call) -> Answer:
    file = find_file(call, call.path["id"])
    return Answer(
        read_pieces(call.database, file.id),
        content_type="application/octet-stream",
        headers={"Content-Length": str(file.bytes)},
    )


def find_file(call: Call, file_id: str) -> StoredFile:
    """Raises 404 for a file that is not there yet or any more, too."""
    file = call.require(FILES, file_id, "file")
    if not file.is_there(call.now):
        raise not_found("file")
    return file


def render_file(file: StoredFile) -> dict[str, object]:
    return {
        "id": file.id,
        "object": "file",
        "filename": file.filename,
        "purpose": file.purpose,
        "bytes": file.bytes,
        "created_at": int(file.created_at),
        "expires_at": int(file.created_at + KEPT),
    }


HANDLERS = {
    "uploadFile": upload_file,
    "presignFileUpload": presign_upload,
    "completeFileUpload": complete_upload,
    "getFile": get_file,
    "getFileContent": get_content,
    PUT_UPLOAD.id: put_upload,
}
