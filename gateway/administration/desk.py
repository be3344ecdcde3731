"""The desk: what every group of administrative methods works with."""

from gateway.administration.journal import AuthorityJournal, Judge, ViewFeed
from gateway.authenticate.caller import Caller
from gateway.clock import Clock
from operators.log import AuthorityLog, Change


class Desk:
    """Reads the feed's view and writes through one journal."""

    def __init__(self, log: AuthorityLog, feed: ViewFeed, clock: Clock) -> None:
        self._log = log
        self._feed = feed
        self._journal = AuthorityJournal(log, feed, clock)

    async def _write(self, judge: Judge, caller: Caller, reason: str) -> tuple[Change, ...]:
        """Write what ``judge`` returns, as `AuthorityJournal.write`."""
        return await self._journal.write(judge, changed_by=caller.client_id, reason=reason)
