"""Reading an input file and answering its requests, as a model that says the question back would. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import cast

import attrs
import orjson

from openrelay_async.emulator.areas.catalog.rules import INFERENCE_MODELS

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
    """Answer every request. One line that is no request makes the whole batch invalid."""
    outcome = Outcome()
    seen: set[str] = set()
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        outcome.total += 1
        request, problem = _read_line(line, endpoint, seen)
        if request is None or outcome.total > MOST_REQUESTS:
            outcome.is_valid = False
            error = {"line": number, "code": "invalid_request", "message": problem or "too many requests"}
            outcome.errors.append(orjson.dumps(error) + b"\n")
            continue
        _answer(outcome, request, default_model, f"{batch_id}_{number}", allowed)
    if outcome.total == 0:
        outcome.is_valid = False
        outcome.errors.append(
            orjson.dumps({"line": 0, "code": "empty_file", "message": "no requests"}) + b"\n"
        )
    return outcome


def _read_line(line: bytes, endpoint: str, seen: set[str]) -> tuple[dict[str, object] | None, str]:
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
    if request.get("method", "POST") != "POST" or request.get("url", endpoint) != endpoint:
        return None, f"must be a POST to {endpoint}"
    if not isinstance(request.get("body"), dict):
        return None, "body must be an object"
    return request, ""


def _answer(
    outcome: Outcome,
    request: dict[str, object],
    default_model: str | None,
    request_id: str,
    allowed: set[str] | None,
) -> None:
    body = cast("dict[str, object]", request["body"])
    model_id = body.get("model", default_model)
    model = next((model for model in INFERENCE_MODELS if model.id == model_id and model.batch_eligible), None)
    if model is not None and allowed is not None and model.id not in allowed:
        model = None
    question = _find_question(body)
    line: dict[str, object] = {"id": request_id, "custom_id": request["custom_id"]}
    if model is None or question is None:
        code, field = ("model_not_found", "model") if model is None else ("invalid_request", "messages")
        error = {"code": code, "message": f"{field}: is not one that can be answered"}
        line |= {"response": None, "error": error}
        outcome.errors.append(orjson.dumps(line) + b"\n")
        return
    text = f"The emulator heard: {question}"[:4000]
    asked, said = count_tokens(question), count_tokens(text)
    usage = {"prompt_tokens": asked, "completion_tokens": said, "total_tokens": asked + said}
    choice: dict[str, object] = {"index": 0, "finish_reason": "stop"}
    is_chat = "messages" in body
    choice |= {"message": {"role": "assistant", "content": text}} if is_chat else {"text": text}
    answer = {
        "id": f"cmpl_{request_id}",
        "object": "chat.completion" if is_chat else "text_completion",
        "model": model.id,
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
