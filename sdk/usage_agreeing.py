"""Agreeing with use by itself, so that an operator is never refused for not having done so.

What is agreed with cannot be denied later. So the log is followed and verified first, and
nothing is agreed with while it charges other than the book's receipts promised.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from itertools import islice
from typing import Final, NoReturn

import grpc
from sqlalchemy.exc import SQLAlchemyError

from creditgate.transparency.merkle import ProofInvalid
from creditgate.transparency.usage_charges import Difference, is_due
from sdk.refusals import explain
from sdk.signing import SigningKey
from sdk.usage import Usage
from sdk.usage_book import UsageBook

EVERY_SECONDS: Final = 3_600
_MOST_TOLD: Final = 1_000
_log = logging.getLogger(__name__)


class NotAsPromised(Exception):
    """The log charges other than was promised, so it is not agreed with; ``differences`` are
    the first of those that lie behind what was agreed with before."""

    def __init__(self, differences: Sequence[Difference]) -> None:
        super().__init__(
            f"{len(differences)} places are not as promised (`creditgate usage check` names"
            " them); dispute them, or agree with --despite-differences once they are settled"
        )
        self.differences = differences


class Agreeing:
    """Agrees with the use in a book, by a key of a client with scope usage:cosign.

    ``now`` gives the time in seconds UTC.
    """

    def __init__(
        self,
        channel: grpc.aio.Channel,
        book: UsageBook,
        client_id: str,
        key: SigningKey,
        now: Callable[[], int],
    ) -> None:
        self._usage = Usage(channel)
        self._book = book
        self._client_id = client_id
        self._key = key
        self._now = now

    async def agree(self) -> int:
        """Agree with all that is logged; return how many uses that are.

        Raises NotAsPromised, ProofInvalid, and grpc.RpcError for refusals.
        """
        await self._usage.follow(self._book)
        held = await asyncio.to_thread(self._book.held)
        if not held.leaves:
            return 0
        differences = await asyncio.to_thread(self._differences, held.leaves)
        if differences:
            raise NotAsPromised(differences)
        return await self._usage.cosign(self._book, held, self._client_id, self._key, self._now())

    async def run(self, every_seconds: float = EVERY_SECONDS) -> NoReturn:
        """Agree again and again, until cancelled; what keeps it from it is logged."""
        while True:
            try:
                await self.agree()
            except grpc.RpcError as error:
                told = explain(error)
                _log.error("use could not be agreed with: %s %s", told.reason, told.message)
            except (NotAsPromised, ProofInvalid) as error:
                _log.error("use is not agreed with: %s", error)
            except SQLAlchemyError as error:
                _log.error("the receipt book cannot be used: %s", type(error).__name__)
            await asyncio.sleep(every_seconds)

    def _differences(self, size: int) -> list[Difference]:
        """Return where the first ``size`` leaves are not as promised, behind what was agreed with
        before: that was settled then."""
        now, agreed = self._now(), self._book.agreed().size
        return list(
            islice(
                (
                    each
                    for each in self._book.differences(size)
                    if each.usage_index >= agreed and is_due(each, now)
                ),
                _MOST_TOLD,
            )
        )
