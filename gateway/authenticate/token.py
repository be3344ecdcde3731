"""Verifying access tokens at every call: RFC 9068 section 4, bound by RFC 8705 or RFC 9449.

Verifying a signature costs about 140 µs, so verified tokens are remembered; what can
change after that (time, revocation, what the caller shows, the keys that stand) is
checked at every call.
"""

import hmac
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Self

from creditgate.refusal import Refused
from creditgate.v1.refusal_pb2 import RefusalReason
from gateway.authenticate.claims import Ancestor, Confirmation, TokenClaims
from gateway.authenticate.reader import ReadToken, TokenReader, token_invalid
from gateway.oauth.client import AuthoritySnapshot
from gateway.oauth.revocations import RevocationBook, revocable
from operators.authority import Authority
from operators.authorization_details import AuthorizationDetail

_MOST_REMEMBERED: Final = 16_384


@dataclass(frozen=True, slots=True)
class VerifiedToken:
    """What a token says, its signature, issuer and audience verified.

    ``principal`` is who acts (``sub``); ``confirmation`` what its holder must show;
    ``client_key`` what the client authenticated by to get it;
    ``kid`` names the key that signed it; ``revocable`` all that a revocation may stop
    it by; ``ancestors`` the tokens it was exchanged from; ``opens`` what its managed scopes
    stood for when its grant was approved; ``expires_at`` and ``auth_time`` are in seconds,
    UTC.
    """

    client_id: str
    principal: str
    scopes: frozenset[str]
    expires_at: int
    confirmation: Confirmation
    client_key: str
    kid: str
    revocable: frozenset[str]
    details: tuple[AuthorizationDetail, ...]
    grant_id: str
    auth_time: int | None
    acr: str
    ancestors: tuple[Ancestor, ...]
    opens: frozenset[str]

    @classmethod
    def of(cls, read: ReadToken) -> Self:
        """Return the token whose claims were read."""
        claims = read.claims
        return cls(
            claims.client_id,
            claims.sub,
            frozenset(claims.scope.split()),
            claims.exp,
            claims.cnf.confirmation,
            claims.client_key,
            read.kid,
            revocable_names(claims),
            claims.authorization_details or (),
            claims.grant_id or "",
            claims.auth_time,
            claims.acr or "",
            tuple(claims.ancestors),
            frozenset((claims.opens or "").split()),
        )


def revocable_names(claims: TokenClaims) -> frozenset[str]:
    """Return all that a revocation may stop a token by.

    Itself, its ancestors, its grant, and the consents its details rest on.
    """
    tokens = (claims.jti, *(ancestor.jti for ancestor in claims.ancestors))
    names = {revocable("token", jti) for jti in tokens}
    if claims.grant_id is not None:
        names.add(revocable("grant", claims.grant_id))
    names.update(
        revocable("consent", detail.consent)
        for detail in claims.authorization_details or ()
        if detail.consent is not None
    )
    return frozenset(names)


def ancestors_stand(ancestors: Iterable[Ancestor], authority: Authority) -> bool:
    """Tell whether what a token was exchanged from could still be got today.

    Each client there, not removed, and still with the key or certificate by which it got
    its token: what is taken from it ends all that came of it (G4).
    """
    for ancestor in ancestors:
        client = authority.clients.get(ancestor.client_id)
        if (
            client is None
            or client.removed_at is not None
            or not client.has_key(ancestor.client_key)
        ):
            return False
    return True


class TokenVerifier:
    """Verifies tokens of one issuer for one audience; one event loop's own."""

    def __init__(self, issuer: str, audience: str) -> None:
        self._reader = TokenReader(issuer, audience)
        self._remembered: OrderedDict[str, VerifiedToken] = OrderedDict()

    def verify(
        self, token: str, shown: Confirmation, now: int, view: AuthoritySnapshot
    ) -> VerifiedToken:
        """Return what ``token`` says, when it is good at ``now`` for who shows ``shown``.

        Raises Refused TOKEN_INVALID, TOKEN_EXPIRED, TOKEN_REVOKED or TOKEN_NOT_YOURS.
        """
        remembered = self._remembered
        verified = remembered.get(token)
        if verified is None:
            verified = VerifiedToken.of(self._reader.read(token, now, view.signing_keys))
            remembered[token] = verified
            if len(remembered) > _MOST_REMEMBERED:
                remembered.popitem(last=False)
        else:
            remembered.move_to_end(token)
        require_good(verified, now, view)
        require_holder(verified.confirmation, shown)
        return verified


def require_good(token: VerifiedToken, now: int, view: AuthoritySnapshot) -> None:
    """Refuse a token, its claims verified, that does not stand any more at ``now``.

    Raises Refused TOKEN_INVALID, TOKEN_EXPIRED or TOKEN_REVOKED.
    """
    if token.kid not in view.signing_keys:
        raise token_invalid("It was signed with a key that no longer stands.")
    if now >= token.expires_at:
        raise Refused(
            RefusalReason.REFUSAL_REASON_TOKEN_EXPIRED,
            "The access token has expired; ask the token endpoint for a new one.",
        )
    require_standing(token.revocable, view.revocations)


def require_standing(names: frozenset[str], revocations: RevocationBook) -> None:
    """Refuse a token that was revoked, by any of its ``names`` (see `revocable_names`).

    Raises Refused TOKEN_REVOKED.
    """
    if not revocations.allows(names):
        raise Refused(
            RefusalReason.REFUSAL_REASON_TOKEN_REVOKED,
            "The access token, or the grant it comes from, was revoked; ask the token endpoint"
            " for a new one.",
        )


def require_holder(wanted: Confirmation, shown: Confirmation) -> None:
    """Refuse a token to everyone but its holder. Raises Refused TOKEN_NOT_YOURS."""
    if wanted.method != shown.method or not hmac.compare_digest(
        wanted.thumbprint, shown.thumbprint
    ):
        raise Refused(
            RefusalReason.REFUSAL_REASON_TOKEN_NOT_YOURS,
            "The access token is bound to another client certificate or key than this call"
            " shows; use the one it was issued for.",
        )
