"""Software statements: only this server's, unaltered, of their own type."""

import json
from base64 import urlsafe_b64decode

import pytest
from authlib.oauth2.rfc7591 import InvalidSoftwareStatementError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from joserfc.jwk import ECKey

from gateway.oauth.rotation import retire_signing_key
from gateway.oauth.software_statement import TYPE, read_statement
from tests.oauth.assertions import signed
from tests.oauth.licensed import SOFTWARE, STATEMENT_SECONDS, issued, license_operator
from tests.oauth.world import OPERATOR, World

ISSUER = "https://gateway.test"


@pytest.fixture
def statement(world: World) -> str:
    """A statement as issued."""
    license_operator(world)
    return issued(world, ISSUER)


def refused(world: World, text: str, *, issuer: str = ISSUER, later: int = 0) -> str:
    """Return why a statement is refused."""
    with pytest.raises(InvalidSoftwareStatementError) as error:
        read_statement(text, world.snapshot().signing_keys, issuer, world.clock.now() + later)
    assert error.value.description is not None
    return error.value.description


def forged(world: World, statement: str, **header: object) -> str:
    """Return the statement's claims, signed by a key of the forger's own."""
    body = statement.split(".")[1]
    claims = json.loads(urlsafe_b64decode(body + "=="))
    kid = next(iter(world.snapshot().signing_keys))
    fields = {"alg": "ES256", "typ": TYPE, "kid": kid, **header}
    return signed(claims, ECKey.generate_key("P-256"), **fields)


def test_a_statement_says_whose_it_is(world: World, statement: str) -> None:
    now = world.clock.now()
    claims = read_statement(statement, world.snapshot().signing_keys, ISSUER, now)
    assert (claims.sub, claims.licence, claims.software_id) == (OPERATOR, "L-1", SOFTWARE)
    assert (claims.iss, claims.aud, claims.exp) == (ISSUER, ISSUER, now + STATEMENT_SECONDS)


def test_another_keys_signature_is_refused(world: World, statement: str) -> None:
    refused(world, forged(world, statement))
    refused(world, forged(world, statement, kid="../../etc/passwd"))
    own = ECKey.generate_key("P-256")
    refused(world, forged(world, statement, jwk=own.as_dict(private=False)))


def test_an_access_token_is_no_statement(world: World, statement: str) -> None:
    now, view = world.clock.now(), world.snapshot()
    claims = json.loads(urlsafe_b64decode(statement.split(".")[1] + "=="))
    token = world.keys.sign(view.signing_keys, claims, "at+jwt", now)
    assert TYPE in refused(world, token)


def test_another_servers_statement_is_refused(world: World, statement: str) -> None:
    assert "another server" in refused(world, statement, issuer="https://other.test")


def test_a_statement_ends_at_its_end(world: World, statement: str) -> None:
    refused(world, statement, later=STATEMENT_SECONDS)
    view = world.snapshot()
    read_statement(statement, view.signing_keys, ISSUER, world.clock.now() + STATEMENT_SECONDS - 1)


def test_a_statement_ends_with_the_key_that_signed_it(world: World, statement: str) -> None:
    (kid,) = world.snapshot().signing_keys
    world.issue_key()
    retire_signing_key(
        world.log,
        world.keys,
        world.snapshot().signing_keys,
        kid,
        changed_by="office",
        now=world.clock.now() + 1_000,
        reason="test",
    )
    refused(world, statement)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_whatever_is_changed_in_a_statement_it_is_refused(
    world: World, statement: str, data: st.DataObject
) -> None:
    place = data.draw(st.integers(0, statement.rindex(".") - 1))
    sign = data.draw(st.characters(exclude_characters=statement[place]))
    refused(world, statement[:place] + sign + statement[place + 1 :])
