"""A task is ended without taking another's cancellation for its own."""

import asyncio
from contextlib import suppress

import pytest

from gateway.ending import end


async def _slow_to_end() -> None:
    try:
        await asyncio.Event().wait()
    finally:
        with suppress(asyncio.CancelledError):
            await asyncio.sleep(0.05)


async def _ends_another_for_ever(begun: asyncio.Event) -> None:
    while True:
        other = asyncio.create_task(_slow_to_end())
        await asyncio.sleep(0)
        begun.set()
        await end(other)
        await asyncio.sleep(0)


async def test_who_is_cancelled_while_it_ends_another_is_cancelled() -> None:
    begun = asyncio.Event()
    waiting = asyncio.create_task(_ends_another_for_ever(begun))
    await begun.wait()
    await asyncio.sleep(0)
    waiting.cancel()
    done, _ = await asyncio.wait({waiting}, timeout=5)
    assert done == {waiting}
    assert waiting.cancelled()


async def test_what_a_task_failed_with_is_told_and_its_cancellation_is_not() -> None:
    async def fails() -> None:
        await asyncio.sleep(0)
        raise ValueError("told")

    failed = asyncio.create_task(fails())
    await asyncio.wait({failed})
    with pytest.raises(ValueError, match="told"):
        await end(failed)
    cancelled = asyncio.create_task(asyncio.Event().wait())
    await end(cancelled)
    assert cancelled.cancelled()
