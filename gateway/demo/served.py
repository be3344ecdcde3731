"""serve.json: where a served gateway answers, how its demo clients call it, who signs in."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from joserfc.jwk import ECKey

from creditgate.v1 import operator_service_pb2 as pb
from creditgate.v1.administrator_service_pb2 import Administrator, AdministratorRole
from creditgate.v1.operator_service_pb2 import ClientRole
from creditgate.v1.vocabulary_pb2 import Purpose
from gateway.cli.calls import Gateway
from gateway.cli.login import REDIRECT_URI
from gateway.demo import cast
from gateway.demo.cast import ALPHA, BETA
from gateway.demo.invented import CORRECTED
from gateway.demo.seed import Seeded, acting_as
from gateway.devprovider.accounts import invented_accounts
from gateway.installation.home import Home
from gateway.oauth.rfc8414 import Endpoints
from gateway.pki.files import write_private
from gateway.server.process import Running
from sdk.credentials import Credentials

SUBJECT_PAGES: Final = "/my"
"""Path of the pages where companies consent and see who used their data."""
PORTAL_PAGES: Final = "/portal"
"""Path of the pages where firms see what they used and owe."""
CONSOLE_PAGES: Final = "/console"
"""Path of the pages where people administer."""


@dataclass(frozen=True, slots=True)
class _Client:
    client_id: str
    role: ClientRole.ValueType
    grantee: str
    licence: pb.Licence | None = None


@dataclass(frozen=True, slots=True)
class People:
    """Who can sign in to administer, and the identity provider where they do; there
    representatives of companies sign in too."""

    provider: str
    administrators: Sequence[Administrator]


async def write_served(home: Home, running: Running, seeded: Seeded, people: People | None) -> None:
    """Write serve.json, whole or not at all: addresses, CA file, every demo client with its
    keys' files and what it is granted, and the people, if any can sign in. Raises
    grpc.RpcError, OSError."""
    clients = [
        _Client(
            party.client_id,
            ClientRole.CLIENT_ROLE_OPERATOR,
            party.operator_id,
            seeded.licences[party.operator_id],
        )
        for party in (ALPHA, BETA)
    ]
    for client_id, role in (
        (cast.PUBLISHER, ClientRole.CLIENT_ROLE_PUBLISHER),
        (cast.ADMINISTRATOR, ClientRole.CLIENT_ROLE_ADMINISTRATOR),
        (cast.CONSOLE, ClientRole.CLIENT_ROLE_ADMINISTRATOR),
    ):
        clients.append(_Client(client_id, role, client_id))
    async with acting_as(home, cast.ADMINISTRATOR) as gateway:
        described = {
            client.client_id: await _described(gateway, home, client) for client in clients
        }
    document = {
        "grpc": running.grpc,
        "https": running.issuer,
        "issuer": running.issuer,
        "token_endpoint": Endpoints(running.issuer).token,
        "subject_pages": f"{running.issuer}{SUBJECT_PAGES}",
        "portal_pages": f"{running.issuer}{PORTAL_PAGES}",
        "console_pages": f"{running.issuer}{CONSOLE_PAGES}",
        "ca": str(home.ca),
        "clients": described,
        "people": None if people is None else _accounts(people),
        "example": {"subject": CORRECTED, "purpose": "PURPOSE_SUPPLIER_CHECK"},
    }
    write_private(home.served, json.dumps(document, ensure_ascii=False, indent=2).encode() + b"\n")


def _accounts(people: People) -> dict[str, Any]:
    return {
        "identity_provider": people.provider,
        "client": cast.CONSOLE,
        "redirect_uri": REDIRECT_URI,
        "accounts": [
            {
                "account": person.subject,
                "name": person.display_name,
                "administrator_id": person.administrator_id,
                "roles": [AdministratorRole.Name(role) for role in person.roles],
            }
            for person in people.administrators
            if not person.HasField("remove_time")
        ],
        "representatives": [
            {"account": account.subject, "name": account.name, "subject": account.uscc}
            for account in invented_accounts()
            if account.uscc
        ],
    }


async def _described(gateway: Gateway, home: Home, client: _Client) -> dict[str, Any]:
    profile = home.profile(client.client_id)
    credentials = Credentials.load(profile)
    held = await gateway.ask(
        pb.ListScopeGrantsRequest(grantee=client.grantee), pb.ListScopeGrantsResponse
    )
    standing = [grant for grant in held.grants if not grant.HasField("withdraw_time")]
    key = ECKey.import_key(credentials.signing_key.read_bytes())
    described: dict[str, Any] = {
        "role": ClientRole.Name(client.role),
        "certificate": str(credentials.certificate),
        "key": str(credentials.key),
        "signing_key": str(credentials.signing_key),
        "signing_key_id": key.thumbprint(),
        "profile": str(profile),
        "scopes": sorted({grant.scope for grant in standing}),
    }
    if client.licence is not None:
        reading = [grant for grant in standing if grant.scope == "credit.records:read"]
        described |= {
            "operator_id": client.grantee,
            "licence": client.licence.number,
            "items": _within(reading, "items", list(client.licence.items)),
            "purposes": [
                Purpose.Name(purpose)
                for purpose in _within(reading, "purposes", list(client.licence.purposes))
            ],
        }
    return described


def _within(grants: list[pb.ScopeGrant], field: str, licensed: list[Any]) -> list[Any]:
    """Return what of the licence the grants cover; a grant that names none covers all."""
    named = [set(getattr(grant, field)) for grant in grants]
    return [each for each in licensed if any(not covered or each in covered for covered in named)]
