"""What attestations need of others: certificates, copies drawn, removals owed."""

from collections.abc import Collection, Mapping
from typing import Protocol

from sqlalchemy import Connection

from gateway.conformance.asking_again import Rank
from gateway.conformance.blocks import Sequences
from gateway.conformance.certificate import Numbers


class Certifying(Protocol):
    """Gives certificates; see `gateway.conformance.certificate`."""

    def covering(self, event_sequence: int) -> str:
        """Return a checkpoint that covers an event, "" where there is none."""
        ...

    def issue(
        self,
        attestation_id: str,
        operator_id: str,
        numbers: Numbers,
        event_sequence: int,
        checkpoint: str,
        now: int,
    ) -> tuple[str, int]:
        """Return a certificate and until when it is good (seconds, UTC); ("", 0) where none
        can be given. Raises Refused."""
        ...


class Sampled(Protocol):
    """Copies drawn for a challenge, to be written with the attestation."""

    def asking(self, connection: Connection) -> frozenset[int]:
        """Return the revisions that the operator has to show once this is written."""
        ...

    def write(self, connection: Connection, attestation_id: str, now: int) -> None:
        """Ask for the copies. Raises Refused RATE_EXCEEDED."""
        ...


class Sampling(Protocol):
    """Draws copies; see `gateway.conformance.drawing`."""

    def require_room(self, operator_id: str, copies: int) -> None:
        """Raise Refused RATE_EXCEEDED where too many copies are still to be shown."""
        ...

    def draw(
        self,
        operator_id: str,
        right: Sequences,
        again: Mapping[int, Rank],
        now: int,
    ) -> Sampled:
        """Return some of the copies an operator attested, of the revisions ``right``, and all of
        ``again``, revisions by sequence with their ranks."""
        ...

    def ended(self, sequences: Collection[int], now: int) -> frozenset[int]:
        """Return which revisions are disclosed no longer at ``now`` (seconds, UTC)."""
        ...


class Removals(Protocol):
    """What is needed of `gateway.conformance.removals.RemovalDuties`."""

    def follow(self) -> None:
        """Write down what is owed for all events there are."""
        ...

    def put_right(
        self, connection: Connection, operator_id: str, sequences: Collection[int]
    ) -> None:
        """Write that an operator holds right copies of revisions that it was never served so."""
        ...
