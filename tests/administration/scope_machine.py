"""Any sequence of changes to scopes by several people, on two processes, under a moving clock.

After each, effective authority is compared with a naive model of licence, definition and
grant, and with what it was before: whatever became possible under a guarded policy took two
people.
"""

import asyncio
from collections.abc import Coroutine, Iterable
from contextlib import AsyncExitStack, ExitStack
from itertools import product
from typing import Any, ClassVar

from hypothesis import note
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from creditgate.refusal import Refused, reason_name
from creditgate.v1.operator_service_pb2 import OperatorState
from creditgate.v1.vocabulary_pb2 import Purpose
from operators.administration_policy import ADMINISTRATION_POLICY
from operators.authority import Authority
from operators.decision import Allow, Ask
from operators.log import Change
from operators.proposal import PROPOSAL
from operators.rules import decide
from operators.shapes import covers
from operators.sql import SqlAuthorityLog
from tests.administration.office import (
    acting,
    approve,
    change,
    define,
    definition,
    furnish_office,
    grants,
    narrow,
    reject,
    retire,
    set_policy,
)
from tests.administration.world import (
    DAY,
    ITEMS,
    NOW,
    StandingClock,
    World,
    furnish,
    grant,
)
from tests.operators import naive
from tests.operators.naive import DISTRICTS
from tests.stores import PostgresStores, SqliteStores, engines_of

READ = "credit.records:read"
ATTEST = "credit.conformance:attest"
NAMES = ("credit.one:read", "credit.two:read")
TOKENS = (frozenset({READ, ATTEST, *NAMES}), *(frozenset({name}) for name in NAMES))
ASKED_PURPOSES = (Purpose.PURPOSE_BIDDING, Purpose.PURPOSE_RESEARCH)
AHEAD = (0, 1, 2, 4, 7)
EXPECTED = {
    "INVALID_REQUEST",
    "RESOURCE_NOT_FOUND",
    "RESOURCE_EXISTS",
    "ETAG_MISMATCH",
    "STATE_CONFLICT",
    "SCOPE_NOT_GRANTED",
}

Reach = frozenset[tuple[int, str, frozenset[str], int, str, str]]

PERSONS = st.sampled_from(["ann", "bob", "cat"])
NAMED = st.sampled_from(NAMES)
SOME_ITEMS = st.sets(st.sampled_from(ITEMS), max_size=2)
SOME_PURPOSES = st.sets(st.sampled_from(ASKED_PURPOSES), max_size=1)
SOME_REGIONS = st.sets(st.sampled_from(["*", "11", "1101", "110101", "31"]), max_size=2)
SOME_SCOPES = st.sampled_from([(READ,), (READ, ATTEST), (ATTEST,)])
SELDOM = st.sampled_from([False, False, False, True])


