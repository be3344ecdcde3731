"""Attestations: each is kept with what it changed, all in one transaction, once (AIP-155)."""

from collections.abc import Iterable, Sequence
from typing import Final

import numpy as np
from sqlalchemy import Connection, insert

from gateway.conformance.asking_again import asked_again
from gateway.conformance.attestation_order import as_opened, require_newer, require_spacing
from gateway.conformance.attestation_rows import (
    Last,
    attestation_by_request,
    attestation_of,
    last_attested,
    listed_attestations,
    was_false,
)
from gateway.conformance.attested_needs import Certifying, Removals, Sampling
from gateway.conformance.basis import Basis
from gateway.conformance.blocks import Sequences
from gateway.conformance.certificate import Numbers
from gateway.conformance.comparing import Compared, compare, truly_missing
from gateway.conformance.elsewhere import RemovalsElsewhere
from gateway.conformance.finding_rows import (
    close_findings,
    dated_id,
    dismissed_copies,
    earliest_false,
    false_before,
    keep_waiting,
    new_finding,
    standing_findings,
    write_findings,
)
from gateway.conformance.finding_tables import ATTESTATIONS
from gateway.conformance.holdings import Holdings
from gateway.conformance.mended import given_up, mended_by, unproven_of
from gateway.conformance.model import (
    ATTESTATION_FALSE,
    MISSING,
    Attestation,
    Difference,
)
from gateway.conformance.policy import ConformancePolicy
from gateway.conformance.removal_rows import attested_gone
from gateway.conformance.sampled import Sample, sample_of, sample_since
from gateway.conformance.standings import attestation_due, touch
from gateway.conformance.told_missing import (
    ToldMissing,
    held_again,
    keep_told_by,
    told_by,
)
from gateway.storage.bounded import LONG_SECONDS, bounded
from gateway.storage.engines import Engines, reading
from gateway.storage.writes import wrote

_KEEP: Final = insert(ATTESTATIONS)


