"""Streams followed by commands: each message handed on, until enough came or time is over."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing, suppress
from typing import Annotated, TypeVar

import typer

from gateway.cli.failures import CommandFailed
from gateway.cli.options import INT64

_Message = TypeVar("_Message")

Most = Annotated[
    int | None,
    typer.Option("--most", min=1, max=INT64, metavar="NUMBER", help="End after so many changes."),
]
Seconds = Annotated[
    float | None,
    typer.Option("--for", min=0, metavar="SECONDS", help="End after this time."),
]


def require_end(most: int | None, seconds: float | None, *, as_json: bool) -> None:
    """Raise CommandFailed where one document would have to follow for ever."""
    if as_json and most is None and seconds is None:
        raise CommandFailed("One document cannot follow for ever: say --most or --for with --json.")


async def follow(
    stream: AsyncGenerator[_Message],
    most: int | None,
    seconds: float | None,
    take: Callable[[_Message], None],
) -> None:
    """Hand each message to ``take``, until ``most`` came or ``seconds`` have passed."""
    taken = 0
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds), aclosing(stream) as messages:
            async for message in messages:
                take(message)
                taken += 1
                if taken == most:
                    return
