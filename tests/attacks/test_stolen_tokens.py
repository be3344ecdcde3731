"""What a thief gets out of access tokens: nothing without the key they are bound to."""

import asyncio
import time

import pytest

from tests.attacks.ground import SERVED, Ground, Prover

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_a_stolen_token_is_worthless_over_another_certificate(ground: Ground) -> None:
    """A7 reads the call, A1 is a client itself; RFC 9700 sections 2.2.1 and 4.10.1."""
    victim = ground.cast.victim
    thief = ground.cast.thief
    token = await ground.token(victim)
    assert await ground.query(victim, token) == SERVED
    assert await ground.query(thief, token) == "TOKEN_NOT_YOURS"


async def test_a_stolen_token_is_worthless_with_a_proof_of_another_key(ground: Ground) -> None:
    """A7 reads the call, A1 is a client itself; RFC 9700 sections 2.2.1 and 4.10.1."""
    victim = ground.cast.keyed
    thief = ground.cast.keyed_thief
    own, others = Prover(), Prover()
    token = await ground.token(victim, prover=own)
    assert await ground.prove(victim, token, own) == SERVED
    assert await ground.prove(thief, token, others) == "TOKEN_NOT_YOURS"


async def test_a_token_bound_to_a_key_is_no_bearer_token(ground: Ground) -> None:
    """A7 replays it without its proof; RFC 9700 section 2.2.1, RFC 9449 section 7.2."""
    victim = ground.cast.keyed
    prover = Prover()
    token = await ground.token(victim, prover=prover)
    assert await ground.query(victim, token) == "TOKEN_NOT_YOURS"
    bare = await ground.call(victim.certificate, ("authorization", f"DPoP {token}"))
    assert bare == "TOKEN_PROOF_INVALID"
    assert await ground.prove(victim, token, prover) == SERVED


async def test_a_token_bound_to_a_certificate_is_not_made_another_by_a_proof(
    ground: Ground,
) -> None:
    """A7 takes a certificate-bound token for one that any proof opens; RFC 9700 2.2.1."""
    victim = ground.cast.victim
    thief = ground.cast.keyed_thief
    prover = Prover()
    token = await ground.token(victim)
    assert await ground.prove(thief, token, prover) == "TOKEN_NOT_YOURS"
    assert await ground.query(victim, token) == SERVED


async def test_a_proof_is_used_once_within_its_window(ground: Ground) -> None:
    """A7 replays token and proof at once; RFC 9700 section 4.10.1, RFC 9449 section 11.1."""
    victim = ground.cast.keyed
    prover = Prover()
    token = await ground.token(victim, prover=prover)
    proof = prover.proof(ground.method_url, token)
    shown = (("authorization", f"DPoP {token}"), ("dpop", proof))
    assert await ground.call(victim.certificate, *shown) == SERVED
    assert await ground.call(victim.certificate, *shown) == "TOKEN_PROOF_INVALID"


async def test_a_proof_raced_by_many_calls_serves_one(ground: Ground) -> None:
    """A7 replays it before the first call is answered; RFC 9449 section 11.1."""
    victim = ground.cast.keyed
    prover = Prover()
    token = await ground.token(victim, prover=prover)
    shown = (("authorization", f"DPoP {token}"), ("dpop", prover.proof(ground.method_url, token)))
    calls = [ground.call(victim.certificate, *shown) for _ in range(20)]
    assert sorted(await asyncio.gather(*calls)) == ["TOKEN_PROOF_INVALID"] * 19 + [SERVED]


async def test_a_proof_of_one_call_opens_no_other(ground: Ground) -> None:
    """A7 turns a recorded proof to another method, verb or token; RFC 9449 section 4.3."""
    victim = ground.cast.keyed
    prover = Prover()
    token = await ground.token(victim, prover=prover)
    other = await ground.token(victim, prover=prover)
    elsewhere = ground.method_url.replace("GetSubjectRecords", "BatchGetSubjectRecords")
    turned = [
        {"htu": elsewhere},
        {"htu": ground.method_url.replace("https://", "http://")},
        {"htm": "GET"},
        {"ath": None},
        {"ath": prover.proof(ground.method_url, other).split(".")[2]},
    ]
    answers = [await ground.prove(victim, token, prover, **claims) for claims in turned]
    assert answers == ["TOKEN_PROOF_INVALID"] * len(turned)
    assert await ground.prove(victim, token, prover) == SERVED


async def test_proofs_made_ahead_of_time_lack_the_nonce_of_their_moment(ground: Ground) -> None:
    """A1 used the victim's key for a while and made proofs to keep; RFC 9449 section 11.2."""
    victim = ground.cast.keyed
    prover = Prover()
    token = await ground.token(victim, prover=prover)
    nonce, prover.nonce = prover.nonce, "made-up"
    assert await ground.prove(victim, token, prover) == "TOKEN_PROOF_NONCE"
    assert await ground.prove(victim, token, prover, nonce=None) == "TOKEN_PROOF_NONCE"
    later = int(time.time()) + 3_600
    assert (
        await ground.prove(victim, token, prover, nonce=nonce, iat=later) == "TOKEN_PROOF_INVALID"
    )


async def test_a_token_of_one_operator_opens_nothing_for_another(ground: Ground) -> None:
    """A1 is a licensed operator and has a colleague's token; RFC 9700 section 4.10."""
    victim = ground.cast.victim
    rival = ground.cast.rival
    token = await ground.token(victim)
    assert await ground.query(rival, token) == "TOKEN_NOT_YOURS"
    assert await ground.query(rival, await ground.token(rival)) == SERVED
