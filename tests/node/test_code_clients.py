"""openid-client, certified for FAPI 2.0, in the code flow: PAR, PKCE, iss, refresh, JAR, JARM."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest
import pytest_asyncio

from gateway.oauth.interactions import Approval
from tests.attacks.inside import Inside, seen_inside
from tests.installation import PUBLISHER, Gateway, company, furnished
from tests.node.code_flow import sent_to, told
from tests.node.conftest import NodeCommand
from tests.parties import REDIRECT, WITH_CODE, Party, claims_in, enrolled
from tests.server.calls import draft, publish
from tests.stores import SqliteStores

pytestmark = pytest.mark.asyncio(loop_scope="module")

SUBJECT = company(1)
PERSON = "representative:legal-person"
EVERY_KIND: dict[str, dict[str, Any]] = {
    "node-mtls": {"algorithm": "PS256"},
    "node-tls-client-auth": {"authentication": "tls_client_auth"},
    "node-dpop": {"binding": "dpop", "behind_proxy": True, "algorithm": "EdDSA"},
}
PARTIES: dict[str, dict[str, Any]] = {
    **EVERY_KIND,
    "node-signed": {"signed_requests": True},
    "node-details": {},
    "node-denied": {},
    "node-mixed-up": {},
}


@dataclass(frozen=True)
class Person:
    """Who decides at a gateway, with pages left out."""

    gateway: Gateway
    inside: Inside

    async def approve(self, url: str) -> str:
        """Approve all that is asked for, and return where the browser goes."""
        interactions = self.inside.interactions
        interaction_id = await sent_to(self.gateway, url)
        asked = await asyncio.to_thread(interactions.asked, interaction_id)
        assert asked is not None
        now = self.gateway.installation.clock.now()
        approval = Approval(PERSON, asked.scopes, asked.details, now, "urn:test:acr")
        back = await asyncio.to_thread(interactions.approve, interaction_id, approval)
        assert back is not None
        return back

    async def deny(self, url: str) -> str:
        """Deny, and return where the browser goes."""
        interaction_id = await sent_to(self.gateway, url)
        back = await asyncio.to_thread(self.inside.interactions.deny, interaction_id)
        assert back is not None
        return back


@dataclass(frozen=True)
class Served:
    """A gateway that discloses a record of the subject, its clients by name, and who decides."""

    gateway: Gateway
    parties: dict[str, Party]
    person: Person


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def served(sqlite_stores: SqliteStores) -> AsyncIterator[Served]:
    with (
        furnished(sqlite_stores) as installation,
        pytest.MonkeyPatch.context() as patch,
        seen_inside(patch) as inside,
    ):
        parties = {
            name: enrolled(installation, name, grant_types=WITH_CODE, **kind)
            for name, kind in PARTIES.items()
        }
        async with installation.running() as gateway:
            async with gateway.channel(PUBLISHER) as channel:
                await publish(channel, [draft("r-1", SUBJECT)])
            yield Served(gateway, parties, Person(gateway, inside))


def assert_served(call: dict[str, Any]) -> None:
    """Check that a query was answered with the record."""
    assert "refusal" not in call
    assert [record["subject"] for record in call["answer"]["records"]] == [SUBJECT]


@pytest.mark.parametrize("party", EVERY_KIND)
async def test_a_certified_client_goes_from_pushed_request_to_revocation(
    served: Served, node_command: NodeCommand, party: str
) -> None:
    answer = await told(
        node_command, served.gateway, served.parties[party], served.person.approve, subject=SUBJECT
    )
    assert "error" not in answer
    asked = dict(parse_qsl(urlsplit(answer["authorization_url"]).query))
    assert set(asked) == {"client_id", "request_uri"}
    claims = claims_in(answer["token"]["access_token"])
    assert (claims["sub"], claims["client_id"]) == (PERSON, party)
    assert claims["grant_id"] == answer["token"]["grant_id"]
    assert_served(answer["call"])
    assert_served(answer["call_refreshed"])
    # FAPI 2.0 section 5.3.2.1, point 9: refresh tokens are not rotated.
    assert "refresh_token" not in answer["refreshed"]
    assert answer["call_after"]["refusal"]["reason"] == "TOKEN_REVOKED"


async def test_a_certified_client_signs_its_request_and_reads_a_signed_response(
    served: Served, node_command: NodeCommand
) -> None:
    answer = await told(
        node_command,
        served.gateway,
        served.parties["node-signed"],
        served.person.approve,
        subject=SUBJECT,
        signed_responses=True,
    )
    assert "error" not in answer
    back = dict(parse_qsl(urlsplit(answer["came_back_to"]).query))
    assert set(back) == {"response"}
    assert claims_in(back["response"])["iss"] == answer_issuer(answer)
    assert_served(answer["call"])


def answer_issuer(answer: dict[str, Any]) -> str:
    """Return the issuer of the authorisation URL."""
    url = urlsplit(answer["authorization_url"])
    return f"{url.scheme}://{url.netloc}"


async def test_a_certified_client_gets_the_details_it_asked_for(
    served: Served, node_command: NodeCommand
) -> None:
    details = [{"type": "public_credit_data", "subjects": [SUBJECT]}]
    answer = await told(
        node_command,
        served.gateway,
        served.parties["node-details"],
        served.person.approve,
        subject=SUBJECT,
        authorization_details=details,
    )
    assert "error" not in answer
    (detail,) = answer["token"]["authorization_details"]
    assert (detail["type"], detail["subjects"]) == ("public_credit_data", [SUBJECT])
    assert_served(answer["call"])


@pytest.mark.parametrize("signed", [False, True])
async def test_a_certified_client_is_told_of_a_denial(
    served: Served, node_command: NodeCommand, signed: bool
) -> None:
    party, deny = served.parties["node-denied"], served.person.deny
    answer = await told(node_command, served.gateway, party, deny, signed_responses=signed)
    assert answer["error"]["error"] == "access_denied"


@pytest.mark.parametrize(
    "changed", [{"iss": "https://other.example"}, {"iss": None}, {"state": "another"}], ids=str
)
async def test_a_certified_client_takes_no_response_of_another_server_or_session(
    served: Served, node_command: NodeCommand, changed: dict[str, str | None]
) -> None:
    async def mixed_up(url: str) -> str:
        back = dict(parse_qsl(urlsplit(await served.person.approve(url)).query))
        kept = {name: value for name, value in {**back, **changed}.items() if value}
        return f"{REDIRECT}?{urlencode(kept)}"

    answer = await told(node_command, served.gateway, served.parties["node-mixed-up"], mixed_up)
    assert answer["error"]["code"] == "OAUTH_INVALID_RESPONSE"
    assert "token" not in answer
