"""Takes credentials out of the user's own logs."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Iterable

from openrelay_async.redaction import Secret, scrub_text

_OWN_FIELDS = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class RedactionFilter(logging.Filter):
    """Lets every record through, with what looks like a credential replaced."""

    def __init__(self, known: Iterable[str | Secret] = ()) -> None:
        super().__init__()
        self._known = tuple(Secret(secret) for secret in known)

    def __repr__(self) -> str:
        return f"RedactionFilter({len(self._known)} known secrets)"

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


def install_redaction(logger: logging.Logger, *, known: Iterable[str | Secret] = ()) -> RedactionFilter:
    """Take credentials out of what a logger and its handlers write, messages and tracebacks alike.

    install_redaction(logging.getLogger())

    A logger's own filter sees only what is logged with it, not what its children pass up; its handlers see
    both. Handlers that are added later are not covered: call it again then, it installs nothing twice. Nor
    are those that make their own text of a traceback, such as rich's: they do not ask for the record's.

    Args:
        logger: usually the root logger.
        known: secrets to find whatever they look like.

    Returns:
        The filter, for `removeFilter`.
    """
    redaction = RedactionFilter(known)
    for target in (logger, *logger.handlers):
        if not any(isinstance(each, RedactionFilter) for each in target.filters):
            target.addFilter(redaction)
    return redaction