class Attested:
    """The attestations of one installation. Calls block."""

    def __init__(
        self,
        engines: Engines,
        policy: ConformancePolicy,
        certificates: Certifying,
        sampling: Sampling,
        removals: Removals,
        elsewhere: RemovalsElsewhere,
    ) -> None:
        self._engines = engines
        self._engine = engines.evidence
        self._policy = policy
        self._certificates = certificates
        self._sampling = sampling
        self._removals = removals
        self._elsewhere = elsewhere
        self._holdings = Holdings(engines)

    def earlier(self, operator_id: str, request_id: str, opening: bytes) -> Attestation | None:
        """Return what an operator attested by a request before; None where it did not.

        Raises Refused REQUEST_ID_REUSED where that was opened otherwise (AIP-155).
        """
        with reading(self._engine) as connection:
            known = attestation_by_request(connection, operator_id, request_id)
        return known if known is None else as_opened(known, opening)

    def require_turn(self, operator_id: str, copies: int, read_at: int, now: int) -> None:
        """Raise Refused RATE_EXCEEDED where an operator may not attest ``copies`` at ``now``
        (seconds, UTC): too soon after its last attestation, or with too many still to show;
        INVALID_REQUEST where they were read, at ``read_at``, before those it attested last."""
        with reading(self._engine) as connection:
            last = last_attested(connection, operator_id)
        self._require_turn(last, read_at, now)
        self._sampling.require_room(operator_id, copies)

    def record(
        self,
        operator_id: str,
        request_id: str,
        copies: int,
        disclosure_sequence: int,
        differences: Sequence[Difference],
        now: int,
        client_id: str,
        basis: Basis,
    ) -> Attestation:
        """Keep an attestation and what follows: findings opened and rectified, removals shown,
        copies asked for, and a certificate where nothing stands.

        ``differences`` are all there are, the copies right as of ``disclosure_sequence`` but for
        them. ``now`` in seconds, UTC. A request kept before is returned as it was, whatever
        else is given but its opening. Raises Refused as `require_turn`, REQUEST_ID_REUSED as
        `earlier`, and where a certificate cannot be signed: nothing is kept then.
        """
        missing = _revisions(each for each in differences if each.kind == MISSING)
        absent = np.union1d(missing, basis.later)
        told = {each.record_id for each in differences}
        again = held_again(self._engines, operator_id, absent, now)
        # What is beyond may be held otherwise, and is not told missing then.
        lacking = _revisions(() if basis.beyond else truly_missing(differences))
        told_now = told_by(
            self._engines.records,
            operator_id,
            ToldMissing(lacking, basis.answers, basis.since),
        )
        with reading(self._engine) as connection:
            standing = standing_findings(connection, operator_id)
            lately = sample_since(
                connection, operator_id, now - self._policy.certificate_seconds, now
            )
        unproven = unproven_of(standing)
        proven = self._proves(lately, now)
        ended = self._sampling.ended(set(unproven.values()), now)
        if not basis.beyond:
            unheld = {record: unproven[record] for record in unproven.keys() - told}
            ended |= given_up(self._holdings, operator_id, unheld.values(), basis.right)
        asked = asked_again(
            standing,
            {
                sequence
                for record_id, sequence in unproven.items()
                if record_id not in told and sequence not in ended
            },
            mended_by(self._engines.records, standing, basis.right),
            again.differences,
            now,
        )
        sampled = self._sampling.draw(operator_id, basis.right, asked.ranks, now)
        self._removals.follow()
        self._elsewhere.follow(operator_id)
        # Before anything is locked: the log is written to the same store.
        checkpoint = self._certificates.covering(disclosure_sequence)
        with bounded(self._engine, LONG_SECONDS, LONG_SECONDS) as connection:
            touch(connection, operator_id, now)
            known = attestation_by_request(connection, operator_id, request_id)
            if known is not None:
                return as_opened(known, basis.opening)
            last = last_attested(connection, operator_id)
            self._require_turn(last, basis.read_at, now)
            before = false_before(connection, operator_id, now - self._policy.false_seconds)
            stood = standing_findings(connection, operator_id)
            asking = sampled.asking(connection) if asked.ranks else frozenset[int]()
            compared = compare(
                [each.resumed(now) for each in stood],
                [*differences, *again.differences],
                basis.spoken,
                ended,
                dismissed_copies(connection, operator_id),
                before,
                earliest_false(connection, operator_id, now - self._policy.repeated_seconds, now),
                basis.beyond,
                frozenset[int](basis.later.tolist()),
                asked.unasked(asking),
            )
            keep_waiting(connection, stood, {each.finding_id for each in compared.waiting}, now)
            attestation = self._kept(
                connection,
                compared,
                # Whoever has lied of late is not believed yet, nor who shows nothing; and of
                # nothing held there is nothing to certify.
                "" if basis.excused or before or not proven or not copies else checkpoint,
                Numbers(
                    copies,
                    basis.entitled,
                    sum(each.kind == MISSING for each in differences),
                    len(basis.right),
                    basis.read_at,
                ),
                Attestation(
                    attestation_id=dated_id(now),
                    operator_id=operator_id,
                    number=last.number + 1,
                    request_id=request_id,
                    client_id=client_id,
                    copies=copies,
                    disclosure_sequence=disclosure_sequence,
                    opened=len(compared.new),
                    rectified=len(compared.gone),
                    standing=compared.standing + len(again.sequences) - len(again.differences),
                    at=now,
                    certificate="",
                    certificate_until=0,
                    compared=basis.compared,
                    opening=basis.opening,
                    read_at=basis.read_at,
                    waiting=compared.number_waiting,
                ),
            )
            keep_told_by(connection, operator_id, told_now, absent, again)
            self._removals.put_right(connection, operator_id, basis.put_right)
            if not basis.beyond:
                held = {
                    each.record_id
                    for each in differences
                    if each.kind != MISSING and not each.region
                }
                attested_gone(
                    connection,
                    operator_id,
                    basis.spoken,
                    held,
                    client_id,
                    now,
                )
                self._elsewhere.attested_gone(
                    connection, operator_id, basis.read_at, basis.void_elsewhere, client_id, now
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
        with reading(self._engine) as connection:
            return listed_attestations(connection, operator_id, from_, until, before, limit)

    def last(self, operator_id: str) -> Attestation | None:
        """Return an operator's last attestation; None before the first."""
        return next(iter(self.listed(operator_id, None, None, 0, 1)), None)

    def get(self, attestation_id: str) -> Attestation | None:
        """Return an attestation; None where there is none of that id."""
        with reading(self._engine) as connection:
            return attestation_of(connection, attestation_id)

    def was_false(self, attestation_id: str) -> bool:
        """Tell whether a copy drawn for an attestation was not shown, or differed."""
        with reading(self._engine) as connection:
            return was_false(connection, attestation_id)

    def is_proven(self, attestation_id: str, now: int) -> bool:
        """Tell whether the copies drawn for an attestation bear its certificate at ``now``
        (seconds, UTC); see `gateway.conformance.sampled`."""
        with reading(self._engine) as connection:
            sample = sample_of(connection, attestation_id, now)
        return self._proves(sample, now)

    def _proves(self, sample: Sample, now: int) -> bool:
        return sample.proves(self._policy, self._sampling.ended(sample.unshown, now))

    def _require_turn(self, last: Last, read_at: int, now: int) -> None:
        require_spacing(last, self._policy.spacing_seconds, now)
        require_newer(last, read_at, now)

    def _kept(
        self,
        connection: Connection,
        compared: Compared,
        checkpoint: str,
        numbers: Numbers,
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
                )._replace(waits_since=now if compared.waits(difference) else 0)
                for difference, instead_of in compared.new
            ],
        )
        rectified_false = any(each.kind == ATTESTATION_FALSE for each in compared.gone)
        if checkpoint and compared.is_clean and not rectified_false:
            certificate, until = self._certificates.issue(
                attestation.attestation_id,
                attestation.operator_id,
                numbers,
                attestation.disclosure_sequence,
                checkpoint,
                now,
            )
            attestation = attestation._replace(certificate=certificate, certificate_until=until)
        connection.execute(_KEEP, attestation._asdict())
        wrote(connection, ATTESTATIONS, [(attestation.attestation_id,)])
        return attestation


def _revisions(missing: Iterable[Difference]) -> Sequences:
    """Return the revisions, served whole, that differences are of."""
    sequences = {each.revision_sequence for each in missing if each.revision_sequence}
    return np.array(sorted(sequences), np.int64)
