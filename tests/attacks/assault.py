"""Sending mutants of a valid request, and what an answer to one must not be."""

import json
import random
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from gateway.pki.development import Issued
from tests.attacks.ground import Ground
from tests.attacks.inside import Answer
from tests.attacks.mutations import MARK, Meaning, Sent, mutant
from tests.parties import Party

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


def depending_on(
    *secret: str,
    shaped: tuple[str, ...] = (),
    needed: tuple[str, ...] = (),
    jwts: tuple[str, ...] = (),
) -> Meaning:
    """Return the meaning of a request of an authenticated client; see `Meaning`."""
    return Meaning(
        secrets=AUTHENTICATION.secrets | set(secret),
        needed=AUTHENTICATION.needed | set(secret) | set(needed),
        shaped=frozenset(shaped),
        jwts=AUTHENTICATION.jwts | set(jwts),
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
    return "" if _in_form(answer) else "it was refused out of form"


def _in_form(answer: Answer) -> bool:
    if answer.headers["content-type"].startswith("text/html"):
        # A person's browser: it is sent nowhere (RFC 9700 section 4.11.2).
        return "location" not in answer.headers
    return json.loads(answer.body)["error"] in FORM_ERRORS
