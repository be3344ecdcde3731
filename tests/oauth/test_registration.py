"""Dynamic registration (RFC 7591, RFC 7592): by licence credential, once, over mutual TLS."""

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

import httpx
import pytest

from creditgate.v1.operator_service_pb2 import ClientRole, OperatorState
from gateway.pki.development import Issued
from operators.administration_policy import (
    ADMINISTRATION_POLICY,
    POLICY_ID,
    AdministrationPolicy,
)
from operators.model import Client
from operators.registration import ClientRegistration
from tests.oauth.assertions import good_form
from tests.oauth.licensed import (
    LICENSED_SECONDS,
    SOFTWARE,
    STATEMENT_SECONDS,
    issued,
    keep,
    license_operator,
)
from tests.oauth.world import BROWSE, CLIENT, OPERATOR, READ, Identity, World, on_both_stores

NEWCOMER = "newcomer"
BY_PROOFS = {"tls_client_certificate_bound_access_tokens": None, "dpop_bound_access_tokens": True}
NOT_JSON = ('"\\ud800"', "NaN", "Infinity", "-Infinity", "1e999", '{"\\udfff": 1}')


@pytest.fixture
def world(world: World) -> World:
    """An installation whose operator is licensed."""
    license_operator(world)
    return world


@dataclass
class Firm:
    """An operator's program that registers itself."""

    world: World
    issuer: str
    identity: Identity

    def metadata(self, **changed: Any) -> dict[str, Any]:
        """Return metadata the server accepts; ``changed`` replaces some, None removes."""
        metadata: dict[str, Any] = {
            "client_name": "Invented Checker",
            "software_id": SOFTWARE,
            "token_endpoint_auth_method": "private_key_jwt",
            "grant_types": ["client_credentials"],
            "jwks": json.loads(self.identity.assertion_key.jwks),
            "tls_client_certificate_bound_access_tokens": True,
            **changed,
        }
        return {name: value for name, value in metadata.items() if value is not None}

    async def send(
        self,
        method: str,
        path: str,
        document: object = None,
        *,
        token: str = "",
        certificate: Issued | None = None,
        bare: bool = False,
    ) -> httpx.Response:
        """Send a request, over the firm's own certificate where none is given.

        A text is sent as it is, anything else as JSON.
        """
        shown = None if bare else certificate or self.identity.certificate
        headers = {"authorization": f"Bearer {token}"} if token else {}
        text = document if isinstance(document, str) else json.dumps(document)
        if document is not None:
            headers["content-type"] = "application/json"
        return await self.world.http(shown).request(
            method,
            f"{self.issuer}{path}",
            content=None if document is None else text,
            headers=headers,
        )

    async def register(self, statement: str = "", **changed: Any) -> httpx.Response:
        """Register with a statement, a new one where none is given."""
        statement = statement or issued(self.world, self.issuer)
        document = {**self.metadata(**changed), "software_statement": statement}
        return await self.send("POST", "/oauth/register", document)

    async def registered(self, **changed: Any) -> dict[str, Any]:
        """Register and return what the server answered."""
        response = await self.register(**changed)
        assert response.status_code == 201, response.text
        return response.json()

    @property
    def clients(self) -> dict[str, Client]:
        """The registered clients, as authority has them."""
        return dict(self.world.snapshot().authority.clients)


@asynccontextmanager
async def serving(world: World) -> AsyncGenerator[Firm]:
    """Run a server and give a firm that talks to it."""
    async with world.serving() as issuer:
        yield Firm(world, issuer, world.newcomer(NEWCOMER))


def refused(response: httpx.Response) -> tuple[int, str]:
    """Return status and error of a refusal, which must be told as RFC 6749 wants it."""
    assert response.headers["cache-control"] == "no-store"
    body = response.json()
    assert all(" " <= sign <= "~" and sign not in '"\\' for sign in body["error_description"])
    return response.status_code, body["error"]


@on_both_stores
async def test_a_licensed_operator_registers_a_client_that_gets_tokens(world: World) -> None:
    async with serving(world) as firm:
        answer = await firm.registered()
        client = replace(firm.identity, client_id=answer["client_id"])
        form = good_form(client, firm.issuer, world.clock.now())
        token = await world.post(firm.issuer, form, firm.identity.certificate)
    assert token.status_code == 200, token.text
    assert token.json()["scope"] == answer["scope"] == f"{BROWSE} {READ}"
    kept = firm.clients[answer["client_id"]]
    assert kept.role == ClientRole.CLIENT_ROLE_OPERATOR
    assert kept.operator_id == OPERATOR
    assert kept.certificate_thumbprints == {firm.identity.certificate.thumbprint}


