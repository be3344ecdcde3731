"""openid-client, certified for FAPI 2.0, drives the gateway machine to machine."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any

import pytest
import pytest_asyncio

from tests.installation import PUBLISHER, Gateway, company, furnished
from tests.node.conftest import NodeClient
from tests.parties import Party, claims_in, enrolled
from tests.server.calls import draft, publish
from tests.stores import SqliteStores

pytestmark = pytest.mark.asyncio(loop_scope="module")

SUBJECT = company(1)
PARTIES: dict[str, dict[str, Any]] = {
    "node-es256": {"algorithm": "ES256"},
    "node-ps256": {"algorithm": "PS256"},
    "node-eddsa": {"algorithm": "EdDSA"},
    "node-tls": {"authentication": "tls_client_auth"},
    "node-dpop": {"binding": "dpop"},
    "node-proxied": {"binding": "dpop", "behind_proxy": True},
    "node-revoking-mtls": {"binding": "mtls"},
    "node-revoking-dpop": {"binding": "dpop"},
    "node-stranger": {},
    "node-other": {},
    "node-resource": {"binding": "dpop"},
}


@dataclass(frozen=True)
class Served:
    """A gateway that discloses a record of the subject, and its clients by name."""

    gateway: Gateway
    parties: Mapping[str, Party]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def served(sqlite_stores: SqliteStores) -> AsyncIterator[Served]:
    with furnished(sqlite_stores) as installation:
        parties = {name: enrolled(installation, name, **kind) for name, kind in PARTIES.items()}
        async with installation.running() as gateway:
            async with gateway.channel(PUBLISHER) as channel:
                await publish(channel, [draft("r-1", SUBJECT)])
            yield Served(gateway, parties)


async def told(node_client: NodeClient, served: Served, party: str, **more: Any) -> dict[str, Any]:
    """Run the client as a party and return what each of its steps gave."""
    its = served.parties[party]
    file = its.folder / "party.json"
    file.write_text(json.dumps(its.document(served.gateway, subject=SUBJECT, **more)))
    done = await asyncio.to_thread(node_client, "machine_client.mjs", file)
    assert done.returncode in (0, 2), done.stderr
    return json.loads(done.stdout)


def assert_served(call: dict[str, Any]) -> None:
    """Check that a query was answered with the record."""
    assert "refusal" not in call
    assert [record["subject"] for record in call["answer"]["records"]] == [SUBJECT]


@pytest.mark.parametrize("party", ["node-es256", "node-ps256", "node-eddsa"])
async def test_a_certified_client_signs_with_each_algorithm_and_is_served(
    served: Served, node_client: NodeClient, party: str
) -> None:
    answer = await told(node_client, served, party)
    assert "error" not in answer
    assert answer["metadata"]["issuer"] == served.gateway.running.issuer
    assert answer["token"]["token_type"] == "bearer"
    assert_served(answer["call"])


async def test_a_certified_client_authenticates_by_its_certificate_alone(
    served: Served, node_client: NodeClient
) -> None:
    answer = await told(node_client, served, "node-tls")
    assert "error" not in answer
    assert_served(answer["call"])


@pytest.mark.parametrize("party", ["node-dpop", "node-proxied"])
async def test_a_certified_client_proves_its_key_with_the_servers_nonces(
    served: Served, node_client: NodeClient, party: str
) -> None:
    answer = await told(node_client, served, party)
    assert "error" not in answer
    assert answer["token"]["token_type"] == "dpop"
    assert set(claims_in(answer["token"]["access_token"])["cnf"]) == {"jkt"}
    assert_served(answer["call"])


@pytest.mark.parametrize("party", ["node-revoking-mtls", "node-revoking-dpop"])
async def test_a_revoked_token_is_inactive_and_opens_nothing(
    served: Served, node_client: NodeClient, party: str
) -> None:
    answer = await told(node_client, served, party, lifecycle=True)
    assert "error" not in answer
    assert_served(answer["call"])
    assert answer["introspection"]["active"] is True
    assert answer["introspection"]["client_id"] == party
    assert answer["introspection_after"] == {"active": False}
    assert answer["call_after"]["refusal"]["reason"] == "TOKEN_REVOKED"


async def test_a_certified_client_is_told_why_it_gets_no_token(
    served: Served, node_client: NodeClient
) -> None:
    other = served.parties["node-other"].key.as_pem(private=True)
    (served.parties["node-stranger"].folder / "signing.pem").write_bytes(other)
    answer = await told(node_client, served, "node-stranger")
    assert (answer["error"]["error"], answer["error"]["status"]) == ("invalid_client", 400)


async def test_a_resource_server_can_validate_tokens_and_signed_introspection(
    served: Served, node_client: NodeClient
) -> None:
    gateway, party = served.gateway, served.parties["node-resource"]
    file = party.folder / "party.json"
    audience = gateway.installation.config.audience
    file.write_text(json.dumps(party.document(gateway, audience=audience)))
    done = await asyncio.to_thread(node_client, "low_level_client.mjs", file)
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert answer["claims"]["client_id"] == "node-resource"
    assert answer["introspection"]["type"].startswith("application/token-introspection+jwt")
    assert answer["introspection"]["answer"]["active"] is True
    assert answer["introspection"]["answer"]["cnf"] == answer["claims"]["cnf"]
