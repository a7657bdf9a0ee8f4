"""Values that must not be shown, and text from which they are taken out.

Redaction belongs to the type that holds the value: whatever prints a `Secret`, a `HeaderValue` or a
`Payload` prints its mask, also a debugger that shows the locals of a frame.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final, Never, Self, SupportsIndex, overload

from openrelay_async.fork_guard import importing
from openrelay_async.unset import Unset

SHORTEST_SHOWN = 24
"""Secrets shorter than this show nothing of themselves: prefix and fingerprint would give too much away."""

LONGEST_TEXT = 500
"""Characters kept of any text from the service in an error."""

LONGEST_WORD = 100
"""Characters kept of an error's code and request id: the real ones are words such as `NAME_TAKEN`."""

_LONGEST_READ = 16 * 1024
_LONGEST_SEARCHED = 8 * 1024
_LONGEST_REASON = 200
_DOUBTFUL_END = 96
"""Characters in which the beginning of a secret can be too short to be found: 15, each escaped to six."""

_CONTROL_CHARACTERS = (
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff"
    r"\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]"  # what turns the direction of writing
)
"""What a terminal or a log would obey, or could not write. Line ends stay: a message may have lines."""

_PREFIX_LENGTH = 7
_FINGERPRINT_LENGTH = 12
_HIDDEN = "Secret(•••)"
_REDACTED: Final = "[redacted]"


def mask_secret(plaintext: str) -> str:
    """Return what may be shown of a secret: `vl_abc1…(sha256:26ed1345e3b8)`, or `Secret(•••)` if short."""
    if len(plaintext) < SHORTEST_SHOWN:
        return _HIDDEN
    digest = hashlib.sha256(plaintext.encode("utf-8", "surrogatepass")).hexdigest()
    prefix = "".join(c if c.isprintable() else "·" for c in plaintext[:_PREFIX_LENGTH])
    return f"{prefix}…(sha256:{digest[:_FINGERPRINT_LENGTH]})"


class Secret:
    """A credential: masked in every representation, its text only from `reveal()`.

    `repr`, `str`, `format` and log messages show a prefix and a short SHA-256 fingerprint, so that two
    keys can be told apart, or nothing at all below 24 characters. Comparing takes the same time
    wherever the two differ. Pickled it is sealed: the mask stays, `reveal()` raises.
    """

    __slots__ = ("__weakref__", "_mask", "_plaintext")

    _plaintext: str | None
    _mask: str | None

    def __init__(self, plaintext: str | Secret) -> None:
        if isinstance(plaintext, Secret):
            self._plaintext, self._mask = plaintext._plaintext, plaintext._mask
            return
        if not isinstance(plaintext, str):
            kind = type(plaintext).__name__
            # A traceback shows this frame: not what was given, and the half-made secret as one.
            del plaintext
            self._plaintext, self._mask = None, _HIDDEN
            raise TypeError(f"a Secret is made from str, not {kind}")
        self._plaintext, self._mask = plaintext, None

    @classmethod
    def _sealed(cls, mask: str) -> Self:
        sealed = cls.__new__(cls)
        sealed._plaintext, sealed._mask = None, mask
        return sealed

    def reveal(self) -> str:
        """Return the plaintext.

        Raises:
            ValueError: the secret has been pickled, which leaves only its mask.
        """
        if self._plaintext is None:
            raise ValueError("this Secret was pickled, so its text is gone; read it where it was made")
        return self._plaintext

    def __repr__(self) -> str:
        # The fingerprint costs a hash, so it is made when first shown: most secrets never are.
        if self._mask is None:
            self._mask = mask_secret(self._plaintext or "")
        return self._mask

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return format(repr(self), spec)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        if self is other:
            return True
        if self._plaintext is None or other._plaintext is None:
            # A mask that shows a fingerprint stands for one text; the short form stands for all.
            return repr(self) == repr(other) != _HIDDEN
        return hmac.compare_digest(_encode(self._plaintext), _encode(other._plaintext))

    def __hash__(self) -> int:
        return hash(repr(self))

    def __bool__(self) -> bool:
        return self._plaintext != ""

    def __iter__(self) -> Never:
        raise TypeError("a Secret is not iterable; reveal() gives its text")

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: dict[int, object]) -> Self:
        return self

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return _seal, (repr(self),)


def _seal(mask: str) -> Secret:
    return Secret._sealed(mask)


