"""RFC 9449 (DPoP): what makes a proof good, as rules.

A proof is a JWT, made for one request, that shows that the sender holds the key its
access token is bound to. The key comes in the proof's own header and is used for
nothing else: whether that key may do anything follows from the token alone.
"""

import hashlib
import math
from base64 import urlsafe_b64encode
from typing import Annotated, Any, Final, NamedTuple

from joserfc import jws
from joserfc.jwk import ECKey, OKPKey, RSAKey
from pydantic import BaseModel, ConfigDict, StringConstraints, ValidationError

from gateway.oauth.htu import normalised_uri
from gateway.oauth.jose import ALGORITHMS, MALFORMED, ProfileRegistry, PublicKey, verified_claims
from operators.jwks import public_key_fault

PROOF_TYPE: Final = "dpop+jwt"

PROOF_SECONDS: Final = 60
"""How long after its ``iat`` a proof can be used (section 11.1: seconds or minutes)."""

SKEW_SECONDS: Final = 30
"""How far a client's clock may run ahead. FAPI 2.0 section 5.3.2.1: up to 10 s must be
accepted, more than 60 s must not."""

MOST_CHARACTERS: Final = 4_096
_KEY_TYPES: Final = {"EC": ECKey, "OKP": OKPKey, "RSA": RSAKey}
_NumericDate = int | float


class InvalidProof(ValueError):
    """A proof that proves nothing; the message tells the mend and repeats no value."""


class DpopProof(NamedTuple):
    """A proof whose signature and claims hold; whether it is new is not told yet.

    ``thumbprint`` is that of the key that signed it (RFC 7638, the token's ``jkt``);
    ``nonce`` what the server is said to have given, None without; from ``usable_until``
    (seconds, UTC) on the proof is refused for its age.
    """

    thumbprint: str
    jti: str
    nonce: str | None
    usable_until: int


class _Claims(BaseModel):
    """Claims of a proof (section 4.2)."""

    model_config = ConfigDict(strict=True, frozen=True, allow_inf_nan=False)

    jti: Annotated[str, StringConstraints(min_length=1, max_length=256)]
    htm: Annotated[str, StringConstraints(max_length=16)]
    htu: Annotated[str, StringConstraints(max_length=2_048)]
    iat: _NumericDate
    nbf: _NumericDate | None = None
    exp: _NumericDate | None = None
    ath: Annotated[str, StringConstraints(max_length=64)] | None = None
    # Section 8.1: nonce = 1*NQCHAR (RFC 6749 appendix A).
    nonce: (
        Annotated[str, StringConstraints(max_length=256, pattern=r"^[\x21\x23-\x5b\x5d-\x7e]+$")]
        | None
    ) = None


class _ProofRegistry(ProfileRegistry):
    """The profile's algorithms; room for an RSA key of 4096 bits in the header."""

    max_header_length = 2_048

    def __init__(self) -> None:
        super().__init__()
        # RFC 7515 section 4: header parameters that are not understood are ignored.
        self.strict_check_header = False


_REGISTRY: Final = _ProofRegistry()


def token_hash(token: str) -> str:
    """Return the ``ath`` of an access token (section 4.2)."""
    return urlsafe_b64encode(hashlib.sha256(token.encode()).digest()).rstrip(b"=").decode()


def verified_proof(
    proof: str, *, method: str, uri: str, now: int, token: str | None = None
) -> DpopProof:
    """Return what ``proof`` says when it was made for this request (section 4.3).

    ``method`` and ``uri`` are the request's own, ``token`` the access token it comes
    with, None at the authorisation server. Left to the caller: that the request has no
    other proof, that the nonce is ours, that the proof is new, and that the token is
    bound to its key. Raises InvalidProof.
    """
    if len(proof) > MOST_CHARACTERS:
        raise InvalidProof(f"The proof is longer than {MOST_CHARACTERS} characters.")
    try:
        header = jws.extract_compact(proof.encode("ascii"), registry=_REGISTRY).headers()
        key, alg = _embedded_key(header)
        claims = _Claims.model_validate(verified_claims(proof, key, alg, _REGISTRY))
    except InvalidProof:
        raise
    except ValidationError as error:
        names = sorted({str(fault["loc"][0]) for fault in error.errors()})
        raise InvalidProof(f"The proof lacks valid {', '.join(names)}.") from error
    except MALFORMED as error:
        raise InvalidProof("The proof's form or signature is not right.") from error
    if claims.htm != method:
        raise InvalidProof(f"The proof's htm must be {method}.")
    if not _same_uri(claims.htu, uri):
        raise InvalidProof("The proof's htu must be the URI the request goes to.")
    if token is not None and claims.ath != token_hash(token):
        raise InvalidProof("The proof's ath must be the hash of the access token.")
    return DpopProof(key.thumbprint(), claims.jti, claims.nonce, _usable_until(claims, now))


def _embedded_key(header: dict[str, Any]) -> tuple[PublicKey, str]:
    """Return the proof's key and algorithm.

    Section 4.3, points 4, 5 and 7: typ is dpop+jwt, alg an asymmetric algorithm that is
    acceptable here, and jwk holds no private key.
    """
    if header.get("typ") != PROOF_TYPE:
        raise InvalidProof(f"The proof's typ must be {PROOF_TYPE}.")
    # No extension is understood here, and one that must be, must be refused.
    if "crit" in header:
        raise InvalidProof("The proof's header must have no crit.")
    alg, jwk = header.get("alg"), header.get("jwk")
    if alg not in ALGORITHMS:
        raise InvalidProof(f"Sign the proof with one of {', '.join(ALGORITHMS)}.")
    if not isinstance(jwk, dict):
        raise InvalidProof("The proof's header must have the public key as jwk.")
    fault = public_key_fault(jwk)
    if fault is not None:
        raise InvalidProof(f"The proof's jwk is not right: {_plain(fault)}.")
    return _KEY_TYPES[jwk["kty"]].import_key(jwk), alg


def _plain(text: str) -> str:
    # RFC 6749 section 5.2: an error_description has no quotes and no backslash.
    return text.replace('"', "").replace("\\", "")


def _same_uri(claimed: str, uri: str) -> bool:
    try:
        return normalised_uri(claimed) == normalised_uri(uri)
    except ValueError:
        return False


def _usable_until(claims: _Claims, now: int) -> int:
    """Return the second from which the proof is refused for its age. Raises InvalidProof."""
    for moment in (claims.iat, claims.nbf):
        if moment is not None and moment > now + SKEW_SECONDS:
            raise InvalidProof("The proof is from the future; set the client's clock.")
    until = claims.iat + PROOF_SECONDS
    if claims.exp is not None:
        until = min(until, claims.exp)
    if until <= now:
        raise InvalidProof("The proof is too old; make one for each request.")
    return math.ceil(until)
