"""Mutated requests of the code flow, of exchange, grants and registration."""

import json
import random
import secrets
from dataclasses import replace
from functools import cache
from typing import Any

import pytest
from joserfc.jwk import OctKey

from creditgate.v1 import registration_service_pb2 as registration_pb
from creditgate.v1 import registration_service_pb2_grpc as registration_grpc
from gateway.pki.development import make_client_certificate
from operators.model import TOKEN_EXCHANGE
from tests.attacks.assault import Subject, assault, authenticated, depending_on, der, fault, valid
from tests.attacks.code_flow import approved, parameters, pushed, redeem
from tests.attacks.ground import READ, WEB, Ground
from tests.attacks.inside import Answer
from tests.attacks.mutations import HOSTILE, MARK, Meaning, Sent, flipped
from tests.installation import ADMINISTRATOR, OPERATOR_ID
from tests.parties import new_key

pytestmark = pytest.mark.asyncio(loop_scope="module")

ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token"
DETAILS = '[{"type":"public_credit_data","regions":["110000"]}]'


def succeeded(_: Sent, answer: Answer) -> bool:
    """Tell whether an answer gives what was asked for."""
    return answer.status in (200, 201)


async def test_no_mutated_request_is_pushed(ground: Ground) -> None:
    party = ground.cast.victim

    async def make() -> Sent:
        asked = parameters("s" * 22, "v" * 43, redirect_uri=WEB, authorization_details=DETAILS)
        form = (*asked.items(), *authenticated(ground, party))
        return Sent("POST", "/oauth/par", form, certificate=der(party.certificate))

    meaning = depending_on(
        "response_type",
        "redirect_uri",
        "code_challenge_method",
        shaped=("code_challenge", "scope", "authorization_details"),
        needed=("code_challenge",),
    )
    await assault(ground, Subject(make, meaning, succeeded), 1_000)


async def test_no_mutated_visit_opens_a_request(ground: Ground) -> None:
    request = await pushed(ground, ground.cast.victim)
    query = (("client_id", request.party.client_id), ("request_uri", request.request_uri))

    async def make() -> Sent:
        return Sent("GET", "/oauth/authorize", query=query)

    names = frozenset(dict(query))
    meaning = Meaning(secrets=names, needed=names, bound=False)
    subject = Subject(make, meaning, lambda _, answer: "location" in answer.headers)
    await assault(ground, subject, 600)


async def test_no_mutated_request_redeems_a_code(ground: Ground) -> None:
    request = await pushed(ground, ground.cast.victim)
    asked = {
        "grant_type": "authorization_code",
        "code": (await approved(ground, request))["code"],
        "redirect_uri": parameters("", "")["redirect_uri"],
        "code_verifier": request.verifier,
    }

    async def make() -> Sent:
        form = (*asked.items(), *authenticated(ground, request.party))
        return Sent("POST", "/oauth/token", form, certificate=der(request.party.certificate))

    subject = Subject(make, depending_on(*asked), succeeded)
    await assault(ground, subject, 800, spent=True)
    # None of the mutants used the code up.
    assert await valid(ground, subject)


async def granted(ground: Ground) -> dict[str, Any]:
    """Return the token response of a code flow."""
    request = await pushed(ground, ground.cast.victim)
    return (await redeem(ground, request, (await approved(ground, request))["code"])).json()


async def test_no_mutated_request_refreshes(ground: Ground) -> None:
    party = ground.cast.victim
    token = (await granted(ground))["refresh_token"]

    async def make() -> Sent:
        asked = {"grant_type": "refresh_token", "refresh_token": token, "scope": READ}
        form = (*asked.items(), *authenticated(ground, party))
        return Sent("POST", "/oauth/token", form, certificate=der(party.certificate))

    meaning = depending_on("grant_type", "refresh_token", shaped=("scope",))
    await assault(ground, Subject(make, meaning, succeeded), 600)


async def test_no_mutated_request_exchanges_a_token(ground: Ground) -> None:
    party = ground.cast.victim
    token = await ground.token(party)

    async def make() -> Sent:
        asked = {
            "grant_type": TOKEN_EXCHANGE,
            "subject_token": token,
            "subject_token_type": ACCESS_TOKEN,
            "scope": READ,
        }
        form = (*asked.items(), *authenticated(ground, party))
        return Sent("POST", "/oauth/token", form, certificate=der(party.certificate))

    meaning = depending_on(
        "grant_type",
        "subject_token",
        "subject_token_type",
        shaped=("scope",),
        jwts=("subject_token",),
    )
    await assault(ground, Subject(make, meaning, succeeded), 600)


