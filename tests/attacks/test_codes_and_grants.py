"""Attacks on codes, refresh tokens and grants: whoever holds them needs to be their client."""

import asyncio
import secrets

import pytest

from tests.attacks.code_flow import approved, push, pushed, redeem, refresh
from tests.attacks.ground import READ, SERVED, Ground, Prover, error_of
from tests.installation import eventually

pytestmark = pytest.mark.asyncio(loop_scope="module")

TOKEN_TYPE = "urn:ietf:params:oauth:token-type:access_token"
EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"


async def revoked(ground: Ground, token: str) -> None:
    """Wait until the victim's token is refused as revoked; fails after a second."""

    async def refused() -> bool:
        return await ground.query(ground.cast.victim, token) == "TOKEN_REVOKED"

    await eventually(refused, 1)


async def test_a_code_injected_into_another_session_is_refused(ground: Ground) -> None:
    """A1 puts a stolen code into its own flow at the honest client; RFC 9700 section 4.5."""
    stolen = await pushed(ground, ground.cast.victim)
    attackers = await pushed(ground, ground.cast.victim)
    code = (await approved(ground, stolen))["code"]
    assert error_of(await redeem(ground, attackers, code)) == "invalid_grant"
    for verifier in (None, "", "A" * 43, stolen.verifier[:-1], stolen.verifier + "A"):
        answer = await redeem(ground, stolen, code, code_verifier=verifier)
        assert error_of(answer) in ("invalid_grant", "invalid_request"), verifier
    assert error_of(await redeem(ground, stolen, code)) == ""


async def test_a_stolen_code_is_worthless_for_another_client(ground: Ground) -> None:
    """A1 is a client, A3a read the code and the verifier; RFC 9700 sections 4.5 and 2.1.1."""
    request = await pushed(ground, ground.cast.victim)
    code = (await approved(ground, request))["code"]
    for thief in (ground.cast.thief, ground.cast.rival):
        assert error_of(await redeem(ground, request, code, thief)) == "invalid_grant"
    assert error_of(await redeem(ground, request, code)) == ""


async def test_a_code_that_comes_twice_ends_what_it_gave(ground: Ground) -> None:
    """A1 replays a code with the client's own help; RFC 6749 section 4.1.2, RFC 9700 4.5."""
    request = await pushed(ground, ground.cast.victim)
    code = (await approved(ground, request))["code"]
    first = (await redeem(ground, request, code)).json()
    assert await ground.query(ground.cast.victim, first["access_token"]) == SERVED
    assert error_of(await redeem(ground, request, code)) == "invalid_grant"
    await revoked(ground, first["access_token"])
    answer = await refresh(ground, ground.cast.victim, first["refresh_token"])
    assert error_of(answer) == "invalid_grant"


async def test_a_code_raced_by_many_requests_gives_one_token_at_most(ground: Ground) -> None:
    """A1 sends a code many times at once; RFC 6749 section 4.1.2."""
    request = await pushed(ground, ground.cast.victim)
    code = (await approved(ground, request))["code"]
    answers = await asyncio.gather(*(redeem(ground, request, code) for _ in range(8)))
    tokens = [answer.json()["access_token"] for answer in answers if answer.is_success]
    assert len(tokens) == 1
    await revoked(ground, tokens[0])


async def test_a_code_is_bound_to_the_key_of_its_request(ground: Ground) -> None:
    """A1 has the code and the client's assertion key, not its DPoP key; RFC 9449 section 10."""
    own, other = Prover(), Prover()
    request = await pushed(ground, ground.cast.keyed, prover=own)
    code = (await approved(ground, request))["code"]
    assert error_of(await redeem(ground, request, code, prover=other)) == "invalid_grant"
    assert error_of(await redeem(ground, request, code)) == "invalid_dpop_proof"
    named = await push(ground, ground.cast.keyed, prover=other, dpop_jkt=own.key.thumbprint())
    assert error_of(named) == "invalid_dpop_proof"
    assert error_of(await redeem(ground, request, code, prover=own)) == ""


async def test_a_stolen_refresh_token_is_worthless_for_another_client(ground: Ground) -> None:
    """A5, A1 is a client; RFC 9700 section 4.14."""
    request = await pushed(ground, ground.cast.victim)
    token = (await redeem(ground, request, (await approved(ground, request))["code"])).json()
    for thief in (ground.cast.thief, ground.cast.rival):
        assert error_of(await refresh(ground, thief, token["refresh_token"])) == "invalid_grant"
    assert error_of(await refresh(ground, ground.cast.victim, token["refresh_token"])) == ""


