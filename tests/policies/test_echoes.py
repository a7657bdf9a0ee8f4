"""R4.7: where a text shows a secret that is known, as it is, escaped or cut."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable
from urllib.parse import quote, quote_plus

import orjson
import pytest

from openrelay_async import Secret
from openrelay_async.echoes import SHORTEST_BEGINNING, find_echoes
from openrelay_async.redaction import clean_text, clean_word, scrub_text

ODD = 'pass"wo\\rd with\nlines, é 😀 + %41/<&>'
FORMS: dict[str, Callable[[str], str]] = {
    "as it is": str,
    "orjson": lambda text: orjson.dumps(text)[1:-1].decode(),
    "json": lambda text: json.dumps(text)[1:-1],
    "json twice": lambda text: json.dumps(json.dumps(text)[1:-1])[1:-1],
    "json with escaped slashes": lambda text: json.dumps(text)[1:-1].replace("/", "\\/"),
    "json for HTML": lambda text: json.dumps(text)[1:-1].replace("<", "\\u003c").replace("&", "\\u0026"),
    "repr": lambda text: repr(text)[1:-1],
    "repr of bytes": lambda text: repr(text.encode())[2:-1],
    "quote": lambda text: quote(text, safe=""),
    "quote in lower case": lambda text: quote(text, safe="").lower(),
    "quote, slashes kept": quote,
    "quote_plus": quote_plus,
}


@pytest.mark.parametrize("form", FORMS)
def test_a_known_secret_is_found_in_every_form(form: str) -> None:
    """R4.7."""
    shown = FORMS[form](ODD)
    for before, after in (("", ""), ("bad value: ", " in the body"), ('{"a":"\\n', '"}'), ("%22 ", "%22")):
        assert scrub_text(before + shown + after, [Secret(ODD)]) == f"{before}{Secret(ODD)}{after}"


def test_each_of_several_is_masked_as_itself() -> None:
    first, second = (
        Secret("first secret of mine, long enough"),
        Secret('"second" secret of mine, long enough'),
    )
    text = f"{first.reveal()} and {json.dumps(second.reveal())} and {quote(first.reveal())}"
    assert scrub_text(text, [first, second]) == f'{first} and "{second}" and {first}'


def test_the_beginning_of_a_secret_that_was_cut_is_found() -> None:
    """R4.7."""
    secret = "correct horse battery staple, and more"
    for length in range(SHORTEST_BEGINNING, len(secret)):
        assert find_echoes(f"bad: {secret[:length]}…", [secret]) == [(5, 5 + length, 0)]
    assert find_echoes("correct horse is correct", [secret]) == []


def test_a_short_secret_is_found_as_a_whole_only() -> None:
    assert find_echoes("pass pas password", ["password"]) == [(9, 17, 0)]


def test_a_secret_that_repeats_itself_is_found_to_its_end() -> None:
    secret = "ab" * 20 + "end"
    assert find_echoes("ab" * 30 + "end", [secret]) == [(0, 63, 0)]


def test_texts_without_a_secret_stay_as_they_are() -> None:
    known = [Secret(ODD), Secret("vl_" + "a1" * 20)]
    for text in ("", "100% of it", "C:\\new\\users", "a+b", "\\u12", "%", "\\", "%zz\\q"):
        assert scrub_text(text, known) == text


def test_no_place_of_a_random_text_is_missed_or_moved() -> None:
    """Positions are those of the text, however it is escaped around them."""
    randomness = random.Random(1)
    pieces = [
        "a",
        "\\n",
        "\\u00e9",
        "%20",
        "\\\\",
        "%C3%A9",
        "%ff",
        "\\x1b",
        "é",
        "\\ud83d\\ude00",
        "+",
        " ",
        "%",
    ]
    for _ in range(2000):
        before, after = ("".join(randomness.choices(pieces, k=8)) + " " for _ in range(2))
        shown = randomness.choice(list(FORMS.values()))(ODD)
        assert scrub_text(f"{before}{shown} {after}", [Secret(ODD)]) == f"{before}{Secret(ODD)} {after}"


def test_a_text_made_to_be_slow_is_not() -> None:
    """No text makes the search take more than linear time, not even one that knows the secret."""
    secret = "ab" * 20_000 + "end"
    for unit in ("ab", "ab" * 8 + "c", "ab" * 20, "%61%62", "\\u0061b", "\\\\", "ab\\n", "+ab"):
        for length in (15_000, 400_000):
            text = unit * (length // len(unit))
            began = time.process_time()
            scrub_text(text, [Secret(secret), Secret(ODD)])
            assert time.process_time() - began < 3, unit


def test_a_cleaned_text_shows_no_secret_at_the_place_where_it_is_cut() -> None:
    """R4.7: masks are short, so what stands far behind can come to the front."""
    secret = Secret("S3cret-" * 1000)
    shown = clean_text(secret.reveal() * 40, [secret])
    assert "S3cret-" not in shown.replace(str(secret), "")
    for length in range(16 * 1024 - 40, 16 * 1024 + 1):
        text = (secret.reveal() * 3)[: length - 10] + "\\n" * 5 + "Hidden words of a key"
        known = [secret, Secret("Hidden words of a key")]
        assert "Hidden" not in clean_text(text, known).replace(str(known[1]), "")


def test_a_cleaned_word_is_one_line_of_a_hundred_characters() -> None:
    assert clean_word("a\n b\x00c\u2028 d", ()) == "a b c d"
    assert clean_word("x" * 200, ()) == "x" * 100


def test_a_cleaned_text_reads_in_the_order_in_which_it_stands() -> None:
    """R4.7: a mark that turns the direction makes a terminal show another text than there is."""
    assert clean_text("not \u202edetelet\u202c\u2066!\u2069", ()) == "not  detelet  ! "
    assert clean_text("\u05e9\u05dc\u05d5\u05dd é", ()) == "\u05e9\u05dc\u05d5\u05dd é"
