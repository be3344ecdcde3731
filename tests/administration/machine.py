"""Any sequence of administrative calls, by two processes in turn, with what must always hold."""

import asyncio
from collections import Counter
from collections.abc import Coroutine
from contextlib import AsyncExitStack, ExitStack
from typing import Any, ClassVar

from hypothesis import note
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from creditgate.refusal import Refused, reason_name
from creditgate.v1 import operator_service_pb2 as pb
from creditgate.v1.operator_service_pb2 import ClientRole, OperatorState
from creditgate.v1.vocabulary_pb2 import Purpose
from gateway.administration.keyholders import KEYS
from operators.authority import Authority
from operators.kept import Kept
from operators.log import Change
from operators.model import CLIENT, LICENCE, OPERATOR, SCOPE_GRANT, Client, ScopeGrant
from operators.sql import SqlAuthorityLog
from tests.administration.world import (
    CALLER,
    CHIEF,
    DAY,
    ITEMS,
    NOW,
    REASON,
    StandingClock,
    World,
    client,
    furnish,
    grant,
    thumbprint,
)
from tests.installation import company
from tests.stores import PostgresStores, SqliteStores, engines_of

REVOKED = OperatorState.OPERATOR_STATE_REVOKED
ADMINISTRATOR = ClientRole.CLIENT_ROLE_ADMINISTRATOR
# What a sequence of well-formed calls may be refused for.
EXPECTED = {
    "INVALID_REQUEST",
    "RESOURCE_NOT_FOUND",
    "RESOURCE_EXISTS",
    "ETAG_MISMATCH",
    "STATE_CONFLICT",
}

OPERATORS = st.sampled_from(["alpha", "beta", "gamma"])
NUMBERS = st.sampled_from(["L-1", "L-2", "L-3", "L-4"])
# The last two may or may not be, by who was first to take the id "gamma".
NEWCOMERS = st.sampled_from(
    [
        ("clerk", "ADMINISTRATOR", ""),
        ("feeder", "PUBLISHER", ""),
        ("alpha-one", "OPERATOR", "alpha"),
        ("alpha", "OPERATOR", "beta"),
        ("gamma", "PUBLISHER", ""),
        ("gamma-one", "OPERATOR", "gamma"),
    ]
)
CLIENTS = st.sampled_from(["chief", "deputy", "clerk", "feeder", "alpha-one", "alpha", "gamma"])
GRANTS = st.sampled_from(
    [
        *(("alpha", "credit.records:read"), ("beta", "usage:read"), ("gamma", "usage:read")),
        *((name, key) for name in ("chief", "deputy", "clerk") for key in KEYS),
        *(("feeder", "disclosure:publish"), ("gamma", "disclosure:publish")),
        *(("alpha-one", "usage:read"), ("alpha", "scopes:grant")),
    ]
)
SOME_ITEMS = st.sets(st.sampled_from([*ITEMS, "unheard"]), max_size=2)
SOME_REGIONS = st.sets(st.sampled_from(["*", "11", "1101", "110105", "32"]), max_size=2)
SOME_PURPOSES = st.sets(
    st.sampled_from([Purpose.PURPOSE_BIDDING, Purpose.PURPOSE_RESEARCH]), max_size=2
)
SELDOM = st.sampled_from([False, False, False, True])


