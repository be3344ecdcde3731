"""Mutated requests: of thousands, none is accepted and none breaks the server.

Each run takes other mutations; a failure names the seed that makes them again.
"""

import random
import re
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from gateway.pki.development import Issued
from tests.attacks.ground import GET, READ, SERVED, Ground, Prover
from tests.attacks.inside import Answer
from tests.attacks.mutations import MARK, METADATA_MUTATIONS, Meaning, Sent, mutant
from tests.installation import eventually
from tests.parties import Party

pytestmark = pytest.mark.asyncio(loop_scope="module")

FORM_ERRORS = {
    "invalid_request", "invalid_client", "invalid_grant", "invalid_scope", "invalid_target",
    "unauthorized_client", "unsupported_grant_type", "unsupported_response_type",
    "invalid_request_uri", "invalid_request_object", "invalid_authorization_details",
    "invalid_dpop_proof", "use_dpop_nonce", "invalid_token", "insufficient_scope",
    "invalid_redirect_uri", "invalid_client_metadata", "invalid_software_statement",
    "unapproved_software_statement",
}  # fmt: skip
"""Every error an endpoint may answer a client with."""


def der(certificate: Issued) -> bytes:
    """Return a certificate as the TLS layer gives it."""
    return x509.load_pem_x509_certificate(certificate.certificate).public_bytes(Encoding.DER)


@dataclass(frozen=True)
class Subject:
    """What is mutated.

    ``make`` makes a valid request anew, ``meaning`` tells what it depends on, and
    ``accepts`` whether an answer to a request accepts it.
    """

    make: Callable[[], Awaitable[Sent]]
    meaning: Meaning
    accepts: Callable[[Sent, Answer], bool]


def authenticated(ground: Ground, party: Party) -> tuple[tuple[str, str], ...]:
    """Return the parameters a party authenticates by, good for one request."""
    return tuple(party.authentication(ground.issuer, ground.now()).items())


AUTHENTICATION = Meaning(
    secrets=frozenset({"client_id", "client_assertion", "client_assertion_type"}),
    needed=frozenset({"client_assertion"}),
    jwts=frozenset({"client_assertion"}),
)


def depending_on(*secret: str, shaped: tuple[str, ...] = ()) -> Meaning:
    """Return the meaning of a request of an authenticated client."""
    return Meaning(
        secrets=AUTHENTICATION.secrets | set(secret),
        needed=AUTHENTICATION.needed | set(secret),
        shaped=frozenset(shaped),
        jwts=AUTHENTICATION.jwts,
    )


async def valid(ground: Ground, subject: Subject) -> bool:
    """Tell whether a valid request is accepted."""
    sent = await subject.make()
    return subject.accepts(sent, await ground.inside.ask(sent))


async def assault(ground: Ground, subject: Subject, count: int, *, spent: bool = False) -> None:
    """Send ``count`` mutants; the valid request is accepted before and after them.

    Unless it is ``spent`` by that: then the caller shows that the mutants had no effect.
    """
    seed = secrets.randbits(32)
    chance = random.Random(seed)
    strangers = (None, der(ground.cast.rival.certificate))
    assert spent or await valid(ground, subject)
    for number in range(count):
        name, sent = mutant(chance, await subject.make(), subject.meaning, strangers)
        answer = await ground.inside.ask(sent)
        wrong = fault(subject, sent, answer)
        assert not wrong, f"seed {seed}, number {number}, {name}: {wrong}\n{sent}\n{answer}"
    assert spent or await valid(ground, subject)


def fault(subject: Subject, sent: Sent, answer: Answer) -> str:
    """Return what is wrong with an answer to a mutant, "" when it is refused in form."""
    if subject.accepts(sent, answer):
        return "it was accepted"
    if answer.status >= 500:
        return "it broke the server"
    # RFC 9700 section 4.12: what was posted must not be posted elsewhere.
    if answer.status in (307, 308):
        return "it was sent on"
    if MARK in answer.text:
        return "a hostile value came back"
    if answer.status not in (404, 405) and "no-store" not in answer.headers.get(
        "cache-control", ""
    ):
        return "the answer may be stored"
    if answer.status in (404, 405) or answer.status < 400:
        return ""
    named = any(f'"{error}"' in answer.text for error in FORM_ERRORS)
    return "" if named else "it was refused out of form"


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
