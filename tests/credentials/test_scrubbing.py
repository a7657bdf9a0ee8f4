"""R4.3, R4.7: finding credentials in text, and nothing else."""

from __future__ import annotations

import base64
import copy
import hashlib
import json
import logging
import random
import secrets
import time
import uuid
from collections.abc import Callable
from pathlib import Path

import orjson
import pytest

from openrelay_async import Secret
from openrelay_async.log_redaction import install_redaction
from openrelay_async.redaction import scrub_text

ROOT = Path(__file__).resolve().parents[2]

TAILS: dict[str, Callable[[], str]] = {
    "base64url": lambda: secrets.token_urlsafe(32),
    "hex": lambda: secrets.token_hex(20),
    "base62": lambda: "".join(
        secrets.choice("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789") for _ in range(32)
    ),
    "base32": lambda: base64.b32encode(secrets.token_bytes(20)).decode().lower(),
}
PLACES = [
    "invalid key {}",
    "key={}&x=1",
    '{{"key": "{}", "n": 1}}',
    "Authorization: Bearer {}",
    "authorization: bearer {}\r\nHost: x",
    "https://api.example/v1/x?token={}",
    "('{}',)",
    "{}",
    "line\n{}\nline",
    "…é {} ü",
]


@pytest.mark.parametrize("prefix", ["vl_", "or_", "ors_", "whsec_", "vlp_", "orp_", "dpl_"])
@pytest.mark.parametrize("tail", TAILS)
def test_no_generated_key_is_missed(prefix: str, tail: str) -> None:
    """R4.7: 10,000 keys of both generations in the places where they turn up."""
    for number in range(1250 if prefix in {"vl_", "or_"} else 300):
        key = prefix + TAILS[tail]()
        for place in (PLACES[number % len(PLACES)],):
            scrubbed = scrub_text(place.format(key))
            assert key not in scrubbed
            assert key[len(prefix) + 4 : len(prefix) + 16] not in scrubbed
            assert "[redacted]" in scrubbed


ESCAPED_PLACES = [
    "line\\n{}\\nline",
    "line\\r\\n{}",
    "column\\t{}\\t",
    "twice\\\\n{}\\\\n",
    "for HTML \\u0022{}\\u0022",
    "colours \\x1b[0m\\x1b{}",
    "of a URL %0A{}%0A",
    "of a URL %22{}%22",
]


@pytest.mark.parametrize("prefix", ["vl_", "or_", "ors_", "whsec_", "vlp_", "orp_", "dpl_"])
@pytest.mark.parametrize("place", ESCAPED_PLACES)
def test_a_key_after_an_escaped_line_end_is_found(place: str, prefix: str) -> None:
    """R4.7: `repr` and JSON of a text with lines have the letter n where the line ends."""
    for make in TAILS.values():
        for _ in range(25):
            key = prefix + make()
            text = place.format(key)
            assert scrub_text(text) == place.format("[redacted]"), text
            assert key not in scrub_text(json.dumps(f"a\n{key}\nb"))
            assert key not in scrub_text(repr(f"a\t{key}\nb"))


@pytest.mark.parametrize("text", ["a\\nvl_short1234", "a\\nBearer Abc123xyz", "a\\r\\nbearer Abc123xyz"])
def test_a_short_key_after_an_escaped_line_end_is_found(text: str) -> None:
    """R4.7."""
    assert "[redacted]" in scrub_text(text)


@pytest.mark.parametrize(
    "label",
    [
        *("accessToken", "sessionToken", "clientSecret", "userPassword", "myApiKey", "APIToken"),
        *("access_token", "session-token", "token", "apiKey", "AccessToken"),
    ],
)
def test_labels_in_camel_case_are_seen(label: str) -> None:
    """R4.7."""
    value = "abcDEF123456abcDEF123456"
    for place in (
        '{{"{}": "{}"}}',
        "{}={}&x=1",
        "{}: {}",
        "{{'{}': '{}'}}",
        '{{\\"{}\\": \\"{}\\"}}',
        "a\\n{}={}",
    ):
        text = place.format(label, value)
        assert scrub_text(text) == place.format(label, "[redacted]"), text


def test_a_key_without_a_prefix_is_found_in_a_header_and_after_a_label() -> None:
    """Prefixes are no promise: R4.7 holds for a key with none.

    One of 50,000 such keys looks like words to the patterns. It is found all the same where it is in use,
    which is another test's business; here the keys are always the same ones.
    """
    randomness = random.Random(1)
    for _ in range(1000):
        key = base64.urlsafe_b64encode(randomness.randbytes(24)).decode()
        for place in ("Authorization: Bearer {}", "bearer {}", "token={}", '"api_key": "{}"', "password: {}"):
            text = place.format(key)
            assert key not in scrub_text(text), text


