"""Receipts: consents signed by the gateway, and by the subject in its turn.

A receipt is a JWT (RFC 7519) of a type of its own, in compact form, over the artefact. A
subject's signature is a JWS over the very characters of the receipt, detached (RFC 7515
appendix F), so that it signs what the gateway signed and nothing else.
"""

import json
from collections.abc import Callable, Sequence
from typing import Any, Final

from joserfc import jws
from joserfc.jwk import JWKRegistry, OctKey, OKPKey

from consent.histories import History
from consent.model import Consent
from consent.subject_keys import SubjectKey
from creditgate.consent_artefact import MOST_CHARACTERS, RECEIPT_TYPE
from creditgate.refusal import Refused, Violation, invalid
from creditgate.v1.refusal_pb2 import RefusalReason
from gateway.authority.view import AuthorityView
from gateway.clock import Clock
from gateway.consents.artefact import artefact
from gateway.oauth.jose import ALGORITHMS, MALFORMED, ProfileRegistry, PublicKey, fits
from gateway.oauth.signing import SigningKeys

_MOST_SIGNATURE: Final = 2_048
_FIELD: Final = "subject_signature"
_NOTHING_YET: Final = History()


class ConsentReceipts:
    """Signs receipts with the gateway's signing key of the moment."""

    def __init__(
        self,
        keys: SigningKeys,
        view: Callable[[], AuthorityView],
        issuer: str,
        clock: Clock,
    ) -> None:
        self._keys = keys
        self._view = view
        self._issuer = issuer
        self._clock = clock

    def signed(self, consent: Consent, history: History = _NOTHING_YET) -> str:
        """Return the receipt of a consent that was granted, as it stands.

        ``history`` is what happened to it as logged. Raises Refused STATE_CONFLICT
        where it never was granted, TEMPORARILY_UNAVAILABLE where no signing key is at
        hand, AUTHORITY_UNKNOWN, also where its operator is not known.
        """
        now, view = self._clock.now(), self._view()
        operator = view.authority.operators.get(consent.operator_id)
        if operator is None:
            # A receipt says who was allowed, or there is none.
            raise Refused(
                RefusalReason.REFUSAL_REASON_AUTHORITY_UNKNOWN,
                "The operator of the consent is not known here now.",
            )
        claims = artefact(consent, history, self._issuer, now, operator)
        return self._keys.sign(view.signing_keys, claims, RECEIPT_TYPE, now)

    def require_signature(
        self, receipt: str, detached: str, keys: Sequence[SubjectKey]
    ) -> SubjectKey:
        """Return which of ``keys`` signed ``receipt``; raise Refused INVALID_REQUEST for none.

        ``detached`` is a compact JWS with an empty payload, signed by EdDSA (Ed25519),
        ES256 or PS256 over the ASCII characters of the receipt.
        """
        alg, kid = _named(detached)
        for known in keys:
            key = JWKRegistry.import_key(json.loads(known.jwk))
            named = kid in (None, known.thumbprint, key.kid)
            if named and not isinstance(key, OctKey) and _signed(receipt, detached, key, alg):
                return known
        raise _refused("none of the subject's registered keys made this signature")


class _Registry(ProfileRegistry):
    """The profile's algorithms; room for a receipt as payload, and for any header."""

    max_payload_length = 2 * MOST_CHARACTERS

    def __init__(self) -> None:
        super().__init__()
        # RFC 7515 section 4: header parameters that are not understood are ignored.
        self.strict_check_header = False


_REGISTRY: Final = _Registry()


def _named(detached: str) -> tuple[str, str | None]:
    """Return what the header says: the algorithm, and which key if it does."""
    if len(detached) > _MOST_SIGNATURE:
        raise _refused(f"use at most {_MOST_SIGNATURE} characters")
    parts = detached.split(".")
    if len(parts) != 3 or parts[1]:
        raise _refused("use a compact JWS with nothing between its two dots (RFC 7515 appendix F)")
    try:
        header: Any = jws.extract_compact(detached.encode("ascii"), registry=_REGISTRY).headers()
        alg, kid = header.get("alg"), header.get("kid")
    except MALFORMED:
        raise _refused("its header cannot be read") from None
    if not isinstance(alg, str) or alg not in ALGORITHMS:
        raise _refused(f"sign it with one of {', '.join(ALGORITHMS)}")
    # No extension is understood here, b64 of RFC 7797 neither.
    if "crit" in header or "b64" in header:
        raise _refused("its header must have neither crit nor b64")
    return alg, kid if isinstance(kid, str) else None


def _signed(receipt: str, detached: str, key: PublicKey, alg: str) -> bool:
    if not fits(key, alg):
        return False
    if isinstance(key, OKPKey):
        # joserfc takes the two names of Ed25519 for two algorithms.
        key = OKPKey.import_key({**key.as_dict(private=False), "alg": alg})
    try:
        jws.deserialize_compact(
            detached.encode("ascii"), key, registry=_REGISTRY, payload=receipt.encode("ascii")
        )
    except MALFORMED:
        return False
    return True


def _refused(why: str) -> Exception:
    return invalid(Violation(_FIELD, why))
