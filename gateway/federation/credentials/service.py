"""LicenceCredentialService: an operator fetches the credential of its licence."""

from collections.abc import Callable

from creditgate.refusal import Violation, invalid
from creditgate.v1 import licence_credential_service_pb2 as pb
from gateway.authenticate.caller import Caller
from gateway.authority.view import AuthorityView
from gateway.clock import Clock
from gateway.federation.credentials.issuing import LicenceCredentials
from operators.jwks import described_keys
from operators.rules import require_licences


class LicenceCredentialService:
    """Every method of creditgate.v1.LicenceCredentialService."""

    def __init__(
        self, credentials: LicenceCredentials, view: Callable[[], AuthorityView], clock: Clock
    ) -> None:
        self._credentials = credentials
        self._view = view
        self._clock = clock

    async def get_licence_credential(
        self, request: pb.GetLicenceCredentialRequest, caller: Caller
    ) -> pb.GetLicenceCredentialResponse:
        """Answer GetLicenceCredential.

        Raises Refused INVALID_REQUEST; LICENCE_CREDENTIAL_INVALID for a licence that is not the
        caller's or not in force; NO_LICENCE, OPERATOR_SUSPENDED, OPERATOR_REVOKED.
        """
        authority = self._view().authority
        licences = require_licences(authority, caller.client_id, self._clock.now())
        if not request.licence and len(licences) > 1:
            raise invalid(Violation("licence", "name one: several are in force"))
        keys = [key.thumbprint for key in described_keys(authority.clients[caller.client_id].jwks)]
        if request.key_thumbprint and request.key_thumbprint not in keys:
            raise invalid(
                Violation("key_thumbprint", "use the RFC 7638 thumbprint of a registered key")
            )
        issued = self._credentials.issued(
            caller.operator_id,
            request.licence or licences[0].number,
            request.key_thumbprint or keys[0],
        )
        response = pb.GetLicenceCredentialResponse(credential=issued.text)
        response.expire_time.seconds = issued.expires_at
        return response
