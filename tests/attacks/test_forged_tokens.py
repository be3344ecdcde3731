"""Forged JWTs: no trick of a header makes the gateway take one, or fetch a key for one."""

import time
from collections.abc import Awaitable

import pytest
from joserfc.jwk import ECKey

from tests.attacks.forgeries import bombs, forgeries, signed
from tests.attacks.ground import READ, SERVED, Ground, Prover, error_of
from tests.attacks.lure import laid
from tests.installation import ADMINISTRATOR
from tests.parties import ASSERTION_TYPE, Party, claims_in, header_in

pytestmark = pytest.mark.asyncio(loop_scope="module")

MACHINE_FORM = {"grant_type": "client_credentials", "scope": READ}
# Reading what is refused costs about a millisecond; a bomb would cost seconds.
MOST_SECONDS = 1.0


async def assertion_error(ground: Ground, party: Party, assertion: str) -> str:
    """Return how the token endpoint takes an assertion; "" for a token."""
    form = {
        **MACHINE_FORM,
        "client_id": party.client_id,
        "client_assertion_type": ASSERTION_TYPE,
        "client_assertion": assertion,
    }
    answer = await ground.post("/oauth/token", form, party)
    assert answer.status_code < 500, answer.text
    assert answer.headers["cache-control"] == "no-store"
    return error_of(answer)


async def gateway_key(ground: Ground) -> ECKey:
    """Return the public key access tokens are signed with."""
    answer = await (await ground.https(None)).get("/oauth/jwks")
    return ECKey.import_key(answer.json()["keys"][0])


async def test_no_forged_assertion_authenticates(ground: Ground) -> None:
    """A1 knows the client's public key only; RFC 9700 section 2.5, RFC 8725 sections 3.1 to 3.3."""
    party = ground.cast.victim
    good = party.assertion(ground.issuer, ground.now())
    async with laid() as lure:
        tricks = dict(forgeries(header_in(good), claims_in(good), party.key, lure.url))
        answers = {
            trick: await assertion_error(ground, party, jwt) for trick, jwt in tricks.items()
        }
    assert len(answers) > 60
    assert set(answers.values()) == {"invalid_client"}, answers
    assert lure.visits == 0
    assert await assertion_error(ground, party, good) == ""


async def test_no_forged_access_token_opens_a_call(ground: Ground) -> None:
    """A1 makes tokens of its own; RFC 9700 section 2.3, RFC 9068 section 4."""
    party = ground.cast.thief
    good = await ground.token(party)
    public = await gateway_key(ground)
    async with laid() as lure:
        tricks = dict(forgeries(header_in(good), claims_in(good), public, lure.url))
        answers = {trick: await ground.query(party, jwt) for trick, jwt in tricks.items()}
    assert set(answers.values()) == {"TOKEN_INVALID"}, answers
    assert lure.visits == 0
    assert await ground.query(party, good) == SERVED


async def test_no_forged_proof_proves_a_key(ground: Ground) -> None:
    """A7 has a token and wants a proof for it; RFC 9449 sections 4.3 and 11.6."""
    party, prover = ground.cast.keyed, Prover()
    token = await ground.token(party, prover=prover)
    good = prover.proof(ground.method_url, token)
    async with laid() as lure:
        header = header_in(good)
        kept = dict(forgeries(header, claims_in(good), prover.key, lure.url))
        # A key of the thief's own is shown to be the thief's, and the token is not.
        bare = {name: value for name, value in header.items() if name != "jwk"}
        kept |= {
            f"{trick}, no jwk": jwt
            for trick, jwt in forgeries(bare, claims_in(good), prover.key, lure.url)
        }
        answers = {
            trick: await ground.call(
                party.certificate, ("authorization", f"DPoP {token}"), ("dpop", jwt)
            )
            for trick, jwt in kept.items()
        }
    assert set(answers.values()) <= {"TOKEN_PROOF_INVALID", "TOKEN_NOT_YOURS"}, answers
    shown = [trick for trick, answer in answers.items() if answer == "TOKEN_NOT_YOURS"]
    assert shown
    assert all(trick.startswith(("jwk", "kid of its own key")) for trick in shown)
    assert lure.visits == 0
    assert await ground.prove(party, token, prover) == SERVED


