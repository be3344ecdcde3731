"""Slots that are few, in fair shares: a free one goes to who had one least lately."""

import asyncio
from itertools import count


class FairSlots:
    """Gives ``slots`` slots; one event loop's own.

    Who never had one comes first, then who gave one back longest ago: those that come again
    and again never keep others out.
    """

    def __init__(self, slots: int) -> None:
        self._free = slots
        self._waiting: dict[str, asyncio.Future[None]] = {}
        self._given_back: dict[str, int] = {}
        self._number = count(1)

    @property
    def waiting(self) -> int:
        """How many wait for a slot."""
        return len(self._waiting)

    async def take(self, who: str, seconds: float) -> None:
        """Wait at most ``seconds`` for a slot; raises TimeoutError.

        Nobody waits for two slots, or for one while having another.
        """
        if self._free:
            self._free -= 1
            return
        slot = self._waiting[who] = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.timeout(seconds):
                await slot
        except BaseException:
            if self._waiting.pop(who, None) is None:
                # It came as the waiting ended.
                self._pass_on()
            raise

    def give_back(self, who: str) -> None:
        """Take a slot back, for whoever is next."""
        self._given_back[who] = next(self._number)
        self._pass_on()

    def _pass_on(self) -> None:
        if not self._waiting:
            self._free += 1
            return
        # Of those who had none, who has waited longest.
        who = min(self._waiting, key=lambda each: self._given_back.get(each, 0))
        self._waiting.pop(who).set_result(None)
