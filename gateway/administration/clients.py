"""Clients: registered with their keys and certificates, given new ones, removed."""

from collections.abc import Sequence

from creditgate.refusal import Violation
from creditgate.v1 import operator_service_pb2 as pb
from creditgate.v1.operator_service_pb2 import ClientRole
from gateway.administration.desk import Desk
from gateway.administration.journal import Judge, draft, stored
from gateway.administration.keyholders import require_keyholder
from gateway.administration.listing import page_by_id
from gateway.administration.message import client_message
from gateway.administration.presence import (
    conflict,
    exists,
    present_operator,
    registered_client,
    require_etag,
    standing_operator,
)
from gateway.administration.request import (
    client_of,
    etag_faults,
    reason_faults,
    require,
    rotated_client,
)
from gateway.authenticate.caller import Caller
from gateway.authority.view import AuthorityView
from operators.authority import Authority
from operators.log import Draft
from operators.model import CLIENT, Client


class Clients(Desk):
    """The methods of OperatorService about clients."""

    async def register_client(
        self, request: pb.RegisterClientRequest, caller: Caller
    ) -> pb.RegisterClientResponse:
        """Answer RegisterClient.

        Raises Refused INVALID_REQUEST, RESOURCE_NOT_FOUND for its operator,
        RESOURCE_EXISTS, or STATE_CONFLICT for an operator that was revoked.
        """
        outcome = await self._change(request, registering(request), caller)
        response = pb.RegisterClientResponse(proposal_id=outcome.proposal_id)
        for change in outcome.changes:
            response.client.CopyFrom(client_message(stored(Client, change)))
        return response

    async def list_clients(
        self, request: pb.ListClientsRequest, caller: Caller
    ) -> pb.ListClientsResponse:
        """Answer ListClients; raises Refused INVALID_REQUEST, RESOURCE_NOT_FOUND."""
        del caller  # administrators see every client
        authority = self._feed.current().authority
        operator_id = request.operator_id
        if operator_id:
            present_operator(authority, operator_id)
        page, token = page_by_id(
            (
                client_id
                for client_id, client in authority.clients.items()
                if operator_id in {"", client.operator_id}
            ),
            lambda client_id: client_message(authority.clients[client_id]),
            page_size=request.page_size,
            token=request.page_token,
            filters=("clients", operator_id),
        )
        return pb.ListClientsResponse(clients=page, next_page_token=token)

    async def rotate_client_keys(
        self, request: pb.RotateClientKeysRequest, caller: Caller
    ) -> pb.RotateClientKeysResponse:
        """Answer RotateClientKeys.

        What is sent replaces both sets; send old and new together to let them overlap.
        Raises Refused INVALID_REQUEST, RESOURCE_NOT_FOUND, ETAG_MISMATCH, or
        STATE_CONFLICT for a client that was removed or whose operator was revoked.
        """
        outcome = await self._change(request, rotating(request), caller)
        response = pb.RotateClientKeysResponse(proposal_id=outcome.proposal_id)
        for change in outcome.changes:
            response.client.CopyFrom(client_message(stored(Client, change)))
        return response

    async def remove_client(
        self, request: pb.RemoveClientRequest, caller: Caller
    ) -> pb.RemoveClientResponse:
        """Answer RemoveClient.

        Raises Refused INVALID_REQUEST, RESOURCE_NOT_FOUND, or STATE_CONFLICT for a client
        removed already and for the last keyholder; see `keyholders`.
        """
        require(reason_faults(request.reason))

        def judge(view: AuthorityView, now: int) -> list[Draft]:
            client = registered_client(view.authority, request.client_id)
            require_keyholder(view.authority, [client], now)
            removed = client.model_copy(update={"removed_at": now})
            return [draft(CLIENT, client.client_id, removed)]

        (change,) = await self._write(judge, caller, request.reason)
        return pb.RemoveClientResponse(client=client_message(stored(Client, change)))


def registering(request: pb.RegisterClientRequest) -> Judge:
    """Return the judge of a RegisterClient request; raises Refused INVALID_REQUEST."""
    client = client_of(request.client, reason_faults(request.reason))

    def judge(view: AuthorityView, _now: int) -> list[Draft]:
        _require_new(view.authority, client)
        if client.operator_id:
            standing_operator(view.authority, client.operator_id)
        _require_own_certificates(
            view.authority,
            client.client_id,
            "client.certificate_thumbprints",
            request.client.certificate_thumbprints,
        )
        return [draft(CLIENT, client.client_id, client)]

    return judge


def rotating(request: pb.RotateClientKeysRequest) -> Judge:
    """Return the judge of a RotateClientKeys request; raises Refused INVALID_REQUEST."""
    require(reason_faults(request.reason) + etag_faults("etag", request.etag))

    def judge(view: AuthorityView, _now: int) -> list[Draft]:
        client = registered_client(view.authority, request.client_id)
        if client.operator_id:
            standing_operator(view.authority, client.operator_id)
        require_etag(client, request.etag)
        rotated = rotated_client(client, request)
        _require_own_certificates(
            view.authority,
            client.client_id,
            "certificate_thumbprints",
            request.certificate_thumbprints,
        )
        return [draft(CLIENT, client.client_id, rotated)]

    return judge


def _require_new(authority: Authority, client: Client) -> None:
    # An id is never used again: the history of a removed client stays its own.
    if client.client_id in authority.clients:
        raise exists("There is or was a client of this client_id; choose another.")
    if client.role == ClientRole.CLIENT_ROLE_REGION:
        raise conflict("A region's client comes of AdmitRegion, with the keys of its trust chain.")
    # Grants name their grantee by id alone: one party's scopes must not reach another.
    if not client.acts_for_operator and client.client_id in authority.operators:
        raise exists("An operator has this id; choose another client_id for this role.")


def _require_own_certificates(
    authority: Authority, client_id: str, at: str, thumbprints: Sequence[str]
) -> None:
    """Raise Refused INVALID_REQUEST when another live client has one of these certificates.

    RFC 8705 section 2: a certificate tells the client it authenticates. What a region says of
    itself claims none: it could name anybody's.
    """
    taken = {
        thumbprint
        for client in authority.clients.values()
        if client.removed_at is None
        and client.client_id != client_id
        and client.role != ClientRole.CLIENT_ROLE_REGION
        for thumbprint in client.certificate_thumbprints
    }
    require(
        [
            Violation(f"{at}[{index}]", "another client has this certificate: use its own")
            for index, thumbprint in enumerate(thumbprints)
            if thumbprint in taken
        ]
    )
