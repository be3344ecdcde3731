"""RFC 7591: dynamic client registration, by a software statement and over mutual TLS.

The statement is the licence credential of an operator (`software_statement`); it is good
for one client, whose scopes are its operator's, as of every other client's.
"""

import asyncio
import json
import secrets
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlsplit

from authlib.oauth2 import OAuth2Error
from authlib.oauth2.rfc6749 import InvalidClientError
from authlib.oauth2.rfc7591 import (
    InvalidClientMetadataError,
    InvalidSoftwareStatementError,
    UnapprovedSoftwareStatementError,
)
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from gateway.oauth.client_metadata import ClientMetadata, client_of, described, read_metadata
from gateway.oauth.context import AuthorizationContext, presented_thumbprint
from gateway.oauth.registrar import Registrar, Ruling, draft, may_register, taken_by_another
from gateway.oauth.request import read_body
from gateway.oauth.secret import digest_of, new_secret
from gateway.oauth.software_statement import StatementClaims, read_statement
from gateway.oauth.uncached import NO_STORE
from operators.authority import Authority
from operators.jwks import require_interchangeable
from operators.model import CLIENT, Client
from operators.openings import open_names
from operators.registration import CLIENT_REGISTRATION, SOFTWARE_STATEMENT, ClientRegistration

_JSON: Final = "application/json"
_STATEMENT: Final = "software_statement"


class RegistrationDesk:
    """Registers clients. Blocks on the store."""

    def __init__(self, context: AuthorizationContext) -> None:
        self._context = context
        self._registrar = Registrar(context)

    def register(self, document: Mapping[str, Any], thumbprint: str | None) -> Response:
        """Return the answer to a request from a connection with that certificate.

        Raises OAuth2Error, Refused.
        """
        if thumbprint is None:
            raise InvalidClientError(
                status_code=401, description="Connect with the client's TLS certificate."
            )
        statement = document.get(_STATEMENT)
        if not isinstance(statement, str):
            raise InvalidSoftwareStatementError(
                description="Send the software_statement that the administrator issued."
            )
        claims = read_statement(
            statement,
            self._context.authority().signing_keys,
            self._context.endpoints.issuer,
            self._context.clock.now(),
        )
        metadata = read_metadata(document)
        if metadata.software_id not in (None, claims.software_id):
            raise InvalidClientMetadataError(
                description="software_id: use the one of the software statement."
            )
        token = new_secret()
        client_id = f"{claims.sub}-{secrets.token_hex(8)}"
        client = client_of(metadata, client_id, claims.sub, frozenset({thumbprint}))

        def judge(authority: Authority, now: int) -> Ruling:
            issued = authority.statements.get(claims.jti)
            if issued is None or StatementClaims.of(issued, claims.iss) != claims:
                raise UnapprovedSoftwareStatementError(
                    description="This server did not issue the software statement."
                )
            if issued.used_by is not None:
                raise UnapprovedSoftwareStatementError(
                    description="The software statement was used before; ask for another."
                )
            if not may_register(authority, claims.sub, claims.licence, now):
                raise UnapprovedSoftwareStatementError(
                    description="The operator is not active, or its licence is not in force."
                )
            require_own(authority, client_id, client.certificate_thumbprints)
            require_granted(authority, claims.sub, metadata, now)
            registration = ClientRegistration(
                client_id=client_id,
                statement_id=claims.jti,
                software_id=claims.software_id,
                software_version=metadata.software_version,
                client_name=metadata.client_name,
                token_digest=kept_digest(token),
                registered_at=now,
            )
            used = issued.model_copy(update={"used_by": client_id})
            scopes = open_names(authority, client.grantee, now)
            answer = information(self._context, client, registration, scopes, token)
            return Ruling(
                [
                    draft(SOFTWARE_STATEMENT, claims.jti, used),
                    draft(CLIENT, client_id, client),
                    draft(CLIENT_REGISTRATION, client_id, registration),
                ],
                # Section 3.2.1: the statement is returned unmodified.
                JSONResponse({**answer, _STATEMENT: statement}, 201, headers=NO_STORE),
            )

        return self._registrar.write(
            judge,
            changed_by=client_id,
            reason=f"registered itself with software statement {claims.jti}",
        )


def information(
    context: AuthorizationContext,
    client: Client,
    registration: ClientRegistration,
    scopes: frozenset[str],
    token: str,
) -> dict[str, Any]:
    """Return the client information response (RFC 7591 section 3.2.1, RFC 7592 section 3).

    ``scopes`` are those open to it now, ``token`` its registration access token.
    """
    return {
        **described(client, registration, scopes),
        "registration_client_uri": f"{context.endpoints.registration}/{client.client_id}",
        "registration_access_token": token,
    }


def kept_digest(token: str) -> str:
    """Return what is kept of a registration access token."""
    return urlsafe_b64encode(digest_of(token)).rstrip(b"=").decode()


def require_own(authority: Authority, client_id: str, thumbprints: frozenset[str]) -> None:
    """Raise InvalidClientMetadataError when another client has one of these certificates."""
    if taken_by_another(authority, client_id, thumbprints):
        raise InvalidClientMetadataError(
            description="Another client has the certificate of this connection; use its own."
        )


def require_granted(
    authority: Authority, operator_id: str, metadata: ClientMetadata, now: int
) -> None:
    """Raise InvalidClientMetadataError for scopes that are not open to the operator."""
    asked = frozenset((metadata.scope or "").split())
    if not asked <= open_names(authority, operator_id, now):
        raise InvalidClientMetadataError(
            description="scope: name only scopes granted to the operator, or leave it out."
        )


async def read_json(request: Request) -> dict[str, Any]:
    """Return the JSON object in the body. Raises OAuth2Error."""
    body = await read_body(request, _JSON)
    try:
        document = json.loads(body, object_pairs_hook=_named_once)
        require_interchangeable(document)
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, dict):
        raise InvalidClientMetadataError(description="Send one JSON object whose names are unique.")
    return document


def registration_route(context: AuthorizationContext) -> Route:
    """Return the route of the registration endpoint."""
    desk = RegistrationDesk(context)

    async def serve(request: Request) -> Response:
        try:
            document = await read_json(request)
            shown = presented_thumbprint(request)
            return await asyncio.to_thread(desk.register, document, shown)
        except OAuth2Error as error:
            return refusal(error)
        except ClientDisconnect:
            return Response(status_code=400)

    return Route(urlsplit(context.endpoints.registration).path, serve, methods=["POST"])


def refusal(error: OAuth2Error) -> Response:
    """Return the error response of section 3.2.2."""
    return JSONResponse(dict(error.get_body()), error.status_code, headers=NO_STORE)


def _named_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) < len(pairs):
        raise ValueError("a name comes twice")
    return fields
