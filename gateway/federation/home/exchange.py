"""Token exchange for another region's operators (RFC 8693): a licence credential for a token.

The subject token is the credential, the actor the region that licensed the operator and
authenticated; what is issued can do what the licence, mapped to this region's catalogue, and
what is asked for both allow. What the region's own licence here allows of that is decided at
each call (`operators.rules`).
"""

from collections.abc import Callable, Mapping
from typing import Final

from authlib.oauth2.rfc6749 import InvalidRequestError

from creditgate.refusal import Refused, StatusCode
from creditgate.v1.operator_service_pb2 import ClientRole
from gateway.authenticate.claims import Actor
from gateway.clock import Clock
from gateway.federation.home.bounds import (
    MOST_NAMED,
    Bound,
    Details,
    tellable,
    wider_field,
    within,
)
from gateway.federation.home.licence import MOST_CHARACTERS, Licences
from gateway.federation.home.service import SCOPE
from gateway.federation.trust.book import Region
from gateway.oauth.client import RegisteredClient
from gateway.oauth.description import description
from gateway.oauth.rfc8693 import Exchange, narrowed_scope
from gateway.oauth.rfc9396 import PARAMETER, InvalidAuthorizationDetailsError
from gateway.oauth.token_subject import TokenSubject
from operators.asked_details import AskedDetails, DetailsFault, read_details
from operators.authorization_details import TYPE, AuthorizationDetail

TOKEN_TYPE: Final = "urn:creditgate:token-type:licence"  # noqa: S105  # a type
"""``subject_token_type`` of licence credentials."""


class LicenceExchange:
    """Decides exchanges of licence credentials; any thread, since nothing is waited for.

    ``region_of`` gives the region that a client id is of, and raises Refused where it does not
    stand; ``counterparts``, for a region's entity identifier, this region's item for each of
    that one's that is mapped. ``audience`` is the resource server tokens are for,
    ``token_seconds`` their life.
    """

    def __init__(
        self,
        region_of: Callable[[str], Region],
        licences: Licences,
        counterparts: Callable[[str], Mapping[str, str]],
        clock: Clock,
        audience: str,
        token_seconds: int,
    ) -> None:
        self._region_of = region_of
        self._licences = licences
        self._counterparts = counterparts
        self._clock = clock
        self._audience = audience
        self._token_seconds = token_seconds

    def __call__(self, client: RegisteredClient, form: Mapping[str, str]) -> Exchange:
        """Return what ``client`` gets for the credential in ``form``.

        Raises OAuth2Error as section 2.2.2 has it, Refused where trust or status is not known.
        """
        if client.record.role != ClientRole.CLIENT_ROLE_REGION:
            raise InvalidRequestError("Only regions exchange licence credentials.")
        credential = form["subject_token"]
        if len(credential) > MOST_CHARACTERS:
            raise InvalidRequestError(
                f"The licence credential must not exceed {MOST_CHARACTERS} characters."
            )
        scope = narrowed_scope(form.get("scope"), frozenset({SCOPE}) & client.granted)
        now = self._clock.now()
        try:
            region = self._region_of(client.record.client_id)
            licence = self._licences.shown(credential, region)
            bound = licence.bound(self._counterparts(region.entity_id))
        except Refused as refused:
            if refused.status == StatusCode.UNAVAILABLE:
                raise
            raise InvalidRequestError(description(refused.message)) from None
        details = _details(form.get(PARAMETER), bound, self._audience)
        until = min(licence.until, region.stands_until)
        subject = TokenSubject(
            principal=licence.principal,
            actor=Actor(sub=client.record.client_id),
            until=until,
        )
        seconds = min(self._token_seconds, until - now)
        return Exchange(client.limited_to(details), subject, scope, seconds)


def _details(text: str | None, bound: Bound, audience: str) -> Details:
    """Return the details of the token: what is asked for within ``bound``, or all of that.

    Raises InvalidAuthorizationDetailsError, by a JSON pointer, for what goes beyond.
    """
    if text is None:
        whole = within(AuthorizationDetail(type=TYPE), bound)
        if whole is None or not tellable(whole):
            raise _fault("", _NAME)
        return (whole,)
    try:
        asked = read_details(text)
    except DetailsFault as fault:
        raise InvalidAuthorizationDetailsError(fault) from None
    if asked.consent_terms is not None:
        raise _fault(asked.pointer(0, "consent_terms"), "only a pushed request asks for a consent")
    return tuple(
        _narrowed(asked, index, detail, bound, audience)
        for index, detail in enumerate(asked.details)
    )


def _narrowed(
    asked: AskedDetails, index: int, detail: AuthorizationDetail, bound: Bound, audience: str
) -> AuthorizationDetail:
    for location in sorted(detail.locations - {audience}):
        where = asked.pointer(index, "locations", location)
        raise _fault(where, f"tokens of this server are for {audience} alone")
    field = wider_field(detail, bound)
    narrowed = within(detail, bound)
    if field is not None or narrowed is None:
        raise _fault(asked.pointer(index, field or "type"), _WIDER)
    if not tellable(narrowed):
        raise _fault(asked.pointer(index, "type"), _NAME)
    return narrowed


def _fault(pointer: str, mend: str) -> InvalidAuthorizationDetailsError:
    return InvalidAuthorizationDetailsError(DetailsFault(pointer, mend))


_WIDER: Final = "it goes beyond the operator's licence as mapped here; ask for that or for less"
_NAME: Final = f"name the items and regions wanted, at most {MOST_NAMED} of each"
