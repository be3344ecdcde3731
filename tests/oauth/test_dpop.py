"""DPoP at the token endpoint (RFC 9449 sections 5 and 8): tokens bound to a key."""

import asyncio
import json
from base64 import urlsafe_b64decode
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from authlib.oauth2 import OAuth2Error
from joserfc.jwk import ECKey, RSAKey

from creditgate.refusal import Refused
from creditgate.v1.refusal_pb2 import RefusalReason
from gateway.oauth.client import registered_client
from gateway.oauth.dpop import DpopBinding, DpopProofs
from gateway.oauth.replay import SqlReplayCache
from gateway.oauth.rfc9449 import InvalidProof, verified_proof
from gateway.pki.development import Issued
from tests.oauth.assertions import good_form, signed
from tests.oauth.proofs import new_key, proof_claims, proof_header, proof_of
from tests.oauth.world import CLIENT, World, on_both_stores

KEY = new_key()


@pytest.fixture
def keyed(world: World) -> World:
    """A world whose client's tokens are bound to a key; it has no certificate."""
    world.change("client", CLIENT, binding="dpop", certificate_thumbprints=frozenset[str]())
    return world


async def _ask(
    world: World,
    issuer: str,
    proofs: list[str],
    form: dict[str, str] | None = None,
    certificate: Issued | None = None,
) -> httpx.Response:
    form = form or good_form(world.identity, issuer, world.clock.now())
    headers = [("DPoP", proof) for proof in proofs]
    return await world.http(certificate).post(f"{issuer}/oauth/token", data=form, headers=headers)


def _proof(world: World, issuer: str, key: ECKey = KEY, **changed: Any) -> str:
    now = world.clock.now()
    claims = {"nonce": world.nonces.current(now), **changed}
    return proof_of(key, f"{issuer}/oauth/token", now, **claims)


def _claims(response: httpx.Response) -> dict[str, Any]:
    middle = response.json()["access_token"].split(".")[1]
    return json.loads(urlsafe_b64decode(middle + "=="))


async def test_token_is_bound_to_the_key_that_was_proved(keyed: World) -> None:
    async with keyed.serving() as issuer:
        response = await _ask(keyed, issuer, [_proof(keyed, issuer)])
    assert response.status_code == 200
    assert response.json()["token_type"] == "DPoP"
    assert _claims(response)["cnf"] == {"jkt": KEY.thumbprint()}


async def test_client_may_take_any_key_of_the_profile_and_another_each_time(keyed: World) -> None:
    rsa = RSAKey.generate_key(2_048)
    async with keyed.serving() as issuer:
        claims = proof_claims(
            f"{issuer}/oauth/token",
            keyed.clock.now(),
            nonce=keyed.nonces.current(keyed.clock.now()),
        )
        proof = signed(claims, rsa, **proof_header(rsa, alg="PS256"))
        first = await _ask(keyed, issuer, [proof])
        second = await _ask(keyed, issuer, [_proof(keyed, issuer, new_key())])
    assert _claims(first)["cnf"] == {"jkt": rsa.thumbprint()}
    assert second.status_code == 200


@on_both_stores
async def test_nonce_is_asked_for_before_anything_is_used_up(keyed: World) -> None:
    async with keyed.serving() as issuer:
        form = good_form(keyed.identity, issuer, keyed.clock.now())
        proof = _proof(keyed, issuer, nonce=None, jti="same")
        challenge = await _ask(keyed, issuer, [proof], form)
        nonce = challenge.headers["dpop-nonce"]
        answer = await _ask(keyed, issuer, [_proof(keyed, issuer, nonce=nonce, jti="same")], form)
    assert (challenge.status_code, challenge.json()["error"]) == (400, "use_dpop_nonce")
    assert challenge.headers["cache-control"] == "no-store"
    assert answer.status_code == 200


async def test_old_and_foreign_nonces_are_challenged(keyed: World) -> None:
    async with keyed.serving() as issuer:
        old = keyed.nonces.current(keyed.clock.now())
        keyed.clock.seconds += 121
        answers = [
            (await _ask(keyed, issuer, [_proof(keyed, issuer, nonce=nonce)])).json()["error"]
            for nonce in (old, "of-my-own", old[:-4] + "AAA=")
        ]
    assert answers == ["use_dpop_nonce"] * 3


async def test_answers_to_proofs_bring_a_nonce_and_others_none(keyed: World) -> None:
    async with keyed.serving() as issuer:
        good = await _ask(keyed, issuer, [_proof(keyed, issuer)])
        bad = await _ask(keyed, issuer, ["x"])
        without = await _ask(keyed, issuer, [])
        now = keyed.clock.now()
        assert keyed.nonces.accepts(good.headers["dpop-nonce"], now)
        assert keyed.nonces.accepts(bad.headers["dpop-nonce"], now)
    assert "dpop-nonce" not in without.headers


async def test_request_without_exactly_one_proof_gets_no_token(keyed: World) -> None:
    async with keyed.serving() as issuer:
        proofs = [_proof(keyed, issuer) for _ in range(2)]
        for sent in ([], proofs, [", ".join(proofs)], [""]):
            response = await _ask(keyed, issuer, sent)
            assert (response.status_code, response.json()["error"]) == (400, "invalid_dpop_proof")


@pytest.mark.parametrize(
    "changed",
    [{"htm": "GET"}, {"htu": "https://elsewhere.test/oauth/token"}, {"iat": 1}, {"jti": None}],
)
async def test_proof_for_something_else_gets_no_token(
    keyed: World, changed: dict[str, Any]
) -> None:
    async with keyed.serving() as issuer:
        response = await _ask(keyed, issuer, [_proof(keyed, issuer, **changed)])
    assert (response.status_code, response.json()["error"]) == (400, "invalid_dpop_proof")