class ScopeMachine(RuleBasedStateMachine):
    """Draws changes; what must hold is read off the log itself."""

    stores: ClassVar[SqliteStores | PostgresStores]

    def __init__(self) -> None:
        super().__init__()
        self.store = ExitStack()
        database = self.store.enter_context(self.stores.database())
        engines = self.store.enter_context(engines_of(*database))
        self.log = SqlAuthorityLog(engines.authority)
        self.runner = asyncio.Runner()
        self.feeds = AsyncExitStack()
        self.clock = StandingClock()
        self.folded = Authority.empty()

    def teardown(self) -> None:
        """Stop the feeds and leave the store."""
        self.runner.run(self.feeds.aclose())
        self.runner.close()
        self.store.close()

    @initialize(guarded=st.sampled_from([True, True, False]), days=st.sampled_from([0, 4]))
    def set_up(self, guarded: bool, days: int) -> None:
        """Start two processes on an installation in use."""
        furnish(self.log)
        furnish_office(self.log)
        self.worlds = [
            self.runner.run(self.feeds.enter_async_context(World(self.log, self.clock)))
            for _ in range(2)
        ]
        self.turn = 0
        self.runner.run(self._open(days))
        self.folded = self.folded.advanced(self.log.since(0))
        if guarded:
            self.set_policy("ann", guarded=True, sure=True)

    async def _open(self, days: int) -> None:
        world = self.world
        await world.create()
        await world.issue("L-0", end=NOW + 20 * DAY, regions=["11", "3101"])
        await world.register("alpha-one", "OPERATOR", "alpha")
        await define(world, definition(NAMES[0], items=["penalty", "tax"], days=days))
        await grants(world, grant(scope=NAMES[0], until=NOW + 3 * DAY), grant(items=["permit"]))

    @property
    def world(self) -> World:
        """The process whose turn it is."""
        self.turn = 1 - self.turn
        return self.worlds[self.turn]

    def acting(self, name: str) -> Any:
        """Return a person who has just signed in."""
        return acting(name, at=self.clock.at)

    def call(self, coroutine: Coroutine[Any, Any, object]) -> None:
        """Make a call and look at what it wrote, all of it one entry."""
        before = self.folded
        try:
            self.runner.run(coroutine)
        except Refused as refused:
            note(f"refused: {refused.message}")
            assert reason_name(refused.reason) in EXPECTED
            assert self.log.head() == before.sequence
            return
        written = self.log.since(before.sequence)
        assert written
        self.folded = before.advanced(written)
        assert all(each.changed_by and each.reason for each in written)
        if before.policy.guarded:
            self._assert_widened_by_two(before, written)

    def _assert_widened_by_two(self, before: Authority, written: tuple[Change, ...]) -> None:
        opened = any(
            each.kind == ADMINISTRATION_POLICY and not each.document["guarded"] for each in written
        )
        gained = reach(self.folded, self.clock.at) - reach(before, self.clock.at)
        if not (gained or opened):
            return
        note(f"gained: {len(gained)}, policy opened: {opened}")
        decision, *changes = written
        assert decision.kind == PROPOSAL
        assert changes
        document = decision.document
        assert document["decision"] == "approved"
        assert document["decided_by"] == decision.changed_by
        people = {document["proposed_by"], document["decided_by"]}
        assert len(people) == 2
        # Who proposed it, and when, was in the history before.
        assert before.proposals[decision.id].proposed_by == document["proposed_by"]

    @rule(
        who=PERSONS,
        name=NAMED,
        scopes=SOME_SCOPES,
        items=SOME_ITEMS,
        purposes=SOME_PURPOSES,
        regions=SOME_REGIONS,
        days=st.sampled_from([0, 0, 2, 6]),
        stale=SELDOM,
    )
    def define(
        self,
        who: str,
        name: str,
        scopes: tuple[str, ...],
        items: set[str],
        purposes: set[Purpose.ValueType],
        regions: set[str],
        days: int,
        stale: bool,
    ) -> None:
        """Define a scope, or change it where there is one."""
        known = self.folded.definitions.get(name)
        asked = definition(
            name,
            scopes=scopes,
            items=items,
            purposes=purposes,
            regions=regions,
            days=days,
            etag="" if known is None else str(known.version + stale),
        )
        ask = define if known is None else change
        self.call(ask(self.world, asked, self.acting(who)))

    @rule(who=PERSONS, name=NAMED, sure=SELDOM)
    def retire(self, who: str, name: str, sure: bool) -> None:
        """Retire a scope, seldom: its name is then used up."""
        if sure:
            self.call(retire(self.world, name, self.acting(who)))

    @rule(
        who=PERSONS,
        scope=st.sampled_from([READ, *NAMES]),
        start=st.integers(-1, 2),
        length=st.none() | st.integers(1, 7),
        items=SOME_ITEMS,
        purposes=SOME_PURPOSES,
        regions=SOME_REGIONS,
    )
    def grant(
        self,
        who: str,
        scope: str,
        start: int,
        length: int | None,
        items: set[str],
        purposes: set[Purpose.ValueType],
        regions: set[str],
    ) -> None:
        """Grant a scope to the operator."""
        begins = self.clock.at + start * DAY
        asked = grant(
            scope=scope,
            start=begins,
            until=None if length is None else begins + length * DAY,
            items=items,
            purposes=purposes,
            regions=regions,
        )
        self.call(grants(self.world, asked, caller=self.acting(who)))

    @rule(
        who=PERSONS,
        pick=st.integers(0, 5),
        items=SOME_ITEMS,
        purposes=SOME_PURPOSES,
        regions=SOME_REGIONS,
        days=st.none() | st.integers(1, 3),
    )
    def narrow(
        self,
        who: str,
        pick: int,
        items: set[str],
        purposes: set[Purpose.ValueType],
        regions: set[str],
        days: int | None,
    ) -> None:
        """Narrow a grant of the operator."""
        held = self.folded.grants_of.get("alpha", ())
        if not held:
            return
        self.call(
            narrow(
                self.world,
                held[pick % len(held)].grant_id,
                items=items,
                purposes=purposes,
                regions=regions,
                until=None if days is None else self.clock.at + days * DAY,
                caller=self.acting(who),
            )
        )

    @rule(pick=st.integers(0, 5))
    def withdraw(self, pick: int) -> None:
        """Withdraw a grant of the operator."""
        held = self.folded.grants_of.get("alpha", ())
        if held:
            self.call(self.world.withdraw(held[pick % len(held)].grant_id))

    @rule(number=st.sampled_from(["L-0", "L-1", "L-2"]), end=SELDOM, items=SOME_ITEMS)
    def license(self, number: str, end: bool, items: set[str]) -> None:
        """Issue a licence, or seldom revoke one; alone, so under a guarded policy a proposal."""
        if end:
            self.call(self.world.end_licence(number))
        else:
            until = self.clock.at + 9 * DAY
            self.call(
                self.world.issue(number, start=self.clock.at, end=until, items=items or ITEMS)
            )

    @rule(sure=SELDOM)
    def stop_or_let_on(self, sure: bool) -> None:
        """Suspend the operator, seldom; or reinstate it where it is suspended."""
        active = self.folded.operators["alpha"].state == OperatorState.OPERATOR_STATE_ACTIVE
        if sure or not active:
            self.call(self.world.suspend() if active else self.world.reinstate())

    @rule(who=PERSONS, guarded=st.booleans(), sure=SELDOM)
    def set_policy(self, who: str, guarded: bool, sure: bool) -> None:
        """Set the policy, seldom."""
        if sure:
            self.call(set_policy(self.world, guarded=guarded, caller=self.acting(who)))

    @rule(who=PERSONS, pick=st.sampled_from([0, 0, 0, 1, 2]))
    def approve(self, who: str, pick: int) -> None:
        """Approve one of the newest proposals."""
        if proposals := sorted(self.folded.proposals, reverse=True):
            proposal_id = proposals[pick % len(proposals)]
            self.call(approve(self.world, proposal_id, self.acting(who)))

    @rule(proposer=PERSONS, name=st.sampled_from([READ, *NAMES]), approver=PERSONS)
    def agree(self, proposer: str, name: str, approver: str) -> None:
        """Grant a scope, and approve at once what was proposed."""
        begins = self.clock.at
        asked = grant(scope=name, start=begins, until=begins + 2 * DAY)
        self.call(grants(self.world, asked, caller=self.acting(proposer)))
        self.approve(approver, 0)

    @rule(who=PERSONS, pick=st.integers(0, 3), sure=SELDOM)
    def reject(self, who: str, pick: int, sure: bool) -> None:
        """Reject one of the newest proposals, seldom."""
        if sure and (proposals := sorted(self.folded.proposals, reverse=True)):
            proposal_id = proposals[pick % len(proposals)]
            self.call(reject(self.world, proposal_id, self.acting(who)))

    @rule(days=st.integers(1, 3))
    def wait(self, days: int) -> None:
        """Let time pass."""
        self.clock.at += days * DAY

    @invariant()
    def authority_is_what_licence_definition_and_grant_all_allow(self) -> None:
        """Effective authority is exactly that of the naive model, now and in days to come."""
        assert reach(self.folded, self.clock.at) == naive_reach(self.folded, self.clock.at)


