"""A checked authorisation request, as the store keeps it until a person decides."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, PlainSerializer

from gateway.oauth.terms import KeptDetails
from operators.consent_terms import AskedConsentTerms


def _as_sent(terms: AskedConsentTerms | None) -> dict[str, Any] | None:
    return None if terms is None else terms.as_json()


_KeptTerms = Annotated[AskedConsentTerms | None, PlainSerializer(_as_sent)]


class AuthorizationRequest(BaseModel):
    """What an authenticated client pushed (RFC 9126), every parameter checked.

    ``redirect_uri`` is registered for the client and ``scope`` granted to it when it was
    pushed. ``signed_response`` asks for JARM; ``jkt`` is the thumbprint of the key its
    token must be bound to (RFC 9449 section 10). ``acr_values``, ``max_age`` (seconds)
    and ``prompt`` are for whoever signs the person in. ``consent_terms`` are those of the
    consent that its one detail asks for.
    """

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")

    client_id: str
    redirect_uri: str
    scope: str
    state: str | None
    code_challenge: str
    signed_response: bool
    jkt: str | None
    details: KeptDetails
    acr_values: str
    max_age: int | None
    prompt: str
    consent_terms: _KeptTerms = None
