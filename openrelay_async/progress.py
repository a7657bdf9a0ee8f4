"""How waits come along, for people: a bar in a terminal or a notebook, lines in a log file.

    from openrelay_async.progress import WaitBar

    with WaitBar(total=len(ids)) as bar:
        vms = await client.vms.wait_all(ids, until="ssh_ready", on_update=bar)

The bar is tqdm's (the extra `progress`); without it, and where nobody looks, there is a line for each change.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections import Counter
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TextIO

from openrelay_async.cells import tell_duration

if TYPE_CHECKING:
    from tqdm import tqdm

    from openrelay_async.waiting import WaitProgress


class WaitBar:
    """The `on_update` of one wait, or of many together. Use it in a `with` block, or `close()` it.

    It may be called from any thread.
    """

    def __init__(self, total: int = 1, *, description: str = "", file: TextIO | None = None) -> None:
        """Take how many resources are waited for.

        Args:
            description: what stands before the bar.
            file: where to write, by default the standard error; anything but a terminal gets lines.
        """
        self._total = total
        self._description = description
        self._file = sys.stderr if file is None else file
        self._states: dict[str, str] = {}
        self._reached: set[str] = set()
        self._last: dict[str, str] = {}
        self._bar: tqdm[Any] | None = self._make_bar(is_notebook=file is None and _in_notebook())

    def __repr__(self) -> str:
        return f"<WaitBar {len(self._reached)}/{self._total}>"

    def __call__(self, progress: WaitProgress[object]) -> None:
        """Take in a change."""
        self._states[progress.id] = progress.status
        if progress.status == progress.until or getattr(progress.resource, progress.until, None) is True:
            self._reached.add(progress.id)
        else:
            self._reached.discard(progress.id)
        if self._bar is None:
            self._write_line(progress)
        else:
            self._draw(progress)

    def close(self) -> None:
        """Leave the bar as it is."""
        if self._bar is not None:
            self._bar.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _draw(self, progress: WaitProgress[object]) -> None:
        if self._bar is None:
            return
        if self._total == 1:
            said = f"{progress.id} {progress.status}"
            if progress.status_reason:
                said += f" ({progress.status_reason})"
        else:
            counts = Counter(self._states.values())
            said = ", ".join(f"{count} {status}" for status, count in counts.most_common(4))
        self._bar.n = len(self._reached)
        self._bar.set_postfix_str(said, refresh=False)
        self._bar.refresh()

    def _write_line(self, progress: WaitProgress[object]) -> None:
        reason = f" ({progress.status_reason})" if progress.status_reason else ""
        said = f"{progress.id} {progress.status}{reason}"
        if self._last.get(progress.id) == said and progress.id not in self._reached:
            return  # a change that does not show here
        self._last[progress.id] = said
        before = f"{self._description}: " if self._description else ""
        count = f" [{len(self._reached)}/{self._total}]" if self._total > 1 else ""
        after = tell_duration(progress.elapsed)
        print(
            f"{before}{said} after {after}, waiting for {progress.until}{count}",
            file=self._file,
            flush=True,
        )

    def _make_bar(self, *, is_notebook: bool) -> tqdm[Any] | None:
        if not is_notebook and not self._file.isatty():
            return None
        if importlib.util.find_spec("tqdm") is None:
            return None
        # tqdm.auto warns where ipywidgets is missing; a plain bar is good enough there.
        has_widgets = is_notebook and importlib.util.find_spec("ipywidgets") is not None
        kind: type[tqdm[Any]] = importlib.import_module("tqdm.auto" if has_widgets else "tqdm").tqdm
        return kind(
            total=self._total,
            desc=self._description or "waiting",
            unit="",
            file=None if has_widgets else self._file,
            bar_format="{desc}: {n_fmt}/{total_fmt} |{bar}| {elapsed} {postfix}",
            dynamic_ncols=not has_widgets,
            leave=True,
        )


def _in_notebook() -> bool:
    """Return whether this is a kernel, whose output is a web page."""
    ipython = sys.modules.get("IPython")
    get_shell = getattr(ipython, "get_ipython", None)
    shell = get_shell() if callable(get_shell) else None
    return shell is not None and hasattr(shell, "kernel")