async def test_the_answer_tells_all_that_was_registered(world: World) -> None:
    async with serving(world) as firm:
        statement = issued(world, firm.issuer)
        response = await firm.register(
            statement,
            grant_types=["authorization_code", "refresh_token"],
            redirect_uris=["https://checker.example/back"],
            require_signed_request_object=True,
            software_version="1.2",
            favourite_colour="red",
        )
    answer = response.json()
    token = answer.pop("registration_access_token")
    client_id = answer["client_id"]
    assert client_id.startswith(f"{OPERATOR}-")
    assert len(token) == 43
    assert answer == {
        "client_id": client_id,
        "client_id_issued_at": world.clock.now(),
        "client_name": "Invented Checker",
        "software_id": SOFTWARE,
        "software_version": "1.2",
        "token_endpoint_auth_method": "private_key_jwt",
        "grant_types": ["authorization_code", "refresh_token"],
        "response_types": ["code"],
        "redirect_uris": ["https://checker.example/back"],
        "jwks": json.loads(firm.identity.assertion_key.jwks),
        "scope": f"{BROWSE} {READ}",
        "tls_client_certificate_bound_access_tokens": True,
        "dpop_bound_access_tokens": False,
        "require_signed_request_object": True,
        "authorization_details_types": ["public_credit_data"],
        "registration_client_uri": f"{firm.issuer}/oauth/register/{client_id}",
        "software_statement": statement,
    }
    assert response.headers["cache-control"] == "no-store"
    assert token not in json.dumps([change.document for change in world.log.since(0)])


@on_both_stores
async def test_registration_is_in_the_log_with_who_and_why(world: World) -> None:
    before = world.log.head()
    async with serving(world) as firm:
        answer = await firm.registered()
    written = world.log.since(before + 1)
    assert [change.kind for change in written] == [
        "software_statement",
        "client",
        "client_registration",
    ]
    assert {change.changed_by for change in written} == {answer["client_id"]}
    assert all("software statement" in change.reason for change in written)


async def test_a_client_bound_by_proofs_manages_itself_by_its_certificate(world: World) -> None:
    async with serving(world) as firm:
        answer = await firm.registered(**BY_PROOFS)
        read = await firm.send(
            "GET",
            f"/oauth/register/{answer['client_id']}",
            token=answer["registration_access_token"],
        )
    kept = firm.clients[answer["client_id"]]
    assert kept.certificate_thumbprints == {firm.identity.certificate.thumbprint}
    assert kept.binding == "dpop"
    assert read.status_code == 200


@on_both_stores
async def test_a_statement_registers_one_client(world: World) -> None:
    async with serving(world) as firm:
        statement = issued(world, firm.issuer)
        first = await firm.register(statement)
        second = await firm.register(statement)
    assert first.status_code == 201
    assert refused(second) == (400, "unapproved_software_statement")


@on_both_stores
async def test_of_many_at_once_with_one_statement_one_registers(world: World) -> None:
    async with serving(world) as firm:
        statement = issued(world, firm.issuer)
        # Each over a certificate of its own, so that they do not collide by it.
        firms = [replace(firm, identity=world.newcomer(f"racer-{n}")) for n in range(6)]
        answers = await asyncio.gather(*(racer.register(statement) for racer in firms))
    assert sorted(answer.status_code for answer in answers) == [201] + [400] * 5


async def test_a_statement_ends_with_its_time_and_with_its_licence(world: World) -> None:
    async with serving(world) as firm:
        statement = issued(world, firm.issuer)
        world.clock.seconds += STATEMENT_SECONDS - 1
        late = issued(world, firm.issuer)
        world.clock.seconds += 1
        assert refused(await firm.register(statement)) == (400, "invalid_software_statement")
        world.clock.seconds += LICENSED_SECONDS - STATEMENT_SECONDS
        assert refused(await firm.register(late)) == (400, "invalid_software_statement")
        unlicensed = issued(world, firm.issuer)
        assert refused(await firm.register(unlicensed)) == (400, "unapproved_software_statement")


