"""Attestations: each is kept with what it changed, all in one transaction, once (AIP-155)."""

from collections.abc import Collection, Sequence
from typing import Final, Protocol

from sqlalchemy import Connection, Engine, func, insert, select

from gateway.conformance.comparing import Compared, compare
from gateway.conformance.finding_rows import (
    close_findings,
    dated_id,
    dismissed_copies,
    new_finding,
    standing_findings,
    write_findings,
)
from gateway.conformance.finding_tables import ATTESTATIONS
from gateway.conformance.model import (
    ATTESTATION_FALSE,
    CONTESTED,
    MISSING,
    Attestation,
    Difference,
    Finding,
)
from gateway.conformance.policy import ConformancePolicy
from gateway.conformance.standings import attestation_due, touch
from gateway.storage.engines import reading

_A = ATTESTATIONS.c
_COLUMNS: Final = [ATTESTATIONS.c[name] for name in Attestation._fields]


class Certifying(Protocol):
    """Gives certificates; see `gateway.conformance.certificate`."""

    def covering(self, event_sequence: int) -> str:
        """Return a checkpoint that covers an event, "" where there is none."""
        ...

    def issue(
        self,
        attestation_id: str,
        operator_id: str,
        copies: int,
        event_sequence: int,
        checkpoint: str,
        now: int,
    ) -> tuple[str, int]:
        """Return a certificate and until when it is good (seconds, UTC); ("", 0) where none
        can be given. Raises Refused."""
        ...


class Sampled(Protocol):
    """Copies drawn for a challenge, to be written with the attestation."""

    def write(self, connection: Connection, attestation_id: str, now: int) -> None:
        """Ask for the copies."""
        ...


class Sampling(Protocol):
    """Draws copies; see `gateway.conformance.challenges`."""

    def draw(
        self,
        operator_id: str,
        copies: int,
        missing: Collection[int],
        again: Collection[int],
        now: int,
    ) -> Sampled:
        """Return some of the copies an operator attested: of what it should hold and does not
        call ``missing``, and all of ``again``, revisions by sequence."""
        ...

    def ended(self, sequences: Collection[int], now: int) -> frozenset[int]:
        """Return which revisions are disclosed no longer at ``now`` (seconds, UTC)."""
        ...


