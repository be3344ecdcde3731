"""Clocks: what is too old, too new or out of time stays refused, to the second."""

import math
import time
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.attacks.ground import READ, SERVED, Cast, Ground, Prover, error_of, standing_on
from tests.clock import StandingClock
from tests.installation import Installation
from tests.parties import ASSERTION_TYPE, claims_in
from tests.stores import SqliteStores

pytestmark = pytest.mark.asyncio(loop_scope="module")

AHEAD = 86_400


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def standing_ground(sqlite_stores: SqliteStores) -> AsyncIterator[Ground]:
    """A gateway whose clock stands, and can be moved."""
    with sqlite_stores.database() as store:
        installation = Installation(*store, clock=StandingClock(int(time.time())))
        installation.furnish()
        cast = Cast.enrolled_in(installation)
        async with installation.running() as gateway, standing_on(gateway, cast) as ground:
            yield ground
        installation.close()


@pytest_asyncio.fixture(loop_scope="module")
async def timed(standing_ground: Ground) -> Ground:
    """The gateway, its clock set right."""
    moved(standing_ground, int(time.time()) - standing_ground.now())
    return standing_ground


async def token_error(ground: Ground, **claims: object) -> str:
    """Return how an assertion with changed claims is taken; "" for a token."""
    party = ground.cast.victim
    form = {
        "grant_type": "client_credentials",
        "scope": READ,
        "client_assertion_type": ASSERTION_TYPE,
        "client_assertion": party.assertion(ground.issuer, ground.now(), **claims),
    }
    answer = await ground.post("/oauth/token", form, party)
    assert answer.status_code < 500
    return error_of(answer)


def moved(ground: Ground, seconds: int) -> None:
    """Move the gateway's clock."""
    clock = ground.gateway.installation.clock
    assert isinstance(clock, StandingClock)
    clock.at += seconds


async def test_clients_clocks_may_run_ten_seconds_ahead_and_no_minute(timed: Ground) -> None:
    """A1 makes assertions ahead of time; FAPI 2.0 section 5.3.2.1, point 13."""
    now = timed.now()
    for ahead, taken in ((0, True), (10, True), (61, False), (3_600, False)):
        expected = "" if taken else "invalid_client"
        assert await token_error(timed, iat=now + ahead) == expected
        assert await token_error(timed, nbf=now + ahead) == expected
        assert await token_error(timed, nbf=float(now + ahead)) == expected


async def test_moments_out_of_time_are_refused(timed: Ground) -> None:
    """A1 sends numbers no clock shows; RFC 7519 section 2 (NumericDate)."""
    moments = (0, -1, 1.5, math.inf, -math.inf, math.nan, -(10**30), True, "9999999999", [], None)
    claims = [{"exp": moment} for moment in moments] + [
        {"iat": 10**30},
        {"iat": "0"},
        {"iat": None, "exp": timed.now()},
        {"nbf": []},
    ]
    answers = {str(each): await token_error(timed, **each) for each in claims}
    assert set(answers.values()) == {"invalid_client"}, answers


async def test_an_assertion_of_a_far_expiry_is_old_in_minutes_all_the_same(
    timed: Ground,
) -> None:
    """A1 found an assertion in a log; RFC 9700 section 2.5, RFC 7523 section 3."""
    made = timed.now()
    moved(timed, 301)
    assert await token_error(timed, iat=made, exp=made + 10 * AHEAD) == "invalid_client"
    assert await token_error(timed, iat=None, exp=timed.now() + 10 * AHEAD) == "invalid_client"


async def test_a_token_ends_with_its_second(timed: Ground) -> None:
    """A7 keeps a token for later; RFC 9068 section 4, RFC 9700 section 4.10."""
    token = await timed.token(timed.cast.victim)
    life = claims_in(token)["exp"] - timed.now()
    moved(timed, life - 1)
    assert await timed.query(timed.cast.victim, token) == SERVED
    moved(timed, 1)
    assert await timed.query(timed.cast.victim, token) == "TOKEN_EXPIRED"


async def test_a_proof_is_too_old_after_its_minute_and_too_new_before(timed: Ground) -> None:
    """A7 keeps a proof for later; RFC 9449 section 11.1."""
    prover = Prover()
    token = await timed.token(timed.cast.keyed, prover=prover)
    now = timed.now()
    for age, served in ((0, True), (59, True), (60, False), (-10, True), (-61, False)):
        answer = await timed.prove(timed.cast.keyed, token, prover, iat=now - age)
        assert answer == (SERVED if served else "TOKEN_PROOF_INVALID"), age


async def test_a_used_assertion_stays_used_when_the_clock_is_turned_back(
    timed: Ground,
) -> None:
    """A2 moves the server's time by NTP; RFC 7523 section 3, point 7."""
    party = timed.cast.victim
    form = {
        "grant_type": "client_credentials",
        "client_assertion_type": ASSERTION_TYPE,
        "client_assertion": party.assertion(timed.issuer, timed.now()),
    }
    assert error_of(await timed.post("/oauth/token", form, party)) == ""
    for seconds in (-20, 10, 9):
        moved(timed, seconds)
        assert error_of(await timed.post("/oauth/token", form, party)) == "invalid_client"