@pytest.mark.parametrize(
    "state", [OperatorState.OPERATOR_STATE_SUSPENDED, OperatorState.OPERATOR_STATE_REVOKED]
)
async def test_an_operator_that_is_not_active_registers_nothing(
    world: World, state: OperatorState.ValueType
) -> None:
    async with serving(world) as firm:
        statement = issued(world, firm.issuer)
        world.change("operator", OPERATOR, state=state)
        assert refused(await firm.register(statement)) == (400, "unapproved_software_statement")
    assert len(firm.clients) == 2


async def test_without_a_certificate_nothing_is_registered(world: World) -> None:
    async with serving(world) as firm:
        statement = issued(world, firm.issuer)
        document = {**firm.metadata(), "software_statement": statement}
        bare = await firm.send("POST", "/oauth/register", document, bare=True)
        assert refused(bare) == (401, "invalid_client")
        assert (await firm.register(statement)).status_code == 201


async def test_another_clients_certificate_is_not_registered(world: World) -> None:
    async with serving(world) as firm:
        firm.identity = replace(firm.identity, certificate=world.identity.certificate)
        statement = issued(world, firm.issuer)
        assert refused(await firm.register(statement)) == (400, "invalid_client_metadata")


@on_both_stores
async def test_refused_metadata_use_no_statement_up(world: World) -> None:
    async with serving(world) as firm:
        statement = issued(world, firm.issuer)
        for changed, error in (
            ({"token_endpoint_auth_method": "none"}, "invalid_client_metadata"),
            ({"grant_types": ["authorization_code"]}, "invalid_redirect_uri"),
            ({"scope": f"{READ} operators:create"}, "invalid_client_metadata"),
            ({"software_id": "another"}, "invalid_client_metadata"),
        ):
            assert refused(await firm.register(statement, **changed)) == (400, error)
        assert (await firm.register(statement)).status_code == 201


@pytest.mark.parametrize("value", NOT_JSON)
@pytest.mark.parametrize("field", ["jwk", "unknown"])
async def test_what_no_answer_could_repeat_is_refused_before_it_is_written(
    world: World, field: str, value: str
) -> None:
    async with serving(world) as firm:
        statement = issued(world, firm.issuer)
        answer = await firm.registered()
        path, token = f"/oauth/register/{answer['client_id']}", answer["registration_access_token"]
        second = replace(firm, identity=world.newcomer("second"))
        metadata = second.metadata()
        if field == "jwk":
            metadata["jwks"]["keys"][0]["note"] = "@"
        else:
            metadata["note"] = "@"
        before = world.log.head()
        for sender, method, where, document in (
            (second, "POST", "/oauth/register", {**metadata, "software_statement": statement}),
            (firm, "PUT", path, {**metadata, "client_id": answer["client_id"]}),
        ):
            text = json.dumps(document).replace('"@"', value)
            response = await sender.send(method, where, text, token=token)
            assert refused(response) == (400, "invalid_client_metadata")
        assert world.log.head() == before
        assert (await second.register(statement)).status_code == 201


async def test_of_a_key_only_what_is_known_is_kept(world: World) -> None:
    async with serving(world) as firm:
        plain = firm.metadata()["jwks"]["keys"][0]
        odd = {**plain, "note": "x", "n": {"deep": [1]}, "key_ops": ["verify"]}
        answer = await firm.registered(jwks={"keys": [odd]})
        assert answer["jwks"] == {"keys": [{**plain, "key_ops": ["verify"]}]}
        for member in ("x5c", "x5u", "x5t", "x5t#S256", "d"):
            response = await firm.register(jwks={"keys": [{**plain, member: "AAAA"}]})
            assert refused(response) == (400, "invalid_client_metadata")
            assert "jwks" in response.json()["error_description"]


async def test_a_body_that_is_no_json_object_is_refused(world: World) -> None:
    async with (
        world.serving() as issuer,
        httpx.AsyncClient(verify=world.trust(world.identity.certificate)) as http,
    ):
        for content, media_type, status in (
            (b"", "application/json", 400),
            (b"[]", "application/json", 400),
            (b"{" * 9_000, "application/json", 400),
            (b'{"a":1,"a":2}', "application/json", 400),
            (b"\xff", "application/json", 400),
            (b"{}", "text/plain", 400),
            (b" " * 20_000, "application/json", 413),
        ):
            response = await http.post(
                f"{issuer}/oauth/register", content=content, headers={"content-type": media_type}
            )
            assert refused(response)[0] == status