class AdministrationMachine(RuleBasedStateMachine):
    """Draws calls; after each, what must hold is read off the log itself."""

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
        self.versions: Counter[tuple[str, str]] = Counter()

    def teardown(self) -> None:
        """Fold the whole log once more, stop the feeds and leave the store."""
        assert _state(Authority.empty().advanced(self.log.since(0))) == _state(self.folded)
        self.runner.run(self.feeds.aclose())
        self.runner.close()
        self.store.close()

    @initialize()
    def set_up(self) -> None:
        """Start two processes on an installation in use."""
        furnish(self.log)
        self.worlds = [
            self.runner.run(self.feeds.enter_async_context(World(self.log, self.clock)))
            for _ in range(2)
        ]
        self.turn = 0
        self.runner.run(self._open())

    async def _open(self) -> None:
        world = self.world
        await world.create("alpha")
        await world.create("beta")
        await world.issue("L-0", end=NOW + 9 * DAY)
        await world.register("deputy", "ADMINISTRATOR")
        await world.grant(*(grant("deputy", key) for key in KEYS))

    @property
    def world(self) -> World:
        """The process whose turn it is."""
        self.turn = 1 - self.turn
        return self.worlds[self.turn]

    def call(self, coroutine: Coroutine[Any, Any, object], *, changes: bool = True) -> None:
        """Make a call; a refusal must be one that the state can explain, and write nothing, as
        what ``changes`` nothing does."""
        before = self.log.head()
        try:
            self.runner.run(coroutine)
        except Refused as refused:
            note(f"refused: {refused.message}")
            assert reason_name(refused.reason) in EXPECTED
            assert self.log.head() == before
        else:
            assert (self.log.head() > before) == changes

    def etag(self, thing: Kept | None, stale: bool) -> str:
        """Return the etag of a thing, or one it does not have."""
        version = 1 if thing is None else thing.version
        return str(version + stale)

    @rule(operator_id=OPERATORS)
    def create(self, operator_id: str) -> None:
        """Register an operator."""
        self.call(self.world.create(operator_id))

    @rule(operator_id=OPERATORS, name=st.sampled_from(["One", "Two"]), stale=SELDOM)
    def rename(self, operator_id: str, name: str, stale: bool) -> None:
        """Rename an operator."""
        present = self.folded.operators.get(operator_id)
        operator = pb.Operator(
            operator_id=operator_id,
            display_name=name,
            uscc=company(1),
            etag=self.etag(present, stale),
        )
        request = pb.UpdateOperatorRequest(operator=operator, reason=REASON)
        same = present is not None and (present.display_name, present.uscc) == (name, company(1))
        self.call(self.world.service.update_operator(request, CALLER), changes=not same)

    @rule(operator_id=OPERATORS)
    def suspend(self, operator_id: str) -> None:
        """Suspend an operator."""
        self.call(self.world.suspend(operator_id))

    @rule(operator_id=OPERATORS)
    def reinstate(self, operator_id: str) -> None:
        """Reinstate an operator."""
        self.call(self.world.reinstate(operator_id))

    @rule(operator_id=OPERATORS, sure=SELDOM)
    def revoke(self, operator_id: str, sure: bool) -> None:
        """Revoke an operator, seldom: little can happen to it afterwards."""
        if sure:
            self.call(self.world.revoke(operator_id))

    @rule(
        number=NUMBERS,
        operator_id=OPERATORS,
        start=st.integers(-2, 6),
        length=st.integers(1, 5),
        items=SOME_ITEMS,
        purposes=SOME_PURPOSES,
        regions=SOME_REGIONS,
    )
    def issue(
        self,
        number: str,
        operator_id: str,
        start: int,
        length: int,
        items: set[str],
        purposes: set[Purpose.ValueType],
        regions: set[str],
    ) -> None:
        """Issue a licence."""
        starts = self.clock.at + start * DAY
        self.call(
            self.world.issue(
                number,
                operator_id=operator_id,
                start=starts,
                end=starts + length * DAY,
                items=items or ITEMS,
                purposes=purposes or {Purpose.PURPOSE_BIDDING},
                regions=regions or {"11"},
            )
        )

    @rule(number=NUMBERS)
    def end_licence(self, number: str) -> None:
        """Revoke a licence."""
        self.call(self.world.end_licence(number))

    @rule(newcomer=NEWCOMERS, other=SELDOM, certificate=CLIENTS)
    def register(self, newcomer: tuple[str, str, str], other: bool, certificate: str) -> None:
        """Register a client with its own certificate, or seldom that of another."""
        asked = client(*newcomer)
        if other:
            asked.certificate_thumbprints[:] = [thumbprint(certificate)]
        request = pb.RegisterClientRequest(client=asked, reason=REASON)
        self.call(self.world.service.register_client(request, CALLER))

    @rule(client_id=CLIENTS, stale=SELDOM, certificate=CLIENTS)
    def rotate(self, client_id: str, stale: bool, certificate: str) -> None:
        """Give a client new keys, its certificate and another."""
        etag = self.etag(self.folded.clients.get(client_id), stale)
        self.call(self.world.rotate(client_id, etag, client_id, certificate))

    @rule(client_id=CLIENTS)
    def remove(self, client_id: str) -> None:
        """Remove a client."""
        self.call(self.world.remove(client_id))

    @rule(
        parties=st.lists(GRANTS, min_size=1, max_size=2),
        start=st.none() | st.integers(-2, 3),
        until=st.none() | st.integers(-1, 6),
        items=SOME_ITEMS,
        purposes=SOME_PURPOSES,
        regions=SOME_REGIONS,
    )
    def grant(
        self,
        parties: list[tuple[str, str]],
        start: int | None,
        until: int | None,
        items: set[str],
        purposes: set[Purpose.ValueType],
        regions: set[str],
    ) -> None:
        """Grant one or two scopes; narrowed where the grantee is an operator."""
        now = self.clock.at
        begins = None if start is None else now + start * DAY
        ends = None if until is None else now + until * DAY
        self.call(
            self.world.grant(
                *(
                    grant(
                        grantee,
                        scope,
                        start=begins,
                        until=ends,
                        items=items,
                        purposes=purposes,
                        regions=regions,
                    )
                    if grantee in self.folded.operators
                    else grant(grantee, scope, start=begins, until=ends)
                    for grantee, scope in parties
                )
            )
        )

    @rule(picks=st.sets(st.integers(0, 9), min_size=1, max_size=3))
    def withdraw(self, picks: set[int]) -> None:
        """Withdraw some grants, those of keys first."""
        grants = sorted(
            (found for found in self.folded.grants.values() if found.withdrawn_at is None),
            key=lambda found: (found.scope not in KEYS, found.grantee, found.grant_id),
        )
        chosen = [grants[pick].grant_id for pick in picks if pick < len(grants)]
        self.call(self.world.withdraw(*chosen))

    @rule(days=st.integers(1, 3))
    def wait(self, days: int) -> None:
        """Let time pass."""
        self.clock.at += days * DAY

    @invariant()
    def each_process_acts_on_the_log_as_it_is(self) -> None:
        """The history makes the state (G7); every new entry of it is in order."""
        for change in self.log.since(self.folded.sequence):
            self.versions[change.kind, change.id] += 1
            assert change.sequence == self.folded.sequence + 1
            assert change.version == self.versions[change.kind, change.id]
            assert change.changed_by
            assert change.reason
            _assert_sound(self.folded, change)
            self.folded = self.folded.advanced([change])
        for world in self.worlds:
            assert _state(self.runner.run(world.feed.refresh()).authority) == _state(self.folded)

    @invariant()
    def certificate_and_id_tell_their_client(self) -> None:
        """No two live clients share a certificate, and no party another's id."""
        clients = self.folded.clients.values()
        shown = [
            certificate
            for found in clients
            if found.removed_at is None
            for certificate in found.certificate_thumbprints
        ]
        assert len(shown) == len(set(shown))
        of_their_own = {found.client_id for found in clients if not found.operator_id}
        assert of_their_own.isdisjoint(self.folded.operators)

    @invariant()
    def somebody_can_let_others_in(self) -> None:
        """There is an administrator with both keys, now and for ever."""
        assert any(
            _holds_keys(self.folded, found, self.clock.at) for found in self.folded.clients.values()
        )


