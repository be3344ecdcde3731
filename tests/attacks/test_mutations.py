"""Mutated requests: of thousands, none is accepted and none breaks the server.

Each run takes other mutations; a failure names the seed that makes them again.
"""

import random
import re
import secrets
from dataclasses import replace

import pytest

from tests.attacks.assault import (
    FORM_ERRORS,
    Subject,
    assault,
    authenticated,
    depending_on,
    der,
    valid,
)
from tests.attacks.ground import GET, READ, SERVED, Ground, Prover
from tests.attacks.inside import Answer
from tests.attacks.mutations import METADATA_MUTATIONS, Meaning, Sent, mutant
from tests.installation import eventually

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_no_mutated_token_request_is_accepted(ground: Ground) -> None:
    party = ground.cast.victim

    async def make() -> Sent:
        form = (
            ("grant_type", "client_credentials"),
            ("scope", READ),
            *authenticated(ground, party),
        )
        return Sent("POST", "/oauth/token", form, certificate=der(party.certificate))

    meaning = depending_on("grant_type", shaped=("scope",))
    subject = Subject(make, meaning, lambda _, answer: answer.status == 200)
    await assault(ground, subject, 1_200)


async def test_no_mutated_introspection_tells_of_a_token(ground: Ground) -> None:
    party = ground.cast.victim
    token = await ground.token(party)

    async def make() -> Sent:
        form = (*authenticated(ground, party), ("token", token))
        return Sent("POST", "/oauth/introspect", form, certificate=der(party.certificate))

    meaning = depending_on("token")
    subject = Subject(make, meaning, lambda _, answer: b'"active":true' in answer.body)
    await assault(ground, subject, 600)


async def test_no_mutated_revocation_revokes(ground: Ground) -> None:
    party = ground.cast.victim
    token = await ground.token(party)

    async def make() -> Sent:
        form = (*authenticated(ground, party), ("token", token))
        return Sent("POST", "/oauth/revoke", form, certificate=der(party.certificate))

    whole = re.compile(rf"(^|&)token={re.escape(token)}(&|$)".encode())

    def accepts(sent: Sent, answer: Answer) -> bool:
        # Section 2.2 of RFC 7009: what is no token is answered as one that was revoked.
        return answer.status == 200 and whole.search(sent.body) is not None

    subject = Subject(make, depending_on("token"), accepts)
    await assault(ground, subject, 600, spent=True)
    assert await ground.query(party, token) == SERVED
    assert await valid(ground, subject)

    async def revoked() -> bool:
        return await ground.query(party, token) == "TOKEN_REVOKED"

    await eventually(revoked)


SCHEMES = ("", "Basic ", "Token ", "BearerX ", "Bearer  ", "Bearer,", "DPoPX ", "Negotiate ")


def mutated_metadata(chance: random.Random, sent: Sent, meaning: Meaning) -> Sent:
    """Return a mutant of a call's metadata that gRPC can send."""
    while True:
        made = chance.choice(METADATA_MUTATIONS)(chance, sent, meaning)
        if made is not None and chance.random() < 0.05:
            token = dict(sent.headers)["authorization"].partition(" ")[2]
            others = [pair for pair in sent.headers if pair[0] != "authorization"]
            named = ("authorization", chance.choice(SCHEMES) + token)
            made = replace(sent, headers=(named, *others))
        if made is None or made.headers == sent.headers:
            continue
        if all(value.isascii() and value.isprintable() for _, value in made.headers):
            return made


@pytest.mark.parametrize("bound_by", ["certificate", "key"])
async def test_no_call_with_mutated_metadata_is_served(ground: Ground, bound_by: str) -> None:
    party = ground.cast.victim if bound_by == "certificate" else ground.cast.keyed
    prover = Prover()
    token = await ground.token(party, prover=prover if bound_by == "key" else None)
    names = frozenset({"authorization", "dpop"} if bound_by == "key" else {"authorization"})
    meaning = Meaning(secrets=names, needed=names, jwts=names)
    seed = secrets.randbits(32)
    chance = random.Random(seed)

    def valid_metadata() -> Sent:
        if bound_by == "certificate":
            return Sent("POST", GET, headers=(("authorization", f"Bearer {token}"),))
        proof = prover.proof(ground.method_url, token)
        return Sent("POST", GET, headers=(("authorization", f"DPoP {token}"), ("dpop", proof)))

    assert await ground.call(party.certificate, *valid_metadata().headers) == SERVED
    for number in range(600):
        sent = mutated_metadata(chance, valid_metadata(), meaning)
        answer = await ground.call(party.certificate, *sent.headers)
        assert answer.startswith("TOKEN_"), f"seed {seed}, number {number}: {answer}\n{sent}"
    assert await ground.call(party.certificate, *valid_metadata().headers) == SERVED


async def test_mutated_token_requests_are_refused_over_real_tls_alike(ground: Ground) -> None:
    party = ground.cast.victim
    client = await ground.https(party.certificate)
    seed = secrets.randbits(32)
    chance = random.Random(seed)
    meaning = replace(depending_on("grant_type", shaped=("scope",)), bound=False)
    for number in range(150):
        form = (
            ("grant_type", "client_credentials"),
            *authenticated(ground, party),
            ("scope", READ),
        )
        name, sent = mutant(chance, Sent("POST", "/oauth/token", form), meaning, ())
        if name in ("path", "method"):
            continue
        headers = {"content-type": sent.content_type} if sent.content_type else {}
        answer = await client.post(sent.path, content=sent.body, headers=headers)
        assert answer.status_code in (400, 401, 413), f"seed {seed}, number {number}: {sent}"
        assert answer.json()["error"] in FORM_ERRORS