@on_both_stores
async def test_a_client_reads_updates_and_deletes_its_registration(world: World) -> None:
    async with serving(world) as firm:
        answer = await firm.registered()
        client_id, token = answer["client_id"], answer["registration_access_token"]
        path = f"/oauth/register/{client_id}"
        answer.pop("software_statement")
        read = await firm.send("GET", path, token=token)
        assert (read.status_code, read.json()) == (200, answer)

        other = world.newcomer("other-keys")
        changed = firm.metadata(
            client_id=client_id,
            client_name="Renamed",
            jwks=json.loads(other.assertion_key.jwks),
        )
        updated = await firm.send("PUT", path, changed, token=token)
        assert updated.status_code == 200, updated.text
        assert updated.json()["client_name"] == "Renamed"
        renewed = replace(firm.identity, client_id=client_id, assertion_key=other.assertion_key)
        now = world.clock.now()
        for identity, status in (
            (renewed, 200),
            (replace(firm.identity, client_id=client_id), 400),
        ):
            form = good_form(identity, firm.issuer, now)
            asked = await world.post(firm.issuer, form, firm.identity.certificate)
            assert asked.status_code == status

        deleted = await firm.send("DELETE", path, token=token)
        assert (deleted.status_code, deleted.content) == (204, b"")
        assert firm.clients[client_id].removed_at == now
        assert refused(await firm.send("GET", path, token=token)) == (401, "invalid_token")
        assert refused(await firm.send("DELETE", path, token=token)) == (401, "invalid_token")
        form = good_form(renewed, firm.issuer, now)
        assert (await world.post(firm.issuer, form, firm.identity.certificate)).status_code == 400


async def test_a_registration_is_its_own_clients_alone(world: World) -> None:
    async with serving(world) as firm:
        answer = await firm.registered()
        rival = Firm(world, firm.issuer, world.newcomer("rival"))
        theirs = await rival.registered()
        path = f"/oauth/register/{answer['client_id']}"
        token = answer["registration_access_token"]
        for method in ("GET", "DELETE"):
            tries = [
                await rival.send(method, path, token=theirs["registration_access_token"]),
                await rival.send(method, path, token=token),
                await firm.send(method, path, token=token, bare=True),
                await firm.send(method, path, token=token + "x"),
                await firm.send(method, path),
                await firm.send(method, "/oauth/register/nobody", token=token),
                await firm.send(method, f"/oauth/register/{CLIENT}", token=token),
            ]
            for response in tries:
                assert refused(response) == (401, "invalid_token")
                assert response.headers["www-authenticate"].startswith("Bearer")
        assert firm.clients[answer["client_id"]].removed_at is None


async def test_an_update_is_held_to_the_same_rules(world: World) -> None:
    cases: list[tuple[dict[str, Any], str]] = [
        ({"client_id": None}, "invalid_request"),
        ({"client_id": "alpha-one"}, "invalid_request"),
        ({"registration_access_token": "x"}, "invalid_request"),
        ({"client_id_issued_at": 1}, "invalid_request"),
        ({"client_secret": "x"}, "invalid_client_metadata"),
        ({"software_id": "another"}, "invalid_client_metadata"),
        ({"scope": "operators:create"}, "invalid_client_metadata"),
        ({"jwks": {"keys": []}}, "invalid_client_metadata"),
        ({"redirect_uris": ["https://checker.example/back"]}, "invalid_redirect_uri"),
    ]
    async with serving(world) as firm:
        answer = await firm.registered()
        path, token = f"/oauth/register/{answer['client_id']}", answer["registration_access_token"]
        for changed, error in cases:
            document = firm.metadata(**{"client_id": answer["client_id"], **changed})
            assert refused(await firm.send("PUT", path, document, token=token)) == (400, error)
    assert firm.clients[answer["client_id"]].version == 1


async def test_a_suspended_operators_client_changes_nothing(world: World) -> None:
    async with serving(world) as firm:
        answer = await firm.registered()
        world.change("operator", OPERATOR, state=OperatorState.OPERATOR_STATE_SUSPENDED)
        response = await firm.send(
            "PUT",
            f"/oauth/register/{answer['client_id']}",
            firm.metadata(client_id=answer["client_id"]),
            token=answer["registration_access_token"],
        )
    assert refused(response) == (403, "insufficient_scope")


