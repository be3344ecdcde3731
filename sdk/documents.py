"""Signed documents of a gateway, verified offline: receipts, certificates, reports.

The keys are those published at ``{issuer}/consent/receipt-keys.json``, where retired ones
stay, fetched once and kept: `document_keys`. A document tells how things stood when it was
signed; whether they still stand so, the gateway tells.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Generic, Protocol, TypeVar

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, OKPKey
from joserfc.jws import extract_compact
from pydantic import ValidationError

from creditgate.credit_report_proof import is_log_of
from creditgate.signed_document import DOCUMENT_ALGORITHMS, KEYS_PATH
from creditgate.transparency.note import VerifierKey
from sdk.credentials import Profile
from sdk.proxies import by_proxy
from sdk.signing import QuietRegistry

MALFORMED: Final = (JoseError, ValueError, TypeError, KeyError, AttributeError, RecursionError)
"""What reading something that is no JWS may raise."""

_TIMEOUT_SECONDS: Final = 10
_KEY_TYPES: Final = {"ES256": ECKey, "EdDSA": OKPKey, "Ed25519": OKPKey}


STATUS_SECONDS: Final = 3_600
"""So old a signed status may be where nothing else is said."""
_SKEW_SECONDS: Final = 300
"""So far the clocks of gateway and verifier may be apart."""


class DocumentRefused(ValueError):
    """A document proves nothing; the message says why and repeats none of it."""


class KeysUnavailable(Exception):
    """What a document is verified by cannot be had from the gateway; the message says why."""


class Dated(Protocol):
    """What every document tells: who issued it, and when (seconds, UTC)."""

    @property
    def iss(self) -> str: ...

    @property
    def iat(self) -> int: ...

    @classmethod
    def model_validate(cls, obj: Any) -> Any: ...


_Document = TypeVar("_Document", bound=Dated)


@dataclass(frozen=True, slots=True)
class Signed(Generic[_Document]):
    """A document that the gateway signed.

    ``kid`` names the key. ``key_retired`` tells that the key is retired since: where it
    was retired because it fell into other hands, ask the gateway itself.
    """

    document: _Document
    kid: str
    key_retired: bool


@dataclass(frozen=True, slots=True)
class DocumentKind(Generic[_Document]):
    """One kind of documents: the ``typ`` of its header, the longest there is, what it says."""

    typ: str
    most_characters: int
    model: type[_Document]

    def verified(self, text: str, keys: Mapping[str, Any], issuer: str) -> Signed[_Document]:
        """Return what ``text`` says where the gateway ``issuer`` signed it.

        ``keys`` is its JWK Set (RFC 7517). Raises DocumentRefused.
        """
        if len(text) > self.most_characters:
            raise DocumentRefused(f"It is longer than {self.most_characters} characters.")
        try:
            header = extract_compact(text.encode("ascii"), registry=REGISTRY).headers()
        except MALFORMED:
            raise DocumentRefused("It is no JWT in compact form.") from None
        # RFC 8725 section 3.11: the type tells it from every other JWT of the same keys.
        if header.get("typ") != self.typ:
            raise DocumentRefused(f"Its typ is not {self.typ}: it is something else.")
        # RFC 7515 section 4.1.11: an extension that is not understood must be refused.
        if "crit" in header:
            raise DocumentRefused("It uses an extension (crit), which no document does.")
        jwk = _key(keys, header.get("kid"))
        document = self._signed(text, jwk, header.get("alg"))
        if document.iss != issuer:
            raise DocumentRefused("Another gateway issued it.")
        if not jwk.get("iat", 0) <= document.iat < jwk.get("exp", document.iat + 1):
            raise DocumentRefused("It is dated when its key did not sign.")
        return Signed(document, jwk["kid"], "exp" in jwk)

    def _signed(self, text: str, jwk: Mapping[str, Any], alg: object) -> _Document:
        """Return what the document says when ``jwk`` signed it.

        RFC 8725 section 3.1: the key says by which algorithm, the header can choose nothing.
        """
        if not isinstance(alg, str) or alg not in DOCUMENT_ALGORITHMS or jwk.get("alg", alg) != alg:
            raise DocumentRefused("It is signed by an algorithm that its key is not for.")
        public = {name: value for name, value in jwk.items() if name not in ("iat", "exp")}
        try:
            key = _KEY_TYPES[alg].import_key({**public, "alg": alg})
            claims = jwt.decode(text, key, algorithms=[alg], registry=REGISTRY).claims
        except MALFORMED:
            raise DocumentRefused("It was altered, or signed by another key.") from None
        try:
            return self.model.model_validate(claims)
        except ValidationError:
            raise DocumentRefused(
                "It is of another version than this SDK knows: use a newer one."
            ) from None


def issuer_of_log(issuer: str, log: VerifierKey) -> str:
    """Return the issuer a document names, where the pinned key is that of its own disclosure log.

    Raises DocumentRefused.
    """
    if not is_log_of(log.name, issuer):
        raise DocumentRefused(
            "It names an issuer that is not the one the log's key is of; name the issuer you trust."
        )
    return issuer


def require_past(issued_at: int, now: int) -> None:
    """Raise DocumentRefused for what was issued after ``now``; both in seconds, UTC."""
    if issued_at > now + _SKEW_SECONDS:
        raise DocumentRefused("It was issued in the future: set one of the clocks right.")


def require_fresh(status_at: int, document_at: int, now: int, freshness: int) -> None:
    """Raise DocumentRefused unless a status of ``status_at`` tells of a document that was issued
    at ``document_at``, and is at ``now`` no older than ``freshness``; all in seconds, UTC."""
    require_past(status_at, now)
    if status_at < document_at:
        raise DocumentRefused("The status is from before what it is the status of was issued.")
    if now - status_at > freshness:
        raise DocumentRefused(
            f"The status is older than {freshness} seconds: ask the gateway for it again."
        )


def document_keys(credentials: Profile) -> dict[str, Any]:
    """Fetch the keys of documents, retired ones too, from the profile's gateway.

    Blocks. Raises KeysUnavailable.
    """
    return read_keys(read_published(credentials, KEYS_PATH, "The keys of documents"))


def read_published(credentials: Profile, path: str, what: str) -> bytes:
    """Return what the profile's gateway publishes at ``path`` below its issuer; ``what`` names
    it in the message.

    Blocks. Raises KeysUnavailable.
    """
    # What is verified offline needs no client of HTTP, nor is one installed there.
    import httpx

    url = credentials.issuer.rstrip("/") + path
    try:
        with httpx.Client(
            verify=credentials.tls(), timeout=_TIMEOUT_SECONDS, trust_env=by_proxy(url)
        ) as http:
            return http.get(url).raise_for_status().content
    except httpx.HTTPError as error:
        raise KeysUnavailable(
            f"{what} cannot be read from {url} ({type(error).__name__}); check"
            " `issuer`, `ca` and that the gateway runs."
        ) from error


def read_keys(document: bytes) -> dict[str, Any]:
    """Return a JWK Set that was kept in a file. Raises KeysUnavailable."""
    try:
        keys: Any = json.loads(document)
    except ValueError:
        keys = None
    listed = keys.get("keys") if isinstance(keys, dict) else None
    if not isinstance(listed, list) or not all(isinstance(each, dict) for each in listed):
        raise KeysUnavailable('The keys are no JWK Set ({"keys": [...]}, RFC 7517).')
    return {"keys": listed}


class _Registry(QuietRegistry):
    """Room for the longest document."""

    max_payload_length = 2_000_000


# RFC 7515 section 4: header parameters that are not understood are ignored.
REGISTRY: Final = _Registry(strict_check_header=False)
"""How documents are read."""


def _key(keys: Mapping[str, Any], kid: object) -> Mapping[str, Any]:
    found = (
        [jwk for jwk in keys.get("keys", ()) if jwk.get("kid") == kid]
        if isinstance(kid, str)
        else []
    )
    if len(found) != 1:
        raise DocumentRefused("Its key is none of the gateway's; fetch the keys anew.")
    return found[0]
