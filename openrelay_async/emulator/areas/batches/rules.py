"""Reading an input file and answering its requests, as a model that says the question back would. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import attrs
import orjson

from openrelay_async.emulator.areas.catalog.rules import INFERENCE_MODELS, InferenceModel

STEP = 1.0
"""Seconds in each state."""
WINDOW = 24 * 3600.0
MOST_REQUESTS = 50_000
FINAL = ("completed", "failed", "expired", "cancelled")


@attrs.define
class Outcome:
    """What a batch will have produced."""

    output: list[bytes] = attrs.field(factory=list)
    errors: list[bytes] = attrs.field(factory=list)
    total: int = 0
    is_valid: bool = True
    input_tokens: int = 0
    output_tokens: int = 0
    cost_nano_usd: int = 0


def run(
    lines: Iterable[bytes],
    endpoint: str,
    default_model: str | None,
    batch_id: str,
    allowed: set[str] | None = None,
) -> Outcome:
    """Answer every request. One line that is no request makes the whole batch invalid.

    Which models the service has is not known: one of another name is answered too, at the first one's price.
    """
    outcome = Outcome()
    seen: set[str] = set()
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        outcome.total += 1
        request, problem = _read_line(line, seen)
        if request is None or outcome.total > MOST_REQUESTS:
            outcome.is_valid = False
            why = {"line": number, "code": "invalid_request", "message": problem or "too many requests"}
            outcome.errors.append(orjson.dumps(why) + b"\n")
            continue
        given = request.get("body")
        body: dict[str, object] = {"model": default_model, **given} if isinstance(given, dict) else {}
        entry: dict[str, object] = {"id": f"{batch_id}_{number}", "custom_id": request["custom_id"]}
        error = _find_error(request, body, endpoint, allowed)
        if error is None:
            _answer(outcome, entry, body)
        else:
            outcome.errors.append(orjson.dumps(entry | {"response": None, "error": error}) + b"\n")
    if outcome.total == 0:
        outcome.is_valid = False
        outcome.errors.append(
            orjson.dumps({"line": 0, "code": "empty_file", "message": "no requests"}) + b"\n"
        )
    return outcome


def _read_line(line: bytes, seen: set[str]) -> tuple[dict[str, object] | None, str]:
    try:
        request: object = orjson.loads(line)
    except orjson.JSONDecodeError:
        return None, "is not valid JSON"
    if not isinstance(request, dict):
        return None, "is not an object"
    custom_id = request.get("custom_id")
    if not isinstance(custom_id, str) or not custom_id or custom_id in seen:
        return None, "custom_id must be a text of its own"
    seen.add(custom_id)
    return request, ""


def _find_error(
    request: dict[str, object], body: dict[str, object], endpoint: str, allowed: set[str] | None
) -> dict[str, str] | None:
    """Return the error of one request, `None` if it can be answered."""
    if request.get("method", "POST") != "POST" or request.get("url", endpoint) != endpoint:
        return {"code": "invalid_request", "message": f"must be a POST to {endpoint}"}
    if _find_question(body) is None:
        return {"code": "invalid_request", "message": "body: must have messages, or a prompt"}
    name = body.get("model")
    is_refused = allowed is not None and name not in allowed
    if not isinstance(name, str) or not name or is_refused or not _find_model(name).batch_eligible:
        return {"code": "model_not_found", "message": "model: is not one that can be answered"}
    return None


def _find_model(name: str) -> InferenceModel:
    return next((model for model in INFERENCE_MODELS if model.id == name), INFERENCE_MODELS[0])


def _answer(outcome: Outcome, line: dict[str, object], body: dict[str, object]) -> None:
    """Answer a request that has no problem."""
    request_id, question = line["id"], _find_question(body) or ""
    model = _find_model(str(body["model"]))
    text = f"The emulator heard: {question}"[:4000]
    asked, said = count_tokens(question), count_tokens(text)
    usage = {"prompt_tokens": asked, "completion_tokens": said, "total_tokens": asked + said}
    choice: dict[str, object] = {"index": 0, "finish_reason": "stop"}
    is_chat = "messages" in body
    choice |= {"message": {"role": "assistant", "content": text}} if is_chat else {"text": text}
    answer = {
        "id": f"cmpl_{request_id}",
        "object": "chat.completion" if is_chat else "text_completion",
        "model": body["model"],
        "choices": [choice],
        "usage": usage,
    }
    line |= {"response": {"status_code": 200, "request_id": request_id, "body": answer}, "error": None}
    outcome.output.append(orjson.dumps(line) + b"\n")
    outcome.input_tokens += asked
    outcome.output_tokens += said
    # Dollars for a million tokens are thousands of nano-dollars for one.
    outcome.cost_nano_usd += round(asked * model.input_price * 1000) + round(said * model.output_price * 1000)


def _find_question(body: dict[str, object]) -> str | None:
    prompt = body.get("prompt")
    if isinstance(prompt, str):
        return prompt
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages or not isinstance(messages[-1], dict):
        return None
    content = messages[-1].get("content")
    return content if isinstance(content, str) else None


def count_tokens(text: str) -> int:
    """About four characters each."""
    return -(-len(text) // 4)


def split_lines(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Lines of a file that comes in pieces."""
    rest = b""
    for piece in pieces:
        *lines, rest = (rest + piece).split(b"\n")
        yield from lines
    if rest:
        yield rest
