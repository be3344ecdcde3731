"""On PostgreSQL a process that hangs before it commits keeps nobody waiting for long: it is undone, and
another does what it was at. Along the ways of callers, subjects, operators and regions."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from threading import Event
from time import monotonic, sleep
from typing import Final

import pytest
from sqlalchemy import Connection, Engine, event
from sqlalchemy.exc import DBAPIError

from consent import connections
from creditgate.refusal import Refused
from gateway.conformance.findings import Findings
from gateway.conformance.policy_file import read_policy
from gateway.federation.asking.region_events import SqlRegionEvents
from gateway.federation.asking.sent import Asking, SentPlans
from gateway.meter.region_asks import RegionAsk, SqlRegionAsks
from gateway.oauth.grants import SqlOAuthGrants, insert_code
from gateway.oauth.replay import SqlReplayCache
from gateway.oauth.revocation_log import SqlRevocationLog
from gateway.oauth.revocations import Revocation
from gateway.oauth.terms import CodeTerms, GrantTerms
from gateway.signin.identity import Identity
from gateway.signin.principals import Principals
from gateway.signin.sessions import Sessions
from gateway.storage import bounded as bounds
from gateway.storage.bounded import bounded
from operators.authorization_details import TYPE, AuthorizationDetail
from tests.clock import NOW, StandingClock
from tests.federation.asking.test_sent import plan
from tests.federation.asking.under_consent import Elsewhere
from tests.stores import PostgresStores, engines_of

_SOON_SECONDS: Final = 2.5
_HANGS_SECONDS: Final = 2.0
_NORTH: Final = "https://north.example"
_CLIENT: Final = "alpha-one"
_CONSENT: Final = "consents/0066a0c1d2-aa"
_PRINCIPALS: Final = Principals(b"0" * 32)
_PERSON: Final = Identity("https://idp.example", "one", "某人", "", NOW - 5, "basic", "")

_Does = Callable[[Engine], object]
"""What a process does by an engine of its own."""
_Both = tuple[_Does, _Does]
"""What one does that hangs, and another meanwhile."""


@pytest.fixture
def processes(postgres_stores: PostgresStores) -> Iterator[tuple[Engine, Engine]]:
    """Engines of two processes on an empty store."""
    with (
        postgres_stores.database() as store,
        engines_of(*store) as one,
        engines_of(*store) as other,
    ):
        yield one.records, other.records


def _sign_in(person: Identity, engine: Engine) -> object:
    sessions = Sessions(engine, StandingClock(), _PRINCIPALS)
    return sessions.sign_in(sessions.browser(None), person).identity


def _sweep(engine: Engine) -> object:
    return Sessions(engine, StandingClock(), _PRINCIPALS).sweep()


def _signing_in(_hanging: Engine, _other: Engine) -> _Both:
    return partial(_sign_in, _PERSON), partial(_sign_in, replace(_PERSON, subject="two"))


def _sweeping_sessions(_hanging: Engine, _other: Engine) -> _Both:
    return _sweep, partial(_sign_in, _PERSON)


def _keep_code(engine: Engine) -> None:
    detail = {"type": TYPE, "items": ["payment.tax"], "consent": _CONSENT}
    granted = GrantTerms(
        principal="representative:li",
        scope="",
        details=(AuthorizationDetail.model_validate(detail),),
        auth_time=NOW,
        acr="",
    )
    terms = CodeTerms(
        redirect_uri="https://client.test/back", code_challenge="", jkt=None, granted=granted
    )
    with bounded(engine) as connection:
        insert_code(connection, "code", _CLIENT, terms, NOW)


def _redeem(engine: Engine) -> object:
    grants = SqlOAuthGrants(engine)
    issued = grants.code("code", _CLIENT, NOW)
    assert issued is not None, "it was not used by whoever was undone"
    assert grants.redeem(issued, "refresh", NOW + 60, NOW)
    return grants


def _redeeming(_hanging: Engine, other: Engine) -> _Both:
    _keep_code(other)
    return _redeem, _redeem


def _redeemed_and_taken_back(_hanging: Engine, other: Engine) -> _Both:
    _keep_code(other)

    def take_back(engine: Engine) -> object:
        grants = SqlOAuthGrants(engine)
        assert grants.end_for_consent(_CONSENT, NOW) == 0
        assert grants.code("code", _CLIENT, NOW) is None
        return grants

    return _redeem, take_back


def _refreshing(_hanging: Engine, other: Engine) -> _Both:
    _keep_code(other)
    _redeem(other)

    def use(engine: Engine) -> object:
        grants = SqlOAuthGrants(engine)
        held = grants.refresh_token("refresh", _CLIENT, NOW)
        assert held is not None
        return grants.use(held, True, NOW)

    return use, use


def _given_and_taken_back(_hanging: Engine, other: Engine) -> _Both:
    consent = Elsewhere(other).consent()
    request_id = Elsewhere(other).ask(consent)

    def give(engine: Engine) -> object:
        return Elsewhere(engine).give(consent, request_id)

    def revoke(engine: Engine) -> object:
        return Elsewhere(engine).revoke(consent, NOW)

    return give, revoke


def _asking_a_region(_hanging: Engine, _other: Engine) -> _Both:
    def keep(engine: Engine) -> object:
        (before,) = SentPlans(engine).keep([Asking(plan(), 0)])
        assert not before.before
        return before

    return keep, keep


def _hearing_a_region(_hanging: Engine, _other: Engine) -> _Both:
    def mark(engine: Engine) -> object:
        events = SqlRegionEvents(engine)
        events.mark({_NORTH: (0, NOW)})
        return events.heard()[_NORTH]

    return mark, mark


def _asked_by_a_region(_hanging: Engine, _other: Engine) -> _Both:
    asked = RegionAsk(
        _CLIENT, b"digest", "r-1", _NORTH, "bank", "L-1", "decisions/d", "1", "credential", NOW
    )

    def keep(engine: Engine) -> object:
        return SqlRegionAsks(engine).keep([asked])

    return keep, keep


def _authenticating(hanging: Engine, other: Engine) -> _Both:
    caches = {engine: SqlReplayCache(engine) for engine in (hanging, other)}

    def claim(jti: str, engine: Engine) -> object:
        return caches[engine].claim(_CLIENT, jti, expires_at=NOW + 60, now=NOW)

    for engine in caches:
        # The first sweeps too.
        claim(str(id(engine)), engine)
    return partial(claim, "jti"), partial(claim, "jti")


def _revoking_tokens(_hanging: Engine, _other: Engine) -> _Both:
    def append(engine: Engine) -> object:
        SqlRevocationLog(engine).append([Revocation("token", "a", NOW + 5)], NOW)
        (logged,) = SqlRevocationLog(engine).since(0)
        return logged

    return append, append


def _found_overdue(_hanging: Engine, _other: Engine) -> _Both:
    def find(engine: Engine) -> object:
        found = Findings(engine, read_policy())
        return found.open_consent_overdue("alpha", _CONSENT, NOW)

    return find, find


@pytest.mark.parametrize(
    "work",
    [
        _signing_in,
        _sweeping_sessions,
        _redeeming,
        _redeemed_and_taken_back,
        _refreshing,
        _given_and_taken_back,
        _asking_a_region,
        _hearing_a_region,
        _asked_by_a_region,
        _authenticating,
        _revoking_tokens,
        _found_overdue,
    ],
)
def test_who_hangs_before_the_commit_is_undone_and_another_goes_on(
    processes: tuple[Engine, Engine], work: Callable[[Engine, Engine], _Both]
) -> None:
    hanging, other = processes
    hangs, goes_on = work(hanging, other)
    reached = Event()

    @event.listens_for(hanging, "commit")
    def hang(_connection: Connection) -> None:
        reached.set()
        sleep(_HANGS_SECONDS)

    with ThreadPoolExecutor(1) as threads:
        left = threads.submit(hangs, hanging)
        assert reached.wait(10)
        began = monotonic()
        assert goes_on(other) is not False
        assert 0.3 < monotonic() - began < _SOON_SECONDS
        with pytest.raises((DBAPIError, Refused)):
            left.result()


def test_what_bounds_the_gateway_bounds_consents_too() -> None:
    assert bounds.limits() == connections.limits()
    assert bounds.limits(7, 8) == connections.limits(7, 8)
