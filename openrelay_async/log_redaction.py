"""Takes credentials out of the user's own logs."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Iterable

from openrelay_async.redaction import Secret, conceal, scrub_text

_OWN_FIELDS = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class RedactionFilter(logging.Filter):
    """Lets every record through, with what looks like a credential replaced."""

    def __init__(self, known: Iterable[str | Secret] | Secret = ()) -> None:
        """Take secrets to find whatever they look like.

        Raises:
            TypeError: one is neither `str` nor `Secret`.
        """
        super().__init__()
        self._known: tuple[Secret, ...] = ()
        # Concealed before anything can fail, here and below: a traceback shows these frames.
        concealed = _conceal_each(known)
        del known
        self.add(concealed)

    def __repr__(self) -> str:
        return f"RedactionFilter({len(self._known)} known secrets)"

    def add(self, known: Iterable[str | Secret] | Secret) -> None:
        """Find these too from now on.

        Raises:
            TypeError: one is neither `str` nor `Secret`.
        """
        concealed = _conceal_each(known)
        del known
        secrets = [Secret(secret) for secret in concealed]
        self._known += tuple(secret for secret in secrets if secret not in self._known)

    def filter(self, record: logging.LogRecord) -> bool:
        try:
            message = record.getMessage()
        except Exception:  # a wrong format string is the handler's to complain about
            record.args = None
            message = str(record.msg)
        scrubbed = scrub_text(message, self._known)
        if scrubbed != message:
            record.msg, record.args = scrubbed, None
        if record.exc_info and record.exc_info[1] is not None and not record.exc_text:
            # Formatters take this text as it is, and do not make their own.
            record.exc_text = "".join(traceback.format_exception(record.exc_info[1])).rstrip()
        if record.exc_text:
            record.exc_text = scrub_text(record.exc_text, self._known)
        if record.stack_info:
            record.stack_info = scrub_text(record.stack_info, self._known)
        for name, value in vars(record).items():
            if name not in _OWN_FIELDS and isinstance(value, str):
                # What was given as `extra=`: formatters that write JSON show it.
                setattr(record, name, scrub_text(value, self._known))
        return True


def _conceal_each(known: Iterable[str | Secret] | Secret) -> list[Secret]:
    """Return secrets in a form that frames may show; one alone is no list of its characters."""
    return [conceal(secret) for secret in ((known,) if isinstance(known, str | Secret) else known)]


def install_redaction(
    logger: logging.Logger, *, known: Iterable[str | Secret] | Secret = ()
) -> RedactionFilter:
    """Take credentials out of what a logger and its handlers write, messages and tracebacks alike.

        install_redaction(logging.getLogger())

    A logger's own filter sees only what is logged with it, not what its children pass up; its handlers see
    both. Handlers that are added later are not covered: call it again then. It installs nothing twice: the
    filter that is there learns of the secrets that are new. Nor are handlers covered that make their own
    text of a traceback, such as rich's: they do not ask for the record's.

    Args:
        logger: usually the root logger.
        known: secrets to find whatever they look like, or one.

    Returns:
        The filter, for `removeFilter`: the one that was there, if there was one.

    Raises:
        TypeError: one of the secrets is neither `str` nor `Secret`.
    """
    concealed = _conceal_each(known)
    del known
    fresh = RedactionFilter(concealed)
    targets = (logger, *logger.handlers)
    present = [each for target in targets for each in target.filters if isinstance(each, RedactionFilter)]
    for each in present:
        each.add(concealed)
    redaction = present[0] if present else fresh
    for target in targets:
        if not any(isinstance(each, RedactionFilter) for each in target.filters):
            target.addFilter(redaction)
    return redaction