async def test_no_mutated_request_reads_a_grant(ground: Ground) -> None:
    party = ground.cast.victim
    grant_id = (await granted(ground))["grant_id"]
    token = await ground.token(party, "grant_management_query")

    async def make() -> Sent:
        return Sent(
            "GET",
            f"/oauth/grants/{grant_id}",
            headers=(("authorization", f"Bearer {token}"),),
            certificate=der(party.certificate),
        )

    names = frozenset({"authorization"})
    meaning = Meaning(secrets=names, needed=names, jwts=names)
    await assault(ground, Subject(make, meaning, succeeded), 500)


def mutated_document(chance: random.Random, document: dict[str, Any]) -> bytes:
    """Return a registration that must not be taken, made of one that must."""
    needed = ("client_name", "token_endpoint_auth_method", "jwks", "software_statement")
    never: dict[str, Any] = {
        "jwks": [{}, {"keys": []}, {"keys": [{}]}, {"keys": _secret_keys()}, "jwks", [], None],
        "client_name": [None, 1, [], {}, "", "x" * 10_000, MARK + "\0"],
        "token_endpoint_auth_method": ["none", "client_secret_basic", MARK, None, 1, []],
        "grant_types": ["implicit", ["implicit"], ["password"], [MARK], None, 1, [[]], []],
        "redirect_uris": [["https://x.example/#y"], [MARK], ["javascript:x"], 1, None, [[]]],
        "tls_client_certificate_bound_access_tokens": [False, "true", 1, None, []],
        "dpop_bound_access_tokens": [True, "x"],
        "software_id": [MARK, 1, []],
        "scope": ["operators:create", MARK, 1, []],
        "jwks_uri": ["https://evil.example/jwks"],
        "client_secret": [MARK],
    }
    kind = chance.randrange(4)
    if kind == 0:
        gone = chance.choice(needed)
        return json.dumps({name: document[name] for name in document if name != gone}).encode()
    if kind == 1:
        name = chance.choice(sorted(never))
        return json.dumps({**document, name: chance.choice(never[name])}).encode()
    if kind == 2:
        statement = document["software_statement"]
        change = chance.choice((flipped(chance, statement), statement[:-9], chance.choice(HOSTILE)))
        return json.dumps({**document, "software_statement": change}).encode()
    whole = json.dumps(document).encode()
    return chance.choice(
        (
            whole[: chance.randrange(len(whole))],
            whole[:-1] + b',"client_name":"again"}',
            b"[" + whole + b"]",
            b"[" * 5_000,
            b'{"a":' * 3_000,
            whole[:-1] + b',"x":"' + b"y" * 20_000 + b'"}',
            bytes(chance.randrange(256) for _ in range(64)),
            whole.replace(b'"jwks"', b'"\\ud800"'),
        )
    )


@cache
def _secret_keys() -> list[dict[str, Any]]:
    return [
        dict(new_key("ES256").as_dict(private=True)),
        dict(OctKey.generate_key(256).as_dict(private=True)),
        # Too short for the profile: 1024 bits.
        {"kty": "RSA", "n": "_" * 171, "e": "AQAB"},
    ]


async def test_no_mutated_registration_registers(ground: Ground) -> None:
    installation = ground.gateway.installation
    now = ground.now()
    certificate = make_client_certificate(installation.home.development_ca(), "newcomer", now)
    async with ground.gateway.channel(ADMINISTRATOR) as channel:
        issued: registration_pb.IssueSoftwareStatementResponse = (
            await registration_grpc.RegistrationServiceStub(channel).IssueSoftwareStatement(
                registration_pb.IssueSoftwareStatementRequest(
                    operator_id=OPERATOR_ID,
                    licence_number="L-ALPHA",
                    software_id="checker",
                    reason="test",
                )
            )
        )
    key = new_key("ES256").as_dict(private=False)
    document = {
        "client_name": "Invented Checker",
        "token_endpoint_auth_method": "private_key_jwt",
        "grant_types": ["client_credentials"],
        "jwks": {"keys": [key]},
        "tls_client_certificate_bound_access_tokens": True,
        "software_statement": issued.software_statement,
    }
    whole = Sent(
        "POST",
        "/oauth/register",
        certificate=der(certificate),
        content_type="application/json",
        raw=json.dumps(document).encode(),
    )

    async def make() -> Sent:
        return whole

    subject = Subject(make, Meaning(), succeeded)
    seed = secrets.randbits(32)
    chance = random.Random(seed)
    for number in range(600):
        sent = replace(whole, raw=mutated_document(chance, document))
        if chance.random() < 0.1:
            sent = replace(whole, certificate=None)
        answer = await ground.inside.ask(sent)
        wrong = fault(subject, sent, answer)
        assert not wrong, f"seed {seed}, number {number}: {wrong}\n{sent}\n{answer}"
    # None of the mutants used the statement up.
    assert await valid(ground, subject)
    assert not await valid(ground, subject)
