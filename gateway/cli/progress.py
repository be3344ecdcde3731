"""Progress bars, on standard error so that answers stay clean; none without a terminal."""

from collections.abc import Callable, Generator
from contextlib import contextmanager

from gateway.cli.output import console

Advance = Callable[[int, int], None]
"""Called with how much is done, and of how much."""


@contextmanager
def bar(what: str) -> Generator[Advance]:
    """Show a bar while the context lasts, and give what moves it."""
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    terminal = console(to_stderr=True)
    if not terminal.is_terminal:
        yield _nowhere
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, TimeRemainingColumn(), console=terminal, transient=True) as progress:
        task = progress.add_task(what, total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)


def _nowhere(done: int, total: int) -> None:
    del done, total  # there is no terminal to show it on
