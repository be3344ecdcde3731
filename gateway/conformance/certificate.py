"""Certificates of conformance: signed by the gateway, bound to a checkpoint of its log."""

from collections.abc import Callable
from time import monotonic, sleep
from typing import Final, NamedTuple, Protocol

from sqlalchemy import Engine

from creditgate.conformance_certificate import (
    CERTIFICATE_TYPE,
    STATUS_PATH,
    ConformanceCertificate,
)
from gateway.authority.view import AuthorityView
from gateway.conformance.policy import ConformancePolicy
from gateway.oauth.signing import SigningKeys
from gateway.storage.engines import reading
from gateway.transparency.entries import last_head
from gateway.transparency.log import SignedCheckpoint

_PAUSE_SECONDS: Final = 0.05


class Numbers(NamedTuple):
    """How many copies an operator attested, should hold, and told missing; of those attested how many
    it could be asked to show; and when they were read (seconds, UTC)."""

    copies: int
    entitled: int
    missing: int
    drawable: int
    read_at: int


class CheckpointLog(Protocol):
    """What is needed of `gateway.transparency.log.MerkleLog`."""

    def checkpoint_of(self, size: int) -> SignedCheckpoint | None:
        """Return the checkpoint signed of a size, None where none was."""
        ...


class Certificates:
    """Gives certificates. Calls block."""

    def __init__(
        self,
        policy: ConformancePolicy,
        log: CheckpointLog,
        evidence: Engine,
        keys: SigningKeys,
        view: Callable[[], AuthorityView],
        issuer: str,
        waiting_seconds: float = 2.0,
    ) -> None:
        self._policy = policy
        self._log = log
        self._evidence = evidence
        self._keys = keys
        self._view = view
        self._issuer = issuer
        self._waiting_seconds = waiting_seconds

    def covering(self, event_sequence: int) -> str:
        """Return the newest checkpoint, once it covers an event; "" where it is too long in
        coming, or nothing was logged yet."""
        until = monotonic() + self._waiting_seconds
        while True:
            with reading(self._evidence) as connection:
                head = last_head(connection)
            if head is not None and head.event_sequence >= event_sequence:
                # Every checkpoint ends with the head of the map it commits to.
                checkpoint = self._log.checkpoint_of(head.log_index + 1)
                return "" if checkpoint is None else checkpoint.note
            if monotonic() >= until:
                return ""
            sleep(_PAUSE_SECONDS)

    def issue(
        self,
        attestation_id: str,
        operator_id: str,
        numbers: Numbers,
        event_sequence: int,
        checkpoint: str,
        now: int,
    ) -> tuple[str, int]:
        """Return a certificate bound to a checkpoint that covers an event, and until when it
        is good (seconds, UTC); ("", 0) for an operator that is not registered.

        Raises Refused TEMPORARILY_UNAVAILABLE where no signing key is at hand,
        AUTHORITY_UNKNOWN.
        """
        view = self._view()
        operator = view.authority.operators.get(operator_id)
        if operator is None:
            return "", 0
        until = now + self._policy.certificate_seconds
        certificate = ConformanceCertificate(
            iss=self._issuer,
            sub=operator_id,
            jti=attestation_id,
            iat=now,
            read_at=numbers.read_at,
            exp=until,
            operator_name=operator.display_name,
            operator_uscc=operator.uscc,
            copies=numbers.copies,
            entitled=numbers.entitled,
            missing=numbers.missing,
            drawable=numbers.drawable,
            disclosure_sequence=event_sequence,
            checkpoint=checkpoint,
            status=self._issuer.rstrip("/") + STATUS_PATH + attestation_id,
        )
        signed = self._keys.sign(view.signing_keys, certificate.as_json(), CERTIFICATE_TYPE, now)
        return signed, until