def test_web_tokens_are_found_whole() -> None:
    token = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9P"
    assert scrub_text(f"got {token}, no") == "got [redacted], no"


def test_webhook_secrets_in_standard_base64_are_found_whole() -> None:
    for _ in range(300):
        secret = "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()
        assert scrub_text(f"s: {secret}.") == "s: [redacted]."


def test_long_texts_are_scrubbed_everywhere() -> None:
    key = "or_" + secrets.token_urlsafe(32)
    text = "some words and a key " * 10_000
    assert scrub_text(f"{text}{key} {text}{key}").count("[redacted]") == 2


KINDS = ("vm", "org", "key", "evt", "cl", "wh", "req", "batch", "file", "snap", "usr", "ses", "aud")


def make_ids_and_hashes() -> list[str]:
    return [
        *(f"{kind}_{uuid.uuid4().hex[:20]}" for kind in KINDS for _ in range(100)),
        *(str(uuid.uuid4()) for _ in range(1000)),
        *(secrets.token_hex(32) for _ in range(1000)),
        *(secrets.token_hex(20) for _ in range(1000)),
        *(f"sha256:{secrets.token_hex(32)}" for _ in range(500)),
    ]


CLEAN = [
    "vl_abc12",
    "vl_abc1…(sha256:26ed1345e3b8)",
    "or_else_branch_of_the_expression",
    "for_each_vendor_or_customer_in_the_list",
    "error_code_or_message_2",
    "the bearer of this letter",
    "bearer authentication",
    "Bearer tokens are explained in RFC 6750.",
    "basic understanding of internationalization",
    "INSUFFICIENT_GPU_CAPACITY IDEMPOTENCY_KEY_REUSED",
    "X-VectorLay-Signature: sha256=" + hashlib.sha256(b"x").hexdigest(),
    "idempotency key 0b0f9f5e-6e7a-4a57-9d4b-7f0f6a3f1a11",
    "/v1/orgs/org_06964b3fbfca28fd8bff/api-keys/create",
    "registry.example.com/team/image@sha256:" + hashlib.sha256(b"y").hexdigest(),
    "2026-11-23T17:00:00.123456789Z",
    "nvidia/cuda:12.4.1-cudnn-devel-ubuntu22.04",
    "sk_learn_version_and_other_names",
    "token: no, secret: none, password: required",
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ",
    "Qk1G+opaque/cursor==",
    "broken: abcDEF123456abcDEF123456",
    "C:\\new\\tokens\\registered\\vl_tools",
    "tokenizer=abcDEF123456abcDEF123456",
    "maxTokens: 4096, stopToken: none, cancellationToken: required",
    "100%20of%20them%0Aand\\nmore\\u0020words",
]


def check_clean(text: str) -> None:
    for sentence in (text, f"failed: {text}.", f'{{"id": "{text}"}}', f"id={text}", f"see {text} and others"):
        assert scrub_text(sentence) == sentence


def test_ids_and_hashes_are_no_credentials() -> None:
    """R4.7: what a user needs to find an error stays in it."""
    for text in make_ids_and_hashes():
        check_clean(text)


@pytest.mark.parametrize("text", CLEAN)
def test_names_and_prose_are_no_credentials(text: str) -> None:
    """R4.7."""
    check_clean(text)


@pytest.mark.parametrize(
    "path", ["api_description/openrelay.json", "api_description/operations.toml", "LICENSE", "CHANGELOG.md"]
)
def test_the_projects_own_prose_has_no_credentials(path: str) -> None:
    file = ROOT / path
    if file.exists():
        text = file.read_text()
        assert scrub_text(text) == text
        for line in text.splitlines():
            assert scrub_text(line) == line


def test_known_secrets_are_found_whatever_they_look_like() -> None:
    """R4.7."""
    odd = Secret("correct horse battery staple!")
    assert scrub_text("it was correct horse battery staple!", [odd]) == f"it was {odd}"


def test_clean_text_is_read_fast() -> None:
    """200 MB/s are measured by benchmarks/scrub.py; this only keeps a slow expression from coming back."""
    sentence = "the quick brown fox jumps over the lazy dog with status 200 in authorization"
    randomness = random.Random(1)
    words = sentence.split()
    text = " ".join(randomness.choice(words) for _ in range(400_000))
    speeds = []
    for _ in range(5):
        began = time.process_time()
        scrub_text(text)
        speeds.append(len(text) / 1e6 / (time.process_time() - began))
    assert max(speeds) > 40


