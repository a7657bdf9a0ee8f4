"""Secret arguments are concealed before anything can fail, also those of a wrong type."""

from __future__ import annotations

from typing import Any

import pytest
from schema_samples import CANARY

from openrelay_async.redaction import Secret, conceal
from openrelay_async.unset import UNSET
from openrelay_async.wire import encode_secret, mapping


def test_texts_become_secrets_wherever_they_are() -> None:
    assert conceal(CANARY) == Secret(CANARY)
    assert conceal({"a": CANARY, "b": Secret(CANARY)}) == {"a": Secret(CANARY), "b": Secret(CANARY)}
    assert conceal([CANARY]) == [Secret(CANARY)]
    assert conceal(UNSET) is UNSET


@pytest.mark.parametrize("wrong", [CANARY.encode(), bytearray(CANARY.encode()), {CANARY}, memoryview(b"x")])
def test_a_secret_of_a_wrong_type_is_refused_by_its_type_and_not_shown(wrong: Any) -> None:
    hidden: Any = conceal(wrong)
    assert CANARY not in repr(hidden)
    with pytest.raises(TypeError, match=f"token must be str or Secret, not {type(wrong).__name__}"):
        encode_secret(hidden, "token")
    with pytest.raises(TypeError, match=r"env\['A'\] must be str or Secret"):
        mapping(encode_secret)(conceal({"A": wrong}), "env")