async def test_an_update_keeps_the_certificates_an_administrator_gave(world: World) -> None:
    async with serving(world) as firm:
        answer = await firm.registered()
        client_id, token = answer["client_id"], answer["registration_access_token"]
        renewed = world.newcomer("renewed").certificate
        world.change("client", client_id, certificate_thumbprints=frozenset({renewed.thumbprint}))
        path, document = f"/oauth/register/{client_id}", firm.metadata(client_id=client_id)
        assert refused(await firm.send("PUT", path, document, token=token))[0] == 401
        updated = await firm.send("PUT", path, document, token=token, certificate=renewed)
    assert updated.status_code == 200
    assert firm.clients[client_id].certificate_thumbprints == {renewed.thumbprint}


async def test_a_certificate_taken_away_never_manages_the_client_again(world: World) -> None:
    async with serving(world) as firm:
        answer = await firm.registered()
        client_id, token = answer["client_id"], answer["registration_access_token"]
        renewed = world.newcomer("renewed").certificate
        only = frozenset({renewed.thumbprint})
        world.change("client", client_id, certificate_thumbprints=only)
        path = f"/oauth/register/{client_id}"
        document = firm.metadata(client_id=client_id, **BY_PROOFS)
        updated = await firm.send("PUT", path, document, token=token, certificate=renewed)
        assert updated.status_code == 200, updated.text
        assert firm.clients[client_id].certificate_thumbprints == only
        owner = await firm.send("GET", path, token=token, certificate=renewed)
        assert owner.status_code == 200
        assert refused(await firm.send("GET", path, token=token)) == (401, "invalid_token")

        world.change("client", client_id, certificate_thumbprints=frozenset[str]())
        for certificate in (renewed, firm.identity.certificate):
            for method, sent in (("GET", None), ("PUT", document), ("DELETE", None)):
                response = await firm.send(method, path, sent, token=token, certificate=certificate)
                assert refused(response) == (401, "invalid_token")


async def test_under_a_guarded_policy_no_update_widens_the_client(world: World) -> None:
    async with serving(world) as firm:
        old, new = (world.newcomer(name).assertion_key.jwks for name in ("old-keys", "new-keys"))
        keys = [json.loads(text)["keys"][0] for text in (old, new)]
        codes = {
            "grant_types": ["authorization_code"],
            "redirect_uris": ["https://checker.example/back"],
            "jwks": {"keys": keys},
        }
        answer = await firm.registered(**codes)
        client_id, token = answer["client_id"], answer["registration_access_token"]
        policy = AdministrationPolicy(guarded=True)
        keep(world, ADMINISTRATION_POLICY, POLICY_ID, policy)
        path, before = f"/oauth/register/{client_id}", world.log.head()
        for wider in (
            {"jwks": firm.metadata()["jwks"]},
            {"grant_types": ["authorization_code", "refresh_token"]},
            {"redirect_uris": [*codes["redirect_uris"], "https://checker.example/other"]},
            {"token_endpoint_auth_method": "tls_client_auth"},
            BY_PROOFS,
        ):
            document = firm.metadata(client_id=client_id, **{**codes, **wider})
            response = await firm.send("PUT", path, document, token=token)
            assert refused(response) == (403, "access_denied")
            assert "administrator" in response.json()["error_description"]
        assert world.log.head() == before

        fewer = {**codes, "jwks": {"keys": keys[:1]}, "client_name": "Renamed"}
        document = firm.metadata(client_id=client_id, **fewer)
        narrowed = await firm.send("PUT", path, document, token=token)
        assert narrowed.status_code == 200, narrowed.text
        assert narrowed.json()["jwks"] == fewer["jwks"]
        # Registration itself takes nobody more: issuing the statement was the widening.
        second = replace(firm, identity=world.newcomer("second"))
        assert (await second.register()).status_code == 201


def test_a_registration_kept_with_its_first_certificate_is_still_read() -> None:
    document: dict[str, object] = {
        "client_id": "alpha-one",
        "statement_id": "S-1",
        "software_id": SOFTWARE,
        "client_name": "Invented Checker",
        "token_digest": "A" * 43,
        "registered_at": 1,
    }
    earlier = {**document, "certificate": "A" * 43}
    read = ClientRegistration.from_document(earlier, version=1, changed_at=1)
    assert read == ClientRegistration.from_document(document, version=1, changed_at=1)
    assert "certificate" not in read.as_document()


async def test_the_metadata_lead_to_registration(world: World) -> None:
    async with world.serving() as issuer, httpx.AsyncClient(verify=world.trust(None)) as http:
        metadata = await http.get(f"{issuer}/.well-known/oauth-authorization-server")
    assert metadata.json()["registration_endpoint"] == f"{issuer}/oauth/register"