def test_a_text_made_to_be_slow_is_not() -> None:
    """No text makes the search take more than linear time."""
    for unit in (
        "vl_",
        "or_",
        "eyJa.",
        "bearer ",
        "token: ",
        "or_a-",
        "a" * 15 + " ",
        "-vl_x/",
        'token"',
        "\\n",
        "\\u0041",
        "%0A",
        "aT",
    ):
        for length in (15_000, 400_000):
            text = unit * (length // len(unit))
            began = time.process_time()
            scrub_text(text)
            assert time.process_time() - began < 3, unit


class Lines(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.setFormatter(logging.Formatter("%(message)s"))
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(self.format(record) + str(vars(record).get("user_token", "")))


def test_a_loggers_messages_arguments_tracebacks_and_extras_are_redacted() -> None:
    key = "vl_" + secrets.token_urlsafe(32)
    handler = Lines()
    logger = logging.getLogger(f"test.{uuid.uuid4()}")
    logger.propagate = False
    logger.addHandler(handler)
    install_redaction(logger, known=["an odd secret of mine, long enough"])
    install_redaction(logger)
    logger.warning("with %s", key)
    logger.warning("in the text " + key)  # noqa: G003 - what is tested
    logger.warning("odd: %s", "an odd secret of mine, long enough")
    logger.getChild("child").warning("from a child %(k)s", {"k": key})
    logger.warning("extra", extra={"user_token": key})
    logger.warning("clean %d", 3)
    try:
        raise ValueError(f"bad key {key}")
    except ValueError:
        logger.exception("failed", stack_info=True)
    assert len(handler.lines) == 7
    assert key not in "".join(handler.lines)
    assert "odd secret of mine" not in "".join(handler.lines)
    assert handler.lines[5] == "clean 3"
    assert "ValueError: bad key [redacted]" in handler.lines[6]
    assert len(logger.filters) == len(handler.filters) == 1


def test_a_logger_whose_redaction_is_there_learns_of_other_secrets() -> None:
    """R4.1: with the filters that its handlers share with other loggers, and with handlers added since."""
    first, shared, later = Lines(), Lines(), Lines()
    other, logger = (logging.getLogger(f"test.{uuid.uuid4()}") for _ in range(2))
    other.addHandler(shared)
    theirs = install_redaction(other)
    for handler in (first, shared):
        logger.addHandler(handler)
    logger.propagate = other.propagate = False
    ours = install_redaction(logger, known=["my first odd secret"])
    logger.addHandler(later)
    assert install_redaction(logger, known=["my second odd secret", Secret("my first odd secret")]) is ours
    assert ours is theirs
    assert repr(ours) == "RedactionFilter(2 known secrets)"
    install_redaction(logger, known="my third odd secret")  # one alone: its letters are no secrets
    assert repr(ours) == "RedactionFilter(3 known secrets)"
    logger.warning("my first odd secret, %s", "my second odd secret")
    other.warning("my second odd secret")
    lines = first.lines + shared.lines + later.lines
    assert len(lines) == 4
    assert "odd secret" not in "".join(lines)
    assert {len(each.filters) for each in (logger, first, shared, later)} == {1}


def test_a_secret_is_not_iterable_and_no_json_takes_it() -> None:
    """R4.3."""
    secret = Secret("vl_" + "a1" * 20)
    for misuse in (list, tuple, set, len, json.dumps, orjson.dumps, "".join, bytes, int):
        with pytest.raises(TypeError):
            misuse(secret)  # type: ignore[operator]
    with pytest.raises(TypeError):
        json.dumps({"key": secret})
    with pytest.raises(TypeError):
        "vl_" in secret  # type: ignore[operator]  # noqa: B015
    with pytest.raises(TypeError):
        "key: " + secret  # type: ignore[operator]
    with pytest.raises(TypeError):
        secret[0]  # type: ignore[index]


def test_secrets_are_equal_by_text_and_unequal_to_text() -> None:
    """R4.3: compared by `hmac.compare_digest`, which takes the same time wherever they differ."""
    text = "vl_" + secrets.token_urlsafe(32)
    assert Secret(text) == Secret(text)
    assert hash(Secret(text)) == hash(Secret(text))
    assert Secret(text) != Secret(text + "x")
    assert Secret(text) != text
    assert copy.deepcopy(Secret(text)) == Secret(text)
    assert len({Secret(text), Secret(text)}) == 1


def test_a_mask_shows_a_prefix_and_a_fingerprint_or_nothing_below_24_characters() -> None:
    """R4.3."""
    text = "vl_abc1" + "x" * 33
    fingerprint = hashlib.sha256(text.encode()).hexdigest()[:12]
    assert repr(Secret(text)) == f"vl_abc1…(sha256:{fingerprint})"
    assert str(Secret("x" * 23)) == "Secret(•••)"
    assert f"{Secret('x' * 23):>12}".strip() == "Secret(•••)"
    assert scrub_text(repr(Secret(text))) == repr(Secret(text))