async def test_refreshing_and_exchanging_never_widen(ground: Ground) -> None:
    """A1 is a client that was granted little; RFC 9700 section 2.3, RFC 6749 section 6."""
    victim = ground.cast.victim
    request = await pushed(ground, victim)
    token = (await redeem(ground, request, (await approved(ground, request))["code"])).json()
    for scope in (f"{READ} usage:read", "usage:read", "operators:create"):
        answer = await refresh(ground, victim, token["refresh_token"], scope=scope)
        assert error_of(answer) == "invalid_scope", scope
        exchange = {
            "grant_type": EXCHANGE,
            "subject_token": token["access_token"],
            "subject_token_type": TOKEN_TYPE,
            "scope": scope,
        }
        assert error_of(await ground.post("/oauth/token", exchange, victim)) == "invalid_scope"
    for scope in ("operators:create", f"{READ} operators:create"):
        asked = {"grant_type": "client_credentials", "scope": scope}
        assert error_of(await ground.post("/oauth/token", asked, victim)) == "invalid_scope"


async def test_details_never_widen(ground: Ground) -> None:
    """A1 is a client that was granted one purpose; RFC 9396 section 7, RFC 9700 section 2.3."""
    victim = ground.cast.victim
    narrow = '[{"type":"public_credit_data","regions":["110000"]}]'
    request = await pushed(ground, victim, authorization_details=narrow)
    token = (await redeem(ground, request, (await approved(ground, request))["code"])).json()
    assert [each["regions"] for each in token["authorization_details"]] == [["110000"]]
    for wider in (
        '[{"type":"public_credit_data","regions":["310000"]}]',
        '[{"type":"public_credit_data","regions":["110000","310000"]}]',
        '[{"type":"public_credit_data"}]',
        "[]",
    ):
        answer = await refresh(ground, victim, token["refresh_token"], authorization_details=wider)
        assert error_of(answer) == "invalid_authorization_details", wider


async def test_what_one_person_allowed_one_client_no_other_takes(ground: Ground) -> None:
    """A1 is another client of the same operator; RFC 8693 section 5, RFC 9700 section 4.10."""
    request = await pushed(ground, ground.cast.victim)
    token = (await redeem(ground, request, (await approved(ground, request))["code"])).json()
    machine = await ground.token(ground.cast.victim)
    for thief, taken, expected in (
        (ground.cast.thief, token["access_token"], "invalid_request"),
        (ground.cast.rival, token["access_token"], "invalid_request"),
        (ground.cast.rival, machine, "invalid_request"),
    ):
        exchange = {
            "grant_type": EXCHANGE,
            "subject_token": taken,
            "subject_token_type": TOKEN_TYPE,
        }
        assert error_of(await ground.post("/oauth/token", exchange, thief)) == expected


async def test_no_operator_sees_or_ends_what_another_has(ground: Ground) -> None:
    """A1 is a licensed operator; RFC 7662 section 4, RFC 7009 section 2.1, RFC 9700 2.5."""
    victim, rival = ground.cast.victim, ground.cast.rival
    request = await pushed(ground, victim)
    token = (await redeem(ground, request, (await approved(ground, request))["code"])).json()
    unknown = secrets.token_urlsafe(32)
    for secret in (token["access_token"], token["refresh_token"]):
        told = await ground.post("/oauth/introspect", {"token": secret}, rival)
        assert told.json() == {"active": False}
        assert not (await ground.post("/oauth/revoke", {"token": secret}, rival)).is_success
    assert (await ground.post("/oauth/revoke", {"token": unknown}, rival)).is_success
    client = await ground.https(rival.certificate)
    manage = await ground.token(rival, "grant_management_query grant_management_revoke")
    bearer = {"authorization": f"Bearer {manage}"}
    for grant_id in (token["grant_id"], unknown):
        for method in ("GET", "DELETE"):
            answer = await client.request(method, f"/oauth/grants/{grant_id}", headers=bearer)
            assert answer.status_code == 404
    assert await ground.query(victim, token["access_token"]) == SERVED
    assert error_of(await refresh(ground, victim, token["refresh_token"])) == ""