def _encode(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


@overload
def conceal(value: str | Secret) -> Secret: ...  # type: ignore[overload-overlap]  # a str is a Sequence too
@overload
def conceal(value: Mapping[str, str | Secret]) -> Mapping[str, Secret]: ...
@overload
def conceal(value: Sequence[str | Secret]) -> Sequence[Secret]: ...
@overload
def conceal(value: Unset) -> Unset: ...
def conceal(value: object) -> object:
    """Return `value` with every text in it as a `Secret`; mappings and lists are copied.

    Methods rebind their secret arguments with it first, so that no frame of the library shows them.
    """
    return _conceal(value)


def _conceal(value: object) -> object:
    if isinstance(value, str):
        return Secret(value)
    if isinstance(value, Mapping):
        return {key: _conceal(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_conceal(item) for item in value]
    if value is None or isinstance(value, Secret | Unset):
        return value
    return stand_in_for(value)  # no text, so it will be refused


class _StandIn:
    """Shown in place of an argument. Empty, because `reprlib` goes by a type's name: a `list` has items."""

    __slots__ = ()

    def __len__(self) -> int:
        return 0

    def __iter__(self) -> Iterator[object]:
        return iter(())


def stand_in_for(value: object) -> object:
    """Return an object whose type has the name of the value's: all that the refusal of the value needs.

    What a caller gives in a wrong shape may be a credential in brackets, and frames show it whole.
    """
    return type(type(value).__name__, (_StandIn,), {"__slots__": ()})()


class HeaderValue(str):
    """A header's value that is sent as it is and shown as `[redacted]`.

    aiohttp keeps request headers in frames that a traceback can show; being the type's own business,
    the mask holds there too.
    """

    __slots__ = ()

    def __repr__(self) -> str:
        return f"'{_REDACTED}'"

    def __reduce__(self) -> tuple[type[str], tuple[str]]:
        return str, (_REDACTED,)

    def __reduce_ex__(self, protocol: SupportsIndex) -> tuple[type[str], tuple[str]]:
        # The one that pickle asks first; that of `str` would write the text.
        return self.__reduce__()


class Payload:
    """The bytes of a body, shown only by their length."""

    __slots__ = ("data", "secrets")

    def __init__(self, data: bytes, secrets: Iterable[Secret] = ()) -> None:
        """Take the bytes, and the secrets that are among them, for whoever scrubs what comes back."""
        self.data = data
        self.secrets = tuple(secrets)

    def __len__(self) -> int:
        return len(self.data)

    def __repr__(self) -> str:
        return f"<{len(self.data)} bytes>"

    def __reduce__(self) -> Never:
        raise TypeError("a Payload may hold secrets and is not pickled")


def scrub_text(text: str, known: Iterable[Secret] = ()) -> str:
    """Return `text` without anything that looks like a key, and without the `known` ones.

    Finds keys of both generations, session, provisioning and webhook secrets, JSON web tokens, values of
    bearer headers and of what is labelled `token=`, `"api_key":` and the like; not ids and hashes.

    Args:
        text: any text, for example a message from the service that echoes what was sent.
        known: secrets in use, found whatever they look like: also escaped as in JSON or a URL, and the
            beginning of one that was cut.
    """
    text = _replace(text, _find_known(text, known))
    return _replace(text, _find_shapes(text))


_Place = tuple[int, int, str]
"""Begin and end of what must not be shown, and what is shown instead."""


def _find_known(text: str, known: Iterable[Secret]) -> list[_Place]:
    secrets = [secret for secret in known if secret and secret._plaintext is not None]
    if not text or not secrets:
        return []
    with importing:
        from openrelay_async.echoes import find_echoes  # most programs meet no text that has to be searched
    places = find_echoes(text, [secret.reveal() for secret in secrets])
    return [(begin, end, repr(secrets[which])) for begin, end, which in places]


def _find_shapes(text: str) -> list[_Place]:
    with importing:
        from openrelay_async.key_shapes import find_credentials  # its expressions take long to compile
    return [(begin, end, _REDACTED) for begin, end in find_credentials(text)]


def _replace(text: str, places: list[_Place]) -> str:
    if not places:
        return text
    parts, at = [], 0
    for begin, end, mask in places:
        parts += [text[at:begin], mask]
        at = end
    return "".join([*parts, text[at:]])


def clean_text(text: str, known: Iterable[Secret]) -> str:
    """Return a text of the service as it may stand in an error: scrubbed, free of control characters, cut."""
    # In this order: what is cut before it is looked for may be a secret that is not found.
    read = text[:_LONGEST_READ]
    places = _find_known(read, known)
    shown = _replace(_end_safely(read, places, len(text)), places)
    searched = shown[:_LONGEST_SEARCHED]
    places = _find_shapes(searched)
    shown = _replace(_end_safely(searched, places, len(shown)), places)
    return re.sub(_CONTROL_CHARACTERS, " ", shown)[:LONGEST_TEXT]


def _end_safely(part: str, places: list[_Place], whole: int) -> str:
    """Return a text that was cut without its end: what is left there of a secret can be too short to find."""
    if len(part) == whole:
        return part
    return part[: max(len(part) - _DOUBTFUL_END, places[-1][1] if places else 0)]


def clean_word(text: str, known: Iterable[Secret], *, longest: int = LONGEST_WORD) -> str:
    """Return a text that is meant to be one word, fit to stand in the one line of an error."""
    return " ".join(clean_text(text, known).split())[:longest]


def describe_foreign(error: BaseException, known: Iterable[Secret] = ()) -> str:
    """Return what the caller's own code raised, fit for an error's line: `TimeoutError: it is sealed`."""
    said = scrub_text(" ".join(str(error).split()), known)[:_LONGEST_REASON]
    return f"{type(error).__name__}: {said}" if said else type(error).__name__


scrub = scrub_text
"""The public name: `from openrelay_async import scrub`."""
