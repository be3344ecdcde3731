"""Clients that authenticate by certificate alone (RFC 8705 section 2, tls_client_auth)."""

import httpx
import pytest

from gateway.pki.development import Issued
from tests.oauth.assertions import good_form
from tests.oauth.code_flow import error_of
from tests.oauth.test_code_flow import claims_in
from tests.oauth.world import CLIENT, World

MACHINE = {"grant_type": "client_credentials", "client_id": CLIENT}


@pytest.fixture
def certified(world: World) -> World:
    """A world whose client authenticates by its certificate."""
    world.change("client", CLIENT, authentication="tls_client_auth")
    return world


async def _ask(world: World, form: dict[str, str], certificate: Issued | None) -> httpx.Response:
    async with world.serving() as issuer:
        return await world.post(issuer, form, certificate)


async def test_certificate_and_client_id_are_enough(certified: World) -> None:
    response = await _ask(certified, MACHINE, certified.identity.certificate)
    assert response.status_code == 200, response.text
    cnf = claims_in(response.json()["access_token"])["cnf"]
    assert cnf == {"x5t#S256": certified.identity.certificate.thumbprint}


async def test_certificate_of_another_or_none_is_refused(certified: World) -> None:
    for certificate in (None, certified.administrator.certificate):
        assert error_of(await _ask(certified, MACHINE, certificate)) == (400, "invalid_client")
    unnamed = {"grant_type": "client_credentials"}
    answer = await _ask(certified, unnamed, certified.identity.certificate)
    assert error_of(answer) == (400, "invalid_client")
    unknown = {**MACHINE, "client_id": "nobody"}
    answer = await _ask(certified, unknown, certified.identity.certificate)
    assert error_of(answer) == (400, "invalid_client")


async def test_client_authenticates_the_way_it_is_registered_for_and_no_other(
    certified: World,
) -> None:
    async with certified.serving() as issuer:
        own = certified.identity.certificate
        form = good_form(certified.identity, issuer, certified.clock.now(), client_id=CLIENT)
        assert error_of(await certified.post(issuer, form, own)) == (400, "invalid_client")
        del form["client_assertion_type"]
        assert error_of(await certified.post(issuer, form, own)) == (400, "invalid_client")
        certified.change("client", CLIENT, authentication="private_key_jwt")
        for certificate in (own, None):
            answer = await certified.post(issuer, MACHINE, certificate)
            assert error_of(answer) == (400, "invalid_client")
            assert "certificate" not in answer.json()["error_description"]
        form = good_form(certified.identity, issuer, certified.clock.now(), client_id=CLIENT)
        assert (await certified.post(issuer, form, own)).status_code == 200
