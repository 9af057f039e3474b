"""Progress reporting: a bar on a terminal, plain lines in a pipe or a file."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sized
from contextlib import contextmanager
from functools import wraps
from types import TracebackType
from typing import Any, ParamSpec, Self, TypeVar, cast

from mtfast.errors import MtfastError, printable, shown

__all__ = ["Progress", "ProgressDisplay", "shows_progress", "step", "track"]

T = TypeVar("T")
Result = TypeVar("Result")
Parameters = ParamSpec("Parameters")

Progress = Callable[[str, int, int], None] | bool
"""How work reports: a function that is called as (what, done, total), or True for the command
line's bar. None and False are silent."""

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
        Called at the start and after each item. True shows nothing here: see
        :func:`shows_progress`.
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
    report = progress if callable(progress) else _silent
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


def shows_progress(function: Callable[Parameters, Result]) -> Callable[Parameters, Result]:
    """Let a function take ``progress=True``, and show a :class:`ProgressDisplay` while it runs.

    Parameters
    ----------
    function : callable
        With a keyword argument ``progress``, a :data:`Progress` or None, that it hands on.

    Returns
    -------
    callable
        Raises MtfastError if ``progress`` is none of these.

    Examples
    --------
    >>> @shows_progress
    ... def count(n, *, progress=None):
    ...     return sum(1 for _ in track(range(n), "counting", progress))
    >>> count(3), count(3, progress=False)
    (3, 3)
    >>> count(3, progress="yes")
    Traceback (most recent call last):
    mtfast.errors.MtfastError: progress is 'yes'; expected True, or a function that is called as \
(what, done, total); pass one, or leave it out
    """

    @wraps(function)
    def call(*args: Parameters.args, **kwargs: Parameters.kwargs) -> Result:
        progress = kwargs.get("progress")
        if progress is True:
            with ProgressDisplay() as kwargs["progress"]:
                return function(*args, **kwargs)
        if not (callable(progress) or progress is None or progress is False):
            raise MtfastError(
                f"progress is {shown(progress)}; expected True, or a function that is called as "
                f"(what, done, total); pass one, or leave it out"
            )
        return function(*args, **kwargs)

    return call


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
        self._done_before = 0

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
            self._done_before = done
        if self._bar is not None:
            if new:
                self._task = self._bar.add_task(printable(what), total=total)
            self._bar.update(self._task, completed=done, total=total)
        elif done == total or time.monotonic() - self._shown > SECONDS_BETWEEN_LINES:
            self._shown = time.monotonic()
            seconds = self._shown - self._started
            new_ones = done - self._done_before
            rate = f", {new_ones / seconds:,.0f}/s" if new_ones and seconds > 0.1 else ""
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
