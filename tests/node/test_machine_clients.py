"""openid-client, certified for FAPI 2.0, drives the gateway machine to machine."""

import asyncio
import json
from typing import Any

import pytest

from tests.installation import PUBLISHER, Gateway, Installation, company
from tests.node.conftest import NodeClient
from tests.parties import Algorithm, Party, claims_in, enrolled
from tests.server.calls import draft, publish

SUBJECT = company(1)


async def told(
    node_client: NodeClient, gateway: Gateway, party: Party, **more: Any
) -> dict[str, Any]:
    """Run the client as ``party`` and return what each of its steps gave."""
    async with gateway.channel(PUBLISHER) as channel:
        await publish(channel, [draft("r-1", SUBJECT)])
    file = party.folder / "party.json"
    file.write_text(json.dumps(party.document(gateway, subject=SUBJECT, **more)))
    done = await asyncio.to_thread(node_client, "machine_client.mjs", file)
    assert done.returncode in (0, 2), done.stderr
    return json.loads(done.stdout)


def assert_served(call: dict[str, Any]) -> None:
    """Check that a query was answered with the record."""
    assert "refusal" not in call
    assert [record["subject"] for record in call["answer"]["records"]] == [SUBJECT]


@pytest.mark.parametrize("algorithm", ["ES256", "PS256", "EdDSA"])
async def test_a_certified_client_signs_with_each_algorithm_and_is_served(
    embedded: Installation, node_client: NodeClient, algorithm: Algorithm
) -> None:
    party = enrolled(embedded, f"node-{algorithm.lower()}", algorithm=algorithm)
    async with embedded.running() as gateway:
        answer = await told(node_client, gateway, party)
    assert "error" not in answer
    assert answer["metadata"]["issuer"] == gateway.running.issuer
    assert answer["token"]["token_type"] == "bearer"
    assert_served(answer["call"])


async def test_a_certified_client_authenticates_by_its_certificate_alone(
    embedded: Installation, node_client: NodeClient
) -> None:
    party = enrolled(embedded, "node-tls", authentication="tls_client_auth")
    async with embedded.running() as gateway:
        answer = await told(node_client, gateway, party)
    assert "error" not in answer
    assert_served(answer["call"])


@pytest.mark.parametrize("behind_proxy", [False, True])
async def test_a_certified_client_proves_its_key_with_the_servers_nonces(
    embedded: Installation, node_client: NodeClient, behind_proxy: bool
) -> None:
    party = enrolled(embedded, "node-dpop", binding="dpop", behind_proxy=behind_proxy)
    async with embedded.running() as gateway:
        answer = await told(node_client, gateway, party)
    assert "error" not in answer
    assert answer["token"]["token_type"] == "dpop"
    assert set(claims_in(answer["token"]["access_token"])["cnf"]) == {"jkt"}
    assert_served(answer["call"])


@pytest.mark.parametrize("binding", ["mtls", "dpop"])
async def test_a_revoked_token_is_inactive_and_opens_nothing(
    embedded: Installation, node_client: NodeClient, binding: Any
) -> None:
    party = enrolled(embedded, "node-revoking", binding=binding)
    async with embedded.running() as gateway:
        answer = await told(node_client, gateway, party, lifecycle=True)
    assert "error" not in answer
    assert_served(answer["call"])
    assert answer["introspection"]["active"] is True
    assert answer["introspection"]["client_id"] == "node-revoking"
    assert answer["introspection_after"] == {"active": False}
    assert answer["call_after"]["refusal"]["reason"] == "TOKEN_REVOKED"


async def test_a_certified_client_is_told_why_it_gets_no_token(
    embedded: Installation, node_client: NodeClient
) -> None:
    party = enrolled(embedded, "node-stranger")
    other = enrolled(embedded, "node-other")
    (party.folder / "signing.pem").write_bytes(other.key.as_pem(private=True))
    async with embedded.running() as gateway:
        answer = await told(node_client, gateway, party)
    assert (answer["error"]["error"], answer["error"]["status"]) == ("invalid_client", 400)


async def test_a_resource_server_can_validate_tokens_and_signed_introspection(
    embedded: Installation, node_client: NodeClient
) -> None:
    party = enrolled(embedded, "node-resource", binding="dpop")
    async with embedded.running() as gateway:
        file = party.folder / "party.json"
        file.write_text(json.dumps(party.document(gateway, audience=embedded.config.audience)))
        done = await asyncio.to_thread(node_client, "low_level_client.mjs", file)
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert answer["claims"]["client_id"] == "node-resource"
    assert answer["introspection"]["type"].startswith("application/token-introspection+jwt")
    assert answer["introspection"]["answer"]["active"] is True
    assert answer["introspection"]["answer"]["cnf"] == answer["claims"]["cnf"]
