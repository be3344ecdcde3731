"""Operators, licences, clients and grants brought about, each only if it is missing."""

from collections.abc import Iterable, Sequence
from typing import Final

from creditgate.v1 import operator_service_pb2 as pb
from creditgate.v1.operator_service_pb2 import ClientRole
from gateway.cli.calls import Gateway
from gateway.cli.login import REDIRECT_URI
from gateway.cli.terms import interval
from gateway.clock import Clock
from gateway.demo.cast import CONSOLE, PUBLISHER, PUBLISHER_SCOPES, Grant, Party
from gateway.installation.home import Home
from gateway.pki.client_keys import make_assertion_key
from gateway.pki.development import make_client_certificate
from gateway.pki.thumbprint import thumbprint_of_pem
from operators.roles import scopes_of_role
from sdk.credentials import Credentials

REASON: Final = "demo"
_YEAR: Final = 365 * 86_400
# What GrantScopes takes.
_MOST_AT_ONCE: Final = 64


class Enrolment:
    """Enrols parties as the administrator; their keys and profiles go to the home."""

    def __init__(self, gateway: Gateway, home: Home, clock: Clock) -> None:
        self._gateway = gateway
        self._home = home
        self._clock = clock

    async def operator(self, party: Party) -> pb.Licence:
        """Bring about an operator, its client and grants; return its licence in force.

        Raises grpc.RpcError.
        """
        known = await self._gateway.every_page(
            pb.ListOperatorsRequest(page_size=200), pb.ListOperatorsResponse
        )
        if party.operator_id not in {firm.operator_id for firm in known.operators}:
            firm = pb.Operator(
                operator_id=party.operator_id, display_name=party.name, uscc=party.uscc
            )
            await self._gateway.ask(
                pb.CreateOperatorRequest(operator=firm, reason=REASON), pb.CreateOperatorResponse
            )
        licence = await self._licence(party)
        await self._grants(party.operator_id, party.grants)
        await self.client(
            party.client_id, ClientRole.CLIENT_ROLE_OPERATOR, operator_id=party.operator_id
        )
        return licence

    async def publisher(self) -> None:
        """Bring about the publisher's client and grants. Raises grpc.RpcError."""
        await self.client(PUBLISHER, ClientRole.CLIENT_ROLE_PUBLISHER)
        await self._grants(PUBLISHER, map(Grant, PUBLISHER_SCOPES))

    async def console(self) -> None:
        """Bring about the client that people administer through, with all its role may have:
        each person's own roles then bound what they do. Raises grpc.RpcError."""
        role = ClientRole.CLIENT_ROLE_ADMINISTRATOR
        await self.client(
            CONSOLE,
            role,
            grant_types=("authorization_code", "refresh_token"),
            redirect_uris=(REDIRECT_URI,),
        )
        await self._grants(CONSOLE, map(Grant, sorted(scopes_of_role(role))))

    async def client(
        self,
        client_id: str,
        role: ClientRole.ValueType,
        *,
        operator_id: str = "",
        grant_types: Sequence[str] = (),
        redirect_uris: Sequence[str] = (),
    ) -> None:
        """Bring about a client whose keys are held here. Raises grpc.RpcError."""
        listed = await self._gateway.every_page(
            pb.ListClientsRequest(page_size=200), pb.ListClientsResponse
        )
        known = {client.client_id: client for client in listed.clients}
        if client_id in known and self._holds_keys_of(known[client_id]):
            return
        certificate = make_client_certificate(
            self._home.development_ca(), client_id, self._clock.now()
        )
        key = make_assertion_key()
        # Keys first: a client whose keys were never kept could not be used.
        self._home.write_client(client_id, certificate, key.key)
        if client_id in known:
            rotation = pb.RotateClientKeysRequest(
                client_id=client_id,
                jwks=key.jwks,
                certificate_thumbprints=[certificate.thumbprint],
                etag=known[client_id].etag,
                reason=REASON,
            )
            await self._gateway.ask(rotation, pb.RotateClientKeysResponse)
            return
        client = pb.Client(
            client_id=client_id,
            role=role,
            operator_id=operator_id,
            jwks=key.jwks,
            certificate_thumbprints=[certificate.thumbprint],
            grant_types=grant_types,
            redirect_uris=redirect_uris,
        )
        await self._gateway.ask(
            pb.RegisterClientRequest(client=client, reason=REASON), pb.RegisterClientResponse
        )

    async def _licence(self, party: Party) -> pb.Licence:
        held = await self._gateway.ask(
            pb.ListLicencesRequest(operator_id=party.operator_id), pb.ListLicencesResponse
        )
        now = self._clock.now()
        for licence in held.licences:
            if _stands(licence, now):
                return licence
        licence = pb.Licence(
            number=f"{party.licence}-{len(held.licences) + 1}",
            operator_id=party.operator_id,
            validity=interval(now, now + _YEAR),
            items=party.items,
            purposes=party.purposes,
            regions=["*"],
            daily_record_quota=party.quota,
        )
        issued = await self._gateway.ask(
            pb.IssueLicenceRequest(licence=licence, reason=REASON), pb.IssueLicenceResponse
        )
        return issued.licence

    async def _grants(self, grantee: str, grants: Iterable[Grant]) -> None:
        held = await self._gateway.ask(
            pb.ListScopeGrantsRequest(grantee=grantee), pb.ListScopeGrantsResponse
        )
        now = self._clock.now()
        standing = {
            (grant.scope, frozenset(grant.items), frozenset(grant.purposes))
            for grant in held.grants
            if not grant.HasField("withdraw_time")
        }
        missing = [
            pb.ScopeGrant(
                grantee=grantee,
                scope=grant.scope,
                items=grant.items,
                purposes=grant.purposes,
                validity=interval(now, None),
            )
            for grant in grants
            if (grant.scope, frozenset(grant.items), frozenset(grant.purposes)) not in standing
        ]
        for first in range(0, len(missing), _MOST_AT_ONCE):
            some = missing[first : first + _MOST_AT_ONCE]
            await self._gateway.ask(
                pb.GrantScopesRequest(grants=some, reason=REASON), pb.GrantScopesResponse
            )

    def _holds_keys_of(self, client: pb.Client) -> bool:
        try:
            credentials = Credentials.load(self._home.profile(client.client_id))
            thumbprint = thumbprint_of_pem(credentials.certificate.read_bytes())
        except FileNotFoundError:
            return False
        return thumbprint in client.certificate_thumbprints


def _stands(licence: pb.Licence, now: int) -> bool:
    validity = licence.validity
    return (
        not licence.HasField("revoke_time")
        and validity.start_time.seconds <= now < validity.end_time.seconds
    )
