"""Progress reporting: a bar on a terminal, plain lines in a pipe or a file."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sized
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Self, TypeVar, cast

from mtfast.errors import printable

__all__ = ["Progress", "ProgressDisplay", "step", "track"]

T = TypeVar("T")

Progress = Callable[[str, int, int], None]
"""Called as (what, done, total). Functions that take one also take None, and then are silent."""

SECONDS_BETWEEN_LINES = 10.0
# A terminal with fewer columns has no room for a bar.
NARROW = 60


def track(
    items: Iterable[T],
    what: str,
    progress: Progress | None,
    total: int | None = None,
    size: Callable[[T], int] | None = None,
) -> Iterator[T]:
    """Iterate over items, and report after each one how much is done.

    Parameters
    ----------
    items : iterable
    what : str
        What is being done, for example "writing images".
    progress : callable or None
        Called at the start and after each item.
    total : int, optional
        How much there is to do; by default the number of items.
    size : callable, optional
        Returns how much of it an item is; by default 1.

    Yields
    ------
    item

    Examples
    --------
    >>> for word in track(["mask", "box"], "counting", print, total=7, size=len):
    ...     pass
    counting 0 7
    counting 4 7
    counting 7 7
    """
    report = progress or _silent
    done, total = 0, len(cast("Sized", items)) if total is None else total
    report(what, done, total)
    for item in items:
        yield item
        done += 1 if size is None else size(item)
        report(what, done, total)


@contextmanager
def step(what: str, progress: Progress | None) -> Iterator[None]:
    """Report the body of a ``with`` block as work that is done in one step.

    Parameters
    ----------
    what : str
        What is done.
    progress : callable, optional

    Examples
    --------
    >>> with step("reading", lambda *report: print(report)):
    ...     pass
    ('reading', 0, 1)
    ('reading', 1, 1)
    """
    for _ in track([None], what, progress):
        yield


def _silent(what: str, done: int, total: int) -> None:
    """Show nothing."""


class ProgressDisplay:
    """Shows progress on standard error; it is called as a :data:`Progress`.

    Examples
    --------
    >>> with ProgressDisplay() as progress:
    ...     path = mtfast.convert("Graphene", "shown.zarr", progress=progress)
    """

    def __init__(self) -> None:
        self._bar: Any = None
        self._task: Any = None
        self._what = ""
        self._started = self._shown = 0.0

    def __enter__(self) -> Self:
        # A terminal that cannot move its cursor is like a pipe.
        if sys.stderr.isatty() and os.environ.get("TERM") != "dumb":
            self._bar = _make_bar()
            self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def __call__(self, what: str, done: int, total: int) -> None:
        """Show that ``done`` of ``total`` are done."""
        new = what != self._what
        if new:
            self._what = what
            self._started = self._shown = time.monotonic()
        if self._bar is not None:
            if new:
                self._task = self._bar.add_task(printable(what), total=total)
            self._bar.update(self._task, completed=done, total=total)
        elif done == total or time.monotonic() - self._shown > SECONDS_BETWEEN_LINES:
            self._shown = time.monotonic()
            seconds = self._shown - self._started
            rate = f", {done / seconds:,.0f}/s" if done and seconds > 0.1 else ""
            print(f"{printable(what)}: {done:,} of {total:,}{rate}", file=sys.stderr, flush=True)


def _make_bar() -> Any:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        ProgressColumn,
        Task,
        TextColumn,
        TimeRemainingColumn,
    )
    from rich.progress import Progress as Bar
    from rich.table import Column
    from rich.text import Text

    class Rate(ProgressColumn):
        """Items per second."""

        def render(self, task: Task) -> Text:
            """Return the rate as text."""
            speed = task.finished_speed or task.speed
            return Text(f"{speed:,.0f}/s" if speed else "", style="progress.data.speed")

    console = Console(stderr=True)
    columns: list[ProgressColumn] = [
        TextColumn("{task.description}", markup=False),
        MofNCompleteColumn(),
        TimeRemainingColumn(compact=True),
    ]
    if console.width >= NARROW:
        columns[1:1] = [BarColumn(bar_width=None, table_column=Column(ratio=1))]
        columns[3:3] = [Rate()]
    return Bar(*columns, console=console, expand=console.width >= NARROW)
