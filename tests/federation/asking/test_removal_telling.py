"""What a region does not take keeps nothing else from being told."""

from collections.abc import Sequence
from typing import Any

from gateway.federation.asking.removal_telling import NotTaken, RemovalTeller
from gateway.federation.trust.book import Region
from gateway.storage.background import Pace
from tests.clock import StandingClock
from tests.federation.asking.test_uses import NORTH
from tests.installation import eventually


class Waiting:
    """Numbers to be told, and what became of them."""

    def __init__(self, numbers: Sequence[int]) -> None:
        self.waiting = list(numbers)
        self.taken: list[int] = []
        self.not_taken: list[int] = []

    def gone(self, now: int) -> dict[str, list[int]]:
        return {NORTH: self.waiting} if self.waiting else {}

    def told(self, region: str, taken: Sequence[int], not_taken: Sequence[int], now: int) -> None:
        self.taken += taken
        self.not_taken += not_taken
        self.waiting = []


class Book:
    """One region that stands."""

    def regions(self) -> Sequence[Any]:
        return [Region(NORTH, "", "", (), "", b"", frozenset(), (), {}, "", "", "", "", 0)]


async def told(monkeypatch: Any, refused: dict[int, bool]) -> tuple[Waiting, list[list[int]]]:
    """Tell a region of the numbers 1 to 5, of which it does not take those ``refused``, each with
    whether what was named before it stands."""
    monkeypatch.setattr("gateway.federation.asking.removal_telling.PACE", Pace(0.01))
    waiting, calls = Waiting([1, 2, 3, 4, 5]), list[list[int]]()

    async def tell(_: Region, numbers: Sequence[int]) -> None:
        calls.append(list(numbers))
        for place, number in enumerate(numbers):
            if number in refused:
                raise NotTaken(place, others_stand=refused[number])

    book: Any = Book()
    teller = RemovalTeller("telling", waiting, tell, book, StandingClock())
    await teller.start()

    async def done() -> bool:
        return not waiting.waiting

    await eventually(done)
    await teller.stop()
    return waiting, calls


async def test_where_those_before_stand_the_rest_alone_is_told_again(monkeypatch: Any) -> None:
    waiting, calls = await told(monkeypatch, {2: True, 4: True})
    assert (sorted(waiting.taken), waiting.not_taken) == ([1, 3, 5], [2, 4])
    assert calls == [[1, 2, 3, 4, 5], [3, 4, 5], [5]]


async def test_where_nothing_was_taken_all_others_are_told_again(monkeypatch: Any) -> None:
    waiting, calls = await told(monkeypatch, {2: False, 5: False})
    assert (sorted(waiting.taken), waiting.not_taken) == ([1, 3, 4], [2, 5])
    assert calls == [[1, 2, 3, 4, 5], [1, 3, 4, 5], [1, 3, 4]]
