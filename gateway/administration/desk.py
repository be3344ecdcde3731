"""The desk: what every group of administrative methods works with."""

from collections.abc import Sequence
from dataclasses import dataclass
from secrets import token_hex
from typing import Any, cast

from google.protobuf.message import Message

from gateway.administration.four_eyes import (
    proposal_of,
    require_changeable_back,
    takes_two,
)
from gateway.administration.journal import AuthorityJournal, Judge, ViewFeed, draft
from gateway.administration.own_roles import require_within_roles
from gateway.administration.presence import conflict
from gateway.authenticate.caller import Caller
from gateway.authority.view import AuthorityView
from gateway.clock import Clock
from operators.log import AuthorityLog, Change, Draft
from operators.proposal import PROPOSAL


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a request: its changes, or the id of the proposal it became."""

    changes: tuple[Change, ...] = ()
    proposal_id: str = ""


class Desk:
    """Reads the feed's view and writes through one journal."""

    def __init__(self, log: AuthorityLog, feed: ViewFeed, clock: Clock) -> None:
        self._log = log
        self._feed = feed
        self._clock = clock
        self._journal = AuthorityJournal(log, feed, clock)

    async def _write(self, judge: Judge, caller: Caller, reason: str) -> tuple[Change, ...]:
        """Write what ``judge`` returns, as `AuthorityJournal.write`.

        For what widens nothing: raises Refused STATE_CONFLICT where it does, and the
        policy is guarded.
        """

        def kept(view: AuthorityView, now: int) -> Sequence[Draft]:
            drafts = judge(view, now)
            require_within_roles(view.authority, actor(caller), drafts)
            if takes_two(view, drafts):
                raise conflict(
                    "Under the guarded policy this takes a second person, and it cannot be proposed."
                )
            require_changeable_back(view.authority, drafts, now)
            return drafts

        return await self._journal.write(kept, changed_by=actor(caller), reason=reason)

    async def _change(self, request: Message, judge: Judge, caller: Caller) -> Outcome:
        """Write what ``judge`` returns, or propose ``request`` where it takes a second person.

        ``request`` has a reason, its method is one of `approvable.APPROVABLE`, and ``judge``
        is that method's. Raises Refused as ``judge`` does, STATE_CONFLICT where too much is
        proposed already, RESOURCE_EXISTS where the same is.
        """
        changes = await self._journal.write(
            self._deciding(request, judge, caller),
            changed_by=actor(caller),
            reason=cast(Any, request).reason,
        )
        if changes[0].kind == PROPOSAL:
            return Outcome(proposal_id=changes[0].id)
        return Outcome(changes)

    async def _validate(self, request: Message, judge: Judge, caller: Caller) -> Outcome:
        """Do as `_change` but write nothing: raises Refused as that does."""
        await self._journal.judged(self._deciding(request, judge, caller))
        return Outcome()

    def _deciding(self, request: Message, judge: Judge, caller: Caller) -> Judge:
        """Return what decides whether what ``judge`` returns is written or proposed."""
        proposal_id = id_in_order(self._clock.now())

        def judged(view: AuthorityView, now: int) -> Sequence[Draft]:
            drafts = judge(view, now)
            require_within_roles(view.authority, actor(caller), drafts)
            if takes_two(view, drafts):
                proposal = proposal_of(
                    view.authority,
                    proposal_id,
                    request,
                    drafts,
                    actor(caller),
                    caller.client_id,
                    now,
                )
                return [draft(PROPOSAL, proposal_id, proposal)]
            require_changeable_back(view.authority, drafts, now)
            return drafts

        return judged


def id_in_order(now: int) -> str:
    """Return a new id of something made at ``now`` (seconds, UTC).

    Ids are in order of time, so that listings are.
    """
    return f"{now:010x}-{token_hex(4)}"


def actor(caller: Caller) -> str:
    """Return who acts: the person a token acts for, or the client itself."""
    return caller.principal or caller.client_id
