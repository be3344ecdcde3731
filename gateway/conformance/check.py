"""The check of what is kept of operators: as far as it follows from the disclosure, the usage
ledger and itself, it is made anew and compared.

What is nobody's but this store's own, as states of findings, stages and acknowledgements, is
compared to the log of decisions (`gateway.audit.check_facts`).
"""

from contextlib import suppress
from hashlib import sha256
from typing import Final, NamedTuple

from sqlalchemy import Connection, select

from consent.queries import ConsentQueries
from creditgate.transparency.facts import copy_digest
from gateway.conformance.check_duties import check_duties
from gateway.conformance.check_holdings import CheckedHoldings
from gateway.conformance.check_put_right import check_put_right
from gateway.conformance.finding_tables import CHALLENGES, EVIDENCE, FINDINGS
from gateway.conformance.model import RECTIFIED
from gateway.conformance.revisions import revisions_of
from gateway.storage.engines import Engines, reading, snapshot
from gateway.storage.paging import pages
from gateway.transparency.faults import EnoughFaults, Fault, Faults

_EVIDENCE_AT_ONCE: Final = 20


class CheckedConformance(NamedTuple):
    """How many blocks and duties were made anew, and what was wrong."""

    blocks: int
    duties: int
    faults: list[Fault]


def check_conformance(engines: Engines) -> CheckedConformance:
    """Check what is kept of operators. Raises what the stores raise when they cannot be read."""
    faults = Faults()
    blocks = duties = 0
    # Evidence first: what it followed is in the records as they are read afterwards.
    with snapshot(engines.evidence) as evidence, reading(engines.records) as records:
        holdings = CheckedHoldings(records, evidence, ConsentQueries(engines.records), faults)
        with suppress(EnoughFaults):
            holdings.check()
            held = check_put_right(records, evidence, holdings.whole, faults)
            duties = check_duties(records, evidence, held, holdings.cut, faults)
            _check_evidence(evidence, faults)
            _check_challenges(records, evidence, faults)
        blocks = holdings.blocks
    return CheckedConformance(blocks, duties, faults.found)


def _check_evidence(evidence: Connection, faults: Faults) -> None:
    """See that each finding's evidence is what its digest says, and that none is without,
    unless it may be forgotten (`gateway.conformance.contest_limits`)."""
    query = (
        select(
            FINDINGS.c.finding_id,
            FINDINGS.c.operator_id,
            FINDINGS.c.contested_at,
            FINDINGS.c.evidence_digest,
            (FINDINGS.c.state == RECTIFIED).label("rectified"),
            FINDINGS.c.decided_at,
            EVIDENCE.c.operator_id.label("of"),
            EVIDENCE.c.at,
            EVIDENCE.c.bytes,
            EVIDENCE.c.evidence,
        )
        .select_from(FINDINGS)
        .outerjoin(EVIDENCE, EVIDENCE.c.finding_id == FINDINGS.c.finding_id)
        .where((FINDINGS.c.evidence_digest != b"") | EVIDENCE.c.finding_id.is_not(None))
        .execution_options(yield_per=_EVIDENCE_AT_ONCE)
    )
    for row in evidence.execute(query):
        faults.require(
            bool(row.rectified) and not row.decided_at
            if row.evidence is None
            else (row.of, row.at, row.bytes, sha256(bytes(row.evidence)).digest())
            == (row.operator_id, row.contested_at, len(row.evidence), bytes(row.evidence_digest)),
            f"finding_evidence, finding {row.finding_id}",
            "it is not that of the finding's digest",
        )
    stray = (
        select(EVIDENCE.c.finding_id)
        .outerjoin(FINDINGS, FINDINGS.c.finding_id == EVIDENCE.c.finding_id)
        .where(FINDINGS.c.finding_id.is_(None))
    )
    faults.require(
        evidence.execute(stray.limit(1)).first() is None,
        "finding_evidence",
        "there is evidence of no finding",
    )


def _check_challenges(records: Connection, evidence: Connection, faults: Faults) -> None:
    """See that the copies asked for are those that were disclosed."""
    columns = CHALLENGES.c
    asked = evidence.execute(
        select(
            columns.challenge_id, columns.revision_sequence, columns.record_id, columns.copy_digest
        )
    ).all()
    known = {
        each.sequence: each.copy
        for some in pages({row.revision_sequence for row in asked})
        for each in revisions_of(records, some)
    }
    for challenge_id, sequence, record_id, digest in asked:
        copy = known.get(sequence)
        faults.require(
            copy is not None and (copy.record_id, copy_digest(copy)) == (record_id, bytes(digest)),
            f"challenges, {challenge_id}",
            "it asks for another copy than was disclosed",
        )