class Attested:
    """The attestations of one store. Calls block."""

    def __init__(
        self,
        engine: Engine,
        policy: ConformancePolicy,
        certificates: Certifying,
        sampling: Sampling,
    ) -> None:
        self._engine = engine
        self._policy = policy
        self._certificates = certificates
        self._sampling = sampling

    def earlier(self, operator_id: str, request_id: str) -> Attestation | None:
        """Return what an operator attested by a request before; None where it did not."""
        with reading(self._engine) as connection:
            return _earlier(connection, operator_id, request_id)

    def record(
        self,
        operator_id: str,
        request_id: str,
        copies: int,
        disclosure_sequence: int,
        differences: Sequence[Difference],
        now: int,
        client_id: str,
    ) -> Attestation:
        """Keep an attestation and what follows: findings opened and rectified, copies asked
        for, and a certificate where nothing stands.

        ``differences`` are all there are as of ``disclosure_sequence``, one of a kind and
        record; later events are not judged. ``now`` in seconds, UTC. A request kept before
        is returned as it was, whatever else is given. Raises Refused where a certificate
        cannot be signed: nothing is kept then.
        """
        missing = [each.revision_sequence for each in differences if each.kind == MISSING]
        told = {each.record_id for each in differences}
        with reading(self._engine) as connection:
            unproven = _unproven(standing_findings(connection, operator_id))
        ended = self._sampling.ended(set(unproven.values()), now)
        again = {
            sequence
            for record_id, sequence in unproven.items()
            if record_id not in told and sequence not in ended
        }
        sampled = self._sampling.draw(operator_id, copies, missing, again, now)
        # Before anything is locked: the log is written to the same store.
        checkpoint = self._certificates.covering(disclosure_sequence)
        with self._engine.begin() as connection:
            touch(connection, operator_id, now)
            known = _earlier(connection, operator_id, request_id)
            if known is not None:
                return known
            compared = compare(
                standing_findings(connection, operator_id),
                differences,
                disclosure_sequence,
                ended,
                dismissed_copies(connection, operator_id),
            )
            attestation = self._kept(
                connection,
                compared,
                checkpoint,
                Attestation(
                    attestation_id=dated_id(now),
                    operator_id=operator_id,
                    number=_number(connection, operator_id),
                    request_id=request_id,
                    client_id=client_id,
                    copies=copies,
                    disclosure_sequence=disclosure_sequence,
                    opened=len(compared.new),
                    rectified=len(compared.gone),
                    standing=_standing(compared),
                    at=now,
                    certificate="",
                    certificate_until=0,
                ),
            )
            sampled.write(connection, attestation.attestation_id, now)
            attestation_due(connection, operator_id, now + self._policy.attestation_seconds)
        return attestation

    def listed(
        self, operator_id: str, from_: int | None, until: int | None, before: int, limit: int
    ) -> list[Attestation]:
        """Return an operator's attestations of a period, newest first.

        ``before`` is the number an earlier page ended at, 0 for the first.
        """
        query = (
            select(*_COLUMNS)
            .where(_A.operator_id == operator_id)
            .order_by(_A.number.desc())
            .limit(limit)
        )
        if before:
            query = query.where(_A.number < before)
        if from_ is not None:
            query = query.where(_A.at >= from_)
        if until is not None:
            query = query.where(_A.at < until)
        with reading(self._engine) as connection:
            return [Attestation(*row) for row in connection.execute(query)]

    def last(self, operator_id: str) -> Attestation | None:
        """Return an operator's last attestation; None before the first."""
        return next(iter(self.listed(operator_id, None, None, 0, 1)), None)

    def get(self, attestation_id: str) -> Attestation | None:
        """Return an attestation; None where there is none of that id."""
        query = select(*_COLUMNS).where(_A.attestation_id == attestation_id)
        with reading(self._engine) as connection:
            row = connection.execute(query).one_or_none()
        return None if row is None else Attestation(*row)

    def _kept(
        self,
        connection: Connection,
        compared: Compared,
        checkpoint: str,
        attestation: Attestation,
    ) -> Attestation:
        now = attestation.at
        close_findings(connection, (each.finding_id for each in compared.gone), now)
        write_findings(
            connection,
            [
                new_finding(
                    self._policy,
                    attestation.operator_id,
                    difference,
                    attestation.attestation_id,
                    now,
                    instead_of,
                )
                for difference, instead_of in compared.new
            ],
        )
        if checkpoint and _is_clean(compared):
            certificate, until = self._certificates.issue(
                attestation.attestation_id,
                attestation.operator_id,
                attestation.copies,
                attestation.disclosure_sequence,
                checkpoint,
                now,
            )
            attestation = attestation._replace(certificate=certificate, certificate_until=until)
        connection.execute(insert(ATTESTATIONS).values(attestation._asdict()))
        return attestation


def _earlier(connection: Connection, operator_id: str, request_id: str) -> Attestation | None:
    query = select(*_COLUMNS).where(_A.operator_id == operator_id, _A.request_id == request_id)
    row = connection.execute(query).one_or_none()
    return None if row is None else Attestation(*row)


def _number(connection: Connection, operator_id: str) -> int:
    """Return the number of an operator's next attestation; the operator must be locked."""
    query = select(func.max(_A.number)).where(_A.operator_id == operator_id)
    return (connection.execute(query).scalar() or 0) + 1


def _unproven(standing: Sequence[Finding]) -> dict[str, int]:
    """Return the records, with their revisions, of which false attestations stand."""
    return {
        each.record_id: each.revision_sequence
        for each in standing
        if each.kind == ATTESTATION_FALSE
    }


def _standing(compared: Compared) -> int:
    stay = sum(each.kind != MISSING and each.state != CONTESTED for each in compared.stay)
    new = sum(each.kind != MISSING for each, _ in compared.new)
    return stay + new + compared.unlisted


def _is_clean(compared: Compared) -> bool:
    # What is contested does not count against the operator, but nothing is certified over it.
    return not _standing(compared) and all(each.kind == MISSING for each in compared.stay)
