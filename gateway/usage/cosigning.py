"""Cosignatures: an operator's word, signed, that it agrees with its usage log so far.

Source: compact JWS (RFC 7515) with claims (RFC 7519), of a type of its own (RFC 8725 section
3.11), signed by a key registered for the calling client.
"""

import json
from base64 import urlsafe_b64encode
from hashlib import sha256
from typing import Annotated, Final, NamedTuple

from joserfc import jws
from joserfc.jwk import KeySet
from pydantic import BaseModel, ConfigDict, StringConstraints, ValidationError
from sqlalchemy import Engine, select

from creditgate.refusal import Violation, invalid
from creditgate.transparency.merkle import ProofInvalid
from creditgate.transparency.note import open_checkpoint
from creditgate.transparency.receipts import COSIGNATURE_TYPE
from gateway.oauth.jose import MALFORMED, ProfileRegistry, claims_signed_by
from gateway.storage.bounded import bounded
from gateway.storage.engines import reading
from gateway.storage.inserts import INSERT
from gateway.storage.writes import wrote
from gateway.usage.logs import OperatorLogs
from gateway.usage.tables import COSIGNATURES

_MOST_CHARACTERS: Final = 4_096
_MOST_NOTE_CHARACTERS: Final = 2_048
_SKEW_SECONDS: Final = 300
"""How far a client's clock may be off: what is signed does not depend on it."""
_Text = Annotated[str, StringConstraints(min_length=1, max_length=64)]


class Cosignature(NamedTuple):
    """An operator's cosignature of a checkpoint, with the key that verifies it (a JWK)."""

    checkpoint: str
    cosignature: str
    jwk: str
    size: int


class _Claims(BaseModel):
    model_config = ConfigDict(strict=True, frozen=True)

    iss: _Text
    sub: _Text
    iat: int
    checkpoint_sha256: _Text


class Cosigner(NamedTuple):
    """Who cosigns: a client of an operator, and its public keys."""

    operator_id: str
    client_id: str
    keys: KeySet


class Cosignatures:
    """Keeps the newest cosignature of each operator. Calls block; any thread."""

    def __init__(self, evidence: Engine, logs: OperatorLogs) -> None:
        self._evidence = evidence
        self._logs = logs
        self._registry = ProfileRegistry()

    def keep(self, who: Cosigner, checkpoint: str, cosignature: str, now: int) -> int:
        """Keep a cosignature unless a newer checkpoint has one; return the checkpoint's size.

        Raises Refused INVALID_REQUEST.
        """
        size = self._size(who.operator_id, checkpoint)
        jwk = self._signed_with(who, checkpoint, cosignature, now)
        new = {
            "size": size,
            "checkpoint": checkpoint,
            "cosignature": cosignature,
            "client_id": who.client_id,
            "jwk": jwk,
            "at": now,
        }
        with bounded(self._evidence) as connection:
            keeping = INSERT[connection.dialect.name](COSIGNATURES).values(
                operator_id=who.operator_id, **new
            )
            kept = connection.execute(
                keeping.on_conflict_do_update(
                    index_elements=[COSIGNATURES.c.operator_id],
                    set_=new,
                    where=COSIGNATURES.c.size < size,
                ).returning(COSIGNATURES.c.operator_id)
            )
            if kept.first() is not None:
                wrote(connection, COSIGNATURES, [(who.operator_id,)])
        return size

    def newest(self, operator_id: str) -> Cosignature | None:
        """Return an operator's newest cosignature, None before the first."""
        query = select(*(COSIGNATURES.c[name] for name in Cosignature._fields)).where(
            COSIGNATURES.c.operator_id == operator_id
        )
        with reading(self._evidence) as connection:
            row = connection.execute(query).first()
        return None if row is None else Cosignature(*row)

    def _size(self, operator_id: str, checkpoint: str) -> int:
        """Return the size of a checkpoint that the operator's log was signed at."""
        log = self._logs.of(operator_id)
        if log is not None and len(checkpoint) <= _MOST_NOTE_CHARACTERS:
            try:
                size = open_checkpoint(checkpoint, log.key).size
            except ProofInvalid:
                size = 0
            kept = log.checkpoint_of(size)
            if kept is not None and kept.note == checkpoint:
                return size
        raise invalid(
            Violation("checkpoint", "give a checkpoint of your own usage log, as it was given")
        )

    def _signed_with(self, who: Cosigner, checkpoint: str, cosignature: str, now: int) -> str:
        """Return the key that a cosignature is signed with, as JSON."""
        try:
            if len(cosignature) > _MOST_CHARACTERS:
                raise ValueError("too long")
            header = jws.extract_compact(cosignature.encode()).headers()
            signed = claims_signed_by(who.keys, cosignature, header, self._registry)
            if header.get("typ") != COSIGNATURE_TYPE or signed is None:
                raise ValueError("of another type or key")
            claims = _Claims.model_validate(signed.claims)
        except (*MALFORMED, ValidationError):
            raise invalid(
                Violation(
                    "cosignature", f"sign a JWS of typ {COSIGNATURE_TYPE} by a key of this client"
                )
            ) from None
        digest = urlsafe_b64encode(sha256(checkpoint.encode()).digest()).rstrip(b"=").decode()
        expected = (who.client_id, who.operator_id, digest)
        if (claims.iss, claims.sub, claims.checkpoint_sha256) != expected:
            raise invalid(
                Violation(
                    "cosignature",
                    "iss is the client_id, sub the operator_id, checkpoint_sha256 the base64url"
                    " of the checkpoint's SHA-256",
                )
            )
        if abs(claims.iat - now) > _SKEW_SECONDS:
            raise invalid(
                Violation("cosignature", f"let iat be within {_SKEW_SECONDS} seconds of now")
            )
        key = next(key for key in who.keys if key.thumbprint() == signed.thumbprint)
        return json.dumps(key.as_dict(private=False), separators=(",", ":"), sort_keys=True)
