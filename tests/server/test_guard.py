"""Whom the guard lets call a method: asked once a second, and anew whenever it may differ."""

from collections.abc import AsyncGenerator
from pathlib import Path
from typing import NamedTuple

import pytest
from sqlalchemy import Engine

from creditgate.refusal import Refused, reason_name
from creditgate.v1.operator_service_pb2 import ClientRole
from gateway.authenticate.authenticator import Authenticator
from gateway.authenticate.caller import Caller
from gateway.authenticate.token import TokenVerifier
from gateway.authority.feed import AuthorityFeed, PollBell
from gateway.oauth.dpop import DpopProofs
from gateway.oauth.dpop_nonces import DpopNonces
from gateway.oauth.replay import SqlReplayCache
from gateway.server.guard import Guard
from operators.sql import SqlAuthorityLog
from tests.authority.following import LONG_POLL, SUSPENDED, following
from tests.clock import StandingClock
from tests.operators.things import READ, Thing, client, draft, grant, licence, operator

_AT = 100
_GRANT_ENDS = 200
_OTHER = "credit.usage:read"


class _Scene(NamedTuple):
    guard: Guard
    feed: AuthorityFeed
    clock: StandingClock
    engine: Engine

    async def decided(self, thing: Thing, version: int = 0) -> None:
        """Let the guard know of a thing that was decided in this very second."""
        _append(self.engine, thing, version=version)
        await self.feed.refresh()

    def refusal(self, scope: str = READ, token_scopes: frozenset[str] = frozenset({READ})) -> str:
        """Return why alpha's client may not call a method of ``scope``, "" where it may."""
        return _refusal(self.guard, _caller(token_scopes), scope)


def _caller(token_scopes: frozenset[str]) -> Caller:
    role = ClientRole.CLIENT_ROLE_OPERATOR
    return Caller("alpha-one", role, "alpha", token_scopes, 1_000, "alpha-one")


def _refusal(guard: Guard, caller: Caller, scope: str) -> str:
    try:
        guard.require_scope(caller, scope)
    except Refused as refused:
        return reason_name(refused.reason)
    return ""


def _append(engine: Engine, *things: Thing, version: int = 0) -> None:
    drafts = [draft(thing, version) for thing in things]
    SqlAuthorityLog(engine).append(drafts, changed_by="office", changed_at=5, reason="test")


@pytest.fixture
async def scene(authority_engine: Engine, tmp_path: Path) -> AsyncGenerator[_Scene]:
    """A guard of a gateway at which alpha may read records until its grant ends."""
    _append(authority_engine, operator(), licence(), client(), grant(valid_until=_GRANT_ENDS))
    clock = StandingClock(_AT)
    nonces = DpopNonces.kept_in(tmp_path / "nonces.key")
    bell = PollBell()
    async with following(authority_engine, poll=LONG_POLL, lease=60, bell=bell) as feed:
        guard = Guard(
            Authenticator(TokenVerifier("https://issuer.test", "https://gate.test")),
            feed,
            clock,
            DpopProofs(nonces, SqlReplayCache(authority_engine)),
            "https://gate.test",
            lambda client_id: None,
        )
        yield _Scene(guard, feed, clock, authority_engine)


async def test_a_suspension_of_the_same_second_stops_who_was_let_through(scene: _Scene) -> None:
    caller = _caller(frozenset({READ}))
    assert _refusal(scene.guard, caller, READ) == _refusal(scene.guard, caller, READ) == ""
    await scene.decided(operator(state=SUSPENDED), version=1)
    assert _refusal(scene.guard, caller, READ) == "OPERATOR_SUSPENDED"


async def test_a_grant_ends_to_the_second_for_who_was_let_through(scene: _Scene) -> None:
    caller = _caller(frozenset({READ}))
    scene.clock.at = _GRANT_ENDS - 1
    assert _refusal(scene.guard, caller, READ) == ""
    scene.clock.at = _GRANT_ENDS
    assert _refusal(scene.guard, caller, READ) == "SCOPE_NOT_GRANTED"
    # A clock that is set back decides by what it shows, as for everybody.
    scene.clock.at = _GRANT_ENDS - 1
    assert _refusal(scene.guard, caller, READ) == ""


async def test_another_token_of_the_same_client_is_asked_for_itself(scene: _Scene) -> None:
    assert scene.refusal() == ""
    assert scene.refusal(token_scopes=frozenset({_OTHER})) == "SCOPE_NOT_GRANTED"
    assert scene.refusal() == ""


async def test_another_scope_is_asked_for_itself(scene: _Scene) -> None:
    caller = _caller(frozenset({READ, _OTHER}))
    assert _refusal(scene.guard, caller, READ) == ""
    assert _refusal(scene.guard, caller, _OTHER) == "SCOPE_NOT_GRANTED"
    assert _refusal(scene.guard, caller, READ) == ""