@on_both_stores
async def test_proof_gets_one_token(keyed: World) -> None:
    async with keyed.serving() as issuer:
        proof = _proof(keyed, issuer)
        first, again = [await _ask(keyed, issuer, [proof]) for _ in range(2)]
    assert first.status_code == 200
    assert again.json()["error"] == "invalid_dpop_proof"


@on_both_stores
async def test_jti_belongs_to_its_key_alone(keyed: World) -> None:
    async with keyed.serving() as issuer:
        answers = [
            (await _ask(keyed, issuer, [_proof(keyed, issuer, key, jti="same")])).status_code
            for key in (KEY, new_key())
        ]
    assert answers == [200, 200]


async def test_proof_alone_is_no_authentication(keyed: World) -> None:
    async with keyed.serving() as issuer:
        form = good_form(keyed.administrator, issuer, keyed.clock.now(), client_id=CLIENT)
        other = await _ask(keyed, issuer, [_proof(keyed, issuer)], form)
        bare = {"grant_type": "client_credentials", "client_id": CLIENT}
        nobody = await _ask(keyed, issuer, [_proof(keyed, issuer)], bare)
    assert other.json()["error"] == nobody.json()["error"] == "invalid_client"


async def test_client_bound_by_certificate_gets_no_other_token(world: World) -> None:
    async with world.serving() as issuer:
        shown = world.identity.certificate
        proven = await _ask(world, issuer, [_proof(world, issuer)], certificate=shown)
        plain = await _ask(world, issuer, [], certificate=shown)
        uncertified = await _ask(world, issuer, [_proof(world, issuer)])
    assert (proven.status_code, proven.json()["error"]) == (400, "invalid_request")
    assert plain.json()["token_type"] == "Bearer"
    assert _claims(plain)["cnf"] == {"x5t#S256": shown.thumbprint}
    assert uncertified.json()["error"] == "invalid_client"


async def test_certificate_does_not_stand_in_for_the_key(keyed: World) -> None:
    async with keyed.serving() as issuer:
        shown = keyed.identity.certificate
        response = await _ask(keyed, issuer, [_proof(keyed, issuer)], certificate=shown)
    assert _claims(response)["cnf"] == {"jkt": KEY.thumbprint()}


class Unreachable:
    """A store of used proofs that answers for assertions only."""

    def __init__(self, replay: SqlReplayCache) -> None:
        self._replay = replay

    def claim(self, client_id: str, jti: str, *, expires_at: int, now: int) -> bool:
        """As `ReplayCache.claim`."""
        if client_id.startswith("dpop "):
            raise Refused(RefusalReason.REFUSAL_REASON_TEMPORARILY_UNAVAILABLE, "try again")
        return self._replay.claim(client_id, jti, expires_at=expires_at, now=now)


@on_both_stores
async def test_no_token_while_nobody_can_tell_whether_the_proof_is_new(keyed: World) -> None:
    async with keyed.serving(Unreachable(SqlReplayCache(keyed.engine))) as issuer:
        response = await _ask(keyed, issuer, [_proof(keyed, issuer)])
    assert response.status_code == 503


@on_both_stores
async def test_one_proof_is_new_to_one_of_many_who_ask_at_once(keyed: World) -> None:
    uri = "https://issuer.test/oauth/token"
    now = keyed.clock.now()
    read = verified_proof(proof_of(KEY, uri, now), method="POST", uri=uri, now=now)
    several = [DpopProofs(keyed.nonces, SqlReplayCache(keyed.engine)) for _ in range(4)]

    def use(proofs: DpopProofs) -> bool:
        try:
            proofs.use(read, now)
        except InvalidProof:
            return False
        return True

    answers = await asyncio.gather(*(asyncio.to_thread(use, proofs) for proofs in several))
    assert sorted(answers) == [False, False, False, True]


@pytest.fixture
def binding(keyed: World) -> Iterator[DpopBinding]:
    """What binds codes and tokens to keys."""
    yield DpopBinding(DpopProofs(keyed.nonces, SqlReplayCache(keyed.engine)), keyed.clock)


def test_pushed_request_binds_its_code_to_the_key_named_or_proved(
    keyed: World, binding: DpopBinding
) -> None:
    now, uri = keyed.clock.now(), "https://issuer.test/oauth/par"
    client = registered_client(keyed.snapshot(), CLIENT, now)
    assert client is not None
    proof = verified_proof(proof_of(KEY, uri, now), method="POST", uri=uri, now=now)
    assert binding.pushed_key(client, None, None) is None
    assert binding.pushed_key(client, None, KEY.thumbprint()) == KEY.thumbprint()
    assert binding.pushed_key(client, proof, KEY.thumbprint()) == KEY.thumbprint()
    for again, named, error in (
        (proof, None, "invalid_dpop_proof"),
        (proof._replace(jti="new"), new_key().thumbprint(), "invalid_dpop_proof"),
        (None, "x", "invalid_request"),
        (None, "é" * 43, "invalid_request"),
    ):
        with pytest.raises(OAuth2Error) as refused:
            binding.pushed_key(client, again, named)
        assert refused.value.error == error
    assert binding.pushed_key(client, proof._replace(jti="other"), None) == KEY.thumbprint()


def test_code_of_a_client_bound_by_certificate_is_bound_to_no_key(
    world: World,
) -> None:
    binding = DpopBinding(DpopProofs(world.nonces, SqlReplayCache(world.engine)), world.clock)
    client = registered_client(world.snapshot(), CLIENT, world.clock.now())
    assert client is not None
    with pytest.raises(OAuth2Error) as refused:
        binding.pushed_key(client, None, KEY.thumbprint())
    assert refused.value.error == "invalid_request"
