"""Who is refused record answers until it agrees with its use, as each process knows it."""

import asyncio
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Final

from creditgate.refusal import Refused
from creditgate.v1.refusal_pb2 import RefusalReason
from gateway.storage.background import Pace, Rounds
from gateway.storage.signs import Sign
from gateway.usage.charged import ChargedBefore
from gateway.usage.duties import Unsigned

POLL_SECONDS: Final = 0.3
COMMAND: Final = "creditgate usage cosign"
"""What agrees, with the operator's receipt book."""


class UnsignedUse:
    """Knows who is refused; one event loop's own.

    Who is not is looked up in one mapping, empty as a rule. ``read`` gives those who are, and
    ``sign`` shows news of them. ``charged`` is asked as `ChargedBefore` has it, also for others, by
    ``charged_before``.
    """

    def __init__(
        self,
        read: Callable[[], Mapping[str, Unsigned]],
        charged: Callable[[str, str, int | None], bool],
        poll_seconds: float = POLL_SECONDS,
        sign: Sign | None = None,
    ) -> None:
        self._read = read
        self.charged_before = ChargedBefore(charged)
        self._refused: Mapping[str, Unsigned] = {}
        # Who was refused stays so until it is known better.
        self._rounds = Rounds("unsigned-use", self._look, Pace(poll_seconds), sign=sign)
        # A thread of its own: who agreed goes on in time whatever else the process is asked for.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="unsigned-use")

    def owes(self, operator_id: str) -> bool:
        """Tell whether an operator must agree with its use first."""
        return operator_id in self._refused

    def require(self, operator_id: str) -> None:
        """Raise Refused USAGE_UNSIGNED where an operator must agree with its use first."""
        if self.owes(operator_id):
            raise _unsigned(self._refused[operator_id])

    async def require_new(self, operator_id: str, request_id: str, chunk: int | None) -> None:
        """Raise as `require`, unless the request was charged before: a retry of an answer that was
        lost brings the receipt that its operator needs to agree. Raises what the store raises."""
        if self.owes(operator_id) and not await self.charged_before.told(
            operator_id, request_id, chunk
        ):
            self.require(operator_id)

    async def start(self) -> None:
        """Learn who is refused and keep knowing it. Raises what the store raises."""
        await self._look()
        self._rounds.start()

    async def stop(self) -> None:
        """Stop following."""
        await self._rounds.stop()
        self._thread.shutdown()
        self.charged_before.close()

    async def _look(self) -> bool:
        self._refused = await asyncio.get_running_loop().run_in_executor(self._thread, self._read)
        return False


def _unsigned(owed: Unsigned) -> Refused:
    since = datetime.fromtimestamp(owed.since, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return Refused(
        RefusalReason.REFUSAL_REASON_USAGE_UNSIGNED,
        f"Use since {since} is not agreed with. Check your usage log and agree with it up to"
        f" {owed.size} uses or more: `{COMMAND} BOOK`, or CosignUsage with scope usage:cosign."
        " Nothing is charged.",
        metadata={"since": since, "size": str(owed.size), "command": COMMAND},
    )