def _assert_sound(before: Authority, change: Change) -> None:
    """Check one entry against the state just before it."""
    revoked = {found.operator_id for found in before.operators.values() if found.state == REVOKED}
    if change.kind == OPERATOR and change.id in revoked:
        assert change.document["state"] == REVOKED
    if change.version > 1 or change.changed_by != CHIEF:
        return
    if change.kind in {LICENCE, CLIENT}:
        assert change.document["operator_id"] not in revoked
    if change.kind == SCOPE_GRANT:
        assert change.document["grantee"] not in revoked
        _assert_within(before, change)


def _state(authority: Authority) -> tuple[object, ...]:
    return (
        authority.operators,
        authority.licences,
        authority.clients,
        authority.grants,
        authority.licences_of,
        authority.grants_of,
    )


def _assert_within(authority: Authority, change: Change) -> None:
    made = ScopeGrant.from_document(change.document, version=1, changed_at=change.changed_at)
    if made.grantee not in authority.operators:
        assert authority.clients[made.grantee].removed_at is None
        return
    assert any(
        licence.revoked_at is None
        and licence.valid_until > change.changed_at
        and (made.valid_until is None or licence.valid_from < made.valid_until)
        and made.items <= licence.items
        and made.purposes <= licence.purposes
        and all(_above(region) & licence.regions for region in made.regions)
        for licence in authority.licences_of.get(made.grantee, ())
    )


def _above(region: str) -> set[str]:
    """Return the codes that cover ``region``."""
    return {"*", region, region[:4], region[:2]} if region != "*" else {"*"}


def _holds_keys(authority: Authority, found: Client, now: int) -> bool:
    held = {
        made.scope
        for made in authority.grants_of.get(found.client_id, ())
        if made.withdrawn_at is None and made.valid_until is None and made.valid_from <= now
    }
    return found.role == ADMINISTRATOR and found.removed_at is None and held >= set(KEYS)