def reach(authority: Authority, now: int) -> Reach:
    """Return all that alpha's client may take: when, with which token, what, for what, where.

    Each item is asked for by name: what is allowed when none is named is that of the first
    licence that allows something, which may be more under a narrower grant.
    """
    return frozenset(
        (at, scope, token, purpose, item, district)
        for at, scope, token, purpose, item in _asks(now)
        if isinstance(
            decision := decide(
                authority, Ask("alpha-one", scope, token, frozenset({item}), purpose), at
            ),
            Allow,
        )
        for district in DISTRICTS
        if covers(decision.regions_by_item[item], district)
    )


def naive_reach(authority: Authority, now: int) -> Reach:
    """Return the same as the naive model tells it."""
    world = naive.World(
        list(authority.operators.values()),
        list(authority.licences.values()),
        list(authority.clients.values()),
        list(authority.grants.values()),
        list(authority.definitions.values()),
    )
    return frozenset(
        (at, scope, token, purpose, item, district)
        for at, scope, token, purpose, item in _asks(now)
        if isinstance(
            answer := naive.answer(
                world, "alpha-one", scope, token, frozenset({item}), purpose, at
            ),
            naive.Answer,
        )
        for _, district in answer.pairs
    )


def _asks(now: int) -> Iterable[tuple[int, str, frozenset[str], Purpose.ValueType, str]]:
    instants = [now + days * DAY for days in AHEAD]
    return product(instants, (READ, ATTEST), TOKENS, ASKED_PURPOSES, ITEMS)
