"""Attacks on gateways set up otherwise: after an incident, and as two replicas."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import UTC, datetime

import pytest

from tests.attacks.code_flow import approved, pushed, redeem, refresh
from tests.attacks.ground import GET, SERVED, Cast, Ground, Prover, error_of, standing_on
from tests.attacks.inside import seen_inside
from tests.installation import Installation, eventually


@pytest.fixture
async def rotating(
    embedded: Installation, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Ground]:
    """A gateway after an incident: refresh tokens issued before an hour from now are replaced."""
    cast = Cast.enrolled_in(embedded)
    later = datetime.fromtimestamp(embedded.clock.now() + 3_600, UTC)
    with seen_inside(monkeypatch) as inside:
        async with (
            embedded.running(rotate_refresh_tokens_before=later) as gateway,
            standing_on(gateway, cast, inside) as ground,
        ):
            yield ground


async def test_a_superseded_refresh_token_that_comes_again_ends_its_family(
    rotating: Ground,
) -> None:
    """A1 has the old token and the client's keys; RFC 9700 section 4.14.2."""
    ground, victim = rotating, rotating.cast.victim
    request = await pushed(ground, victim)
    first = (await redeem(ground, request, (await approved(ground, request))["code"])).json()
    second = (await refresh(ground, victim, first["refresh_token"])).json()
    assert second["refresh_token"] != first["refresh_token"]
    third = (await refresh(ground, victim, second["refresh_token"])).json()
    assert await ground.query(victim, third["access_token"]) == SERVED
    # The successor was used, so the client has it: whoever shows the old one is another.
    assert error_of(await refresh(ground, victim, first["refresh_token"])) == "invalid_grant"

    async def refused() -> bool:
        return await ground.query(victim, third["access_token"]) == "TOKEN_REVOKED"

    await eventually(refused, 1)
    for token in (second, third):
        answer = await refresh(ground, victim, token.get("refresh_token", "gone"))
        assert error_of(answer) == "invalid_grant"


async def test_a_proof_used_at_one_replica_is_used_at_all(embedded: Installation) -> None:
    """A7 replays it elsewhere; RFC 9449 section 11.1. Replicas share nothing but the store."""
    url = "https://gateway.test"
    cast, prover = Cast.enrolled_in(embedded), Prover()
    async with AsyncExitStack() as stack:
        one = await stack.enter_async_context(embedded.running(grpc_url=url))
        issuer = one.running.issuer
        two = await stack.enter_async_context(embedded.running(grpc_url=url, issuer=issuer))
        first, second = [
            await stack.enter_async_context(standing_on(each, cast)) for each in (one, two)
        ]
        token = await first.token(cast.keyed, prover=prover)
        proof = prover.proof(f"{url}{GET}", token)
        shown = (("authorization", f"DPoP {token}"), ("dpop", proof))
        assert await first.call(cast.keyed.certificate, *shown) == SERVED
        assert await second.call(cast.keyed.certificate, *shown) == "TOKEN_PROOF_INVALID"
