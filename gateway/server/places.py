"""Places among the open calls of a process: nobody alone holds so many that others find none.

Who asks may hold no more places than are left free, as the ports of a switch share its memory
(Choudhury and Hahne, "Dynamic queue length thresholds", IEEE/ACM ToN 6(2), 1998): one alone
comes to half, several that take what they get come to equal parts, and some are free for whoever
comes next. Administrators find places when all others are taken.
"""

from typing import Final

from creditgate.refusal import Refused
from creditgate.v1.operator_service_pb2 import ClientRole
from creditgate.v1.refusal_pb2 import RefusalReason
from gateway.authenticate.caller import Caller

_RESERVED: Final = 10
"""One place in so many is administrators' alone."""
_ADMINISTRATOR: Final = ClientRole.CLIENT_ROLE_ADMINISTRATOR


class Places:
    """``most`` places for calls; one event loop's own."""

    def __init__(self, most: int) -> None:
        self.taken = 0
        self._most = most
        self._others = most - most // _RESERVED
        self._held: dict[str, int] = {}

    def take(self, caller: Caller) -> str:
        """Take a place; return whose it is, for `give_back`. Raises Refused RATE_EXCEEDED.

        All clients of an operator hold theirs together.
        """
        asker = caller.asker
        held = self._held.get(asker, 0)
        most = self._most if caller.role == _ADMINISTRATOR else self._others
        if held + self.taken >= most:
            raise _full(held)
        self._held[asker] = held + 1
        self.taken += 1
        return asker

    def give_back(self, asker: str) -> None:
        """Give back a place of ``asker``."""
        self.taken -= 1
        if left := self._held[asker] - 1:
            self._held[asker] = left
        else:
            del self._held[asker]


def _full(held: int) -> Refused:
    whose = f", {held} of them yours" if held else ""
    return Refused(
        RefusalReason.REFUSAL_REASON_RATE_EXCEEDED,
        f"More calls are open than the gateway takes at once{whose}; slow down.",
        retry_after=1,
    )