async def test_a_jwt_of_one_use_is_good_for_no_other(ground: Ground) -> None:
    """A1a passes on what it was sent; RFC 8725 sections 3.11 and 3.12, RFC 9701 section 8.1."""
    party, prover = ground.cast.victim, Prover()
    token = await ground.token(party)
    assertion = party.assertion(ground.issuer, ground.now())
    proof = prover.proof(f"{ground.issuer}/oauth/token")
    for other in (token, proof):
        assert await assertion_error(ground, party, other) == "invalid_client"
    for other in (assertion, proof):
        assert await ground.query(party, other) == "TOKEN_INVALID"
    for other in (token, assertion):
        answer = await ground.call(
            party.certificate, ("authorization", f"DPoP {token}"), ("dpop", other)
        )
        assert answer == "TOKEN_PROOF_INVALID"


async def test_an_assertion_for_another_server_is_refused(ground: Ground) -> None:
    """A1a, A5: another server replays what a client sent it; RFC 9700 section 2.5."""
    party, issuer = ground.cast.victim, ground.issuer
    elsewhere = "https://other.example"
    audiences: tuple[object, ...] = (
        elsewhere,
        [issuer, elsewhere],
        [issuer],
        f"{issuer}.evil.example",
        f"{issuer}/",
        f"{issuer}/oauth/jwks",
        issuer.upper(),
        "",
        None,
        {"aud": issuer},
    )
    for audience in audiences:
        assertion = party.assertion(issuer, ground.now(), aud=audience)
        assert await assertion_error(ground, party, assertion) == "invalid_client", audience


async def test_a_token_of_another_region_or_resource_is_refused(ground: Ground) -> None:
    """A7: a resource server uses a token at another one; RFC 9700 sections 2.3 and 4.10.2."""
    party = ground.cast.victim
    good = await ground.token(party)
    installation = ground.gateway.installation
    kid = header_in(good)["kid"]
    key = ECKey.import_key((installation.home.keys / f"{kid}.pem").read_bytes())
    changed = [
        {"aud": "urn:another:resource"},
        {"aud": [claims_in(good)["aud"], "urn:another:resource"]},
        {"iss": "https://other.example"},
        {"iss": f"{ground.issuer}/"},
        {"cnf": {}},
        {"cnf": {**claims_in(good)["cnf"], "jkt": "A" * 43}},
        {"client_id": ADMINISTRATOR},
        {"client_id": "nobody"},
    ]
    answers = [
        await ground.query(party, signed(header_in(good), {**claims_in(good), **claims}, key))
        for claims in changed
    ]
    assert answers == ["TOKEN_INVALID"] * 6 + ["CLIENT_NOT_ACTIVE"] * 2
    for typ in ("JWT", "token-introspection+jwt", "licence-statement+jwt", "dpop+jwt", "", None):
        other = signed({**header_in(good), "typ": typ}, claims_in(good), key)
        assert await ground.query(party, other) == "TOKEN_INVALID", typ
    assert await ground.query(party, signed(header_in(good), claims_in(good), key)) == SERVED


async def test_bombs_are_refused_in_form_and_at_once(ground: Ground) -> None:
    """A1 wants the server busy or gone; RFC 8725 section 3.10, RFC 7515 section 10."""
    party, prover = ground.cast.victim, Prover()
    token = await ground.token(party)
    answers: dict[str, str] = {}
    slowest = 0.0

    async def note(kind: str, answer: Awaitable[str]) -> None:
        nonlocal slowest
        started = time.monotonic()
        answers[kind] = await answer
        slowest = max(slowest, time.monotonic() - started)

    good = party.assertion(ground.issuer, ground.now())
    for kind, jwt in bombs(header_in(good), claims_in(good), party.key):
        await note(f"assertion: {kind}", assertion_error(ground, party, jwt))
    for kind, jwt in bombs(header_in(token), claims_in(token), prover.key):
        await note(f"token: {kind}", ground.query(party, jwt))
    proof = prover.proof(ground.method_url, token)
    for kind, jwt in bombs(header_in(proof), claims_in(proof), prover.key):
        metadata = (("authorization", f"DPoP {token}"), ("dpop", jwt))
        await note(f"proof: {kind}", ground.call(party.certificate, *metadata))
    allowed = {
        "assertion": {"invalid_client", "invalid_request"},
        "token": {"TOKEN_INVALID", "RESOURCE_EXHAUSTED"},
        "proof": {"TOKEN_PROOF_INVALID", "TOKEN_NOT_YOURS", "RESOURCE_EXHAUSTED"},
    }
    wrong = {
        kind: answer
        for kind, answer in answers.items()
        if answer not in allowed[kind.partition(":")[0]]
    }
    assert not wrong
    assert slowest < MOST_SECONDS
    assert await ground.query(party, token) == SERVED
