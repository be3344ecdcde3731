"""A checked authorisation request, as the store keeps it until a person decides."""

from pydantic import BaseModel, ConfigDict

from gateway.oauth.terms import KeptDetails


class AuthorizationRequest(BaseModel):
    """What an authenticated client pushed (RFC 9126), every parameter checked.

    ``redirect_uri`` is registered for the client and ``scope`` granted to it when it was
    pushed. ``signed_response`` asks for JARM; ``jkt`` is the thumbprint of the key its
    token must be bound to (RFC 9449 section 10). ``acr_values``, ``max_age`` (seconds)
    and ``prompt`` are for whoever signs the person in.
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
