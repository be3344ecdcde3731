"""Signed documents of a gateway, verified offline: receipts, certificates, reports.

The keys are those published at ``{issuer}/consent/receipt-keys.json``, where retired ones
stay, fetched once and kept: `document_keys`. A document tells how things stood when it was
signed; whether they still stand so, the gateway tells.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Generic, Protocol, TypeVar

import httpx
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, OKPKey
from joserfc.jws import extract_compact
from pydantic import ValidationError

from creditgate.signed_document import DOCUMENT_ALGORITHMS, KEYS_PATH
from sdk.credentials import Profile
from sdk.signing import QuietRegistry

MALFORMED: Final = (JoseError, ValueError, TypeError, KeyError, AttributeError, RecursionError)
"""What reading something that is no JWS may raise."""

_TIMEOUT_SECONDS: Final = 10
_KEY_TYPES: Final = {"ES256": ECKey, "EdDSA": OKPKey, "Ed25519": OKPKey}


class DocumentRefused(ValueError):
    """A document proves nothing; the message says why and repeats none of it."""


class KeysUnavailable(Exception):
    """The keys cannot be had from the gateway; the message says why."""


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


def document_keys(credentials: Profile) -> dict[str, Any]:
    """Fetch the keys of documents, retired ones too, from the profile's gateway.

    Blocks. Raises KeysUnavailable.
    """
    url = credentials.issuer.rstrip("/") + KEYS_PATH
    try:
        with httpx.Client(verify=credentials.tls(), timeout=_TIMEOUT_SECONDS) as http:
            answer = http.get(url).raise_for_status()
        return read_keys(answer.content)
    except httpx.HTTPError as error:
        raise KeysUnavailable(
            f"The keys of documents cannot be read from {url} ({type(error).__name__}); check"
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
