"""Evidence shows what the gateway's own signatures show, whoever hands it in, and no more."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from creditgate.transparency.merkle import ProofInvalid
from creditgate.transparency.usage import region_records_digest
from creditgate.transparency.usage_evidence import (
    CONFLICT,
    MISCOUNTED,
    TWICE,
    UNPROMISED,
    USE,
    verify_evidence,
)
from creditgate.v1.usage_evidence_pb2 import (
    ShownLeaf,
    UsageAgreement,
    UsageEvidence,
    UsageEvidenceKind,
)
from tests.receipts import KEY
from tests.usage.promises import (
    PRICE,
    REVERSAL,
    Log,
    by_receipt,
    condensed,
    elsewhere,
    pieces,
    record,
    use,
)

RECORDS = [record(3), record(5), record(8)]
IN_PIECES = [piece for each in RECORDS for piece in pieces(each, at=5)]
ELSEWHERE = [record(3, "two-penalty"), record(5, "two-penalty")]
HONOURS = ["honour", "penalty"]
SHORT, DETAIL = condensed(use(5, RECORDS, fee_micro_yuan=9 * PRICE))
LOG = Log(
    use(0, RECORDS),
    use(1, RECORDS),
    use(2, RECORDS, request_id="r-1"),
    use(3, RECORDS, fee_micro_yuan=5 * PRICE),
    use(4, RECORDS, records_digest=use(0, RECORDS[:1]).records_digest),
    SHORT,
    use(6, RECORDS[:1], kind=REVERSAL, request_id="r-1", reversed_index=1),
    use(7, RECORDS, records_digest=use(7).records_digest),
    elsewhere(8, ELSEWHERE),
    use(9, RECORDS, revisions=b""),
    elsewhere(10, RECORDS, records_digest=use(0, RECORDS[:1]).records_digest),
    elsewhere(11, ELSEWHERE, records_digest=use(0, ELSEWHERE).records_digest),
    elsewhere(12, ELSEWHERE, records_digest=region_records_digest(HONOURS, ELSEWHERE)),
)
OLDER = Log(use(0, RECORDS[:2]))
AGREED = Log(*(use(place) for place in range(1)))


def evidence(kind: UsageEvidenceKind.ValueType, *leaves: Any, **more: Any) -> bytes:
    """Return evidence as it is handed in."""
    return UsageEvidence(kind=kind, leaves=leaves, **more).SerializeToString(deterministic=True)


def _told(shown: ShownLeaf) -> ShownLeaf:
    """Return a large leaf by its receipt, which brings the detail."""
    shown.receipt.detail = DETAIL
    return shown


PROVED: dict[str, tuple[bytes, int, int, bool]] = {
    "a use that is logged": (evidence(USE, LOG.shown(0)), 0, 0, False),
    "a use that was promised": (evidence(USE, by_receipt(use(9, RECORDS))), 9, 0, False),
    "the log charges more than was promised": (
        evidence(CONFLICT, by_receipt(use(0, RECORDS[:1])), LOG.shown(0)),
        0,
        2 * PRICE,
        True,
    ),
    "the log is not what it was": (
        evidence(CONFLICT, OLDER.shown(0), LOG.shown(0)),
        0,
        PRICE,
        True,
    ),
    "one request is charged at two places": (
        evidence(TWICE, LOG.shown(1), LOG.shown(2)),
        2,
        3 * PRICE,
        True,
    ),
    "a fee is not that of its lines": (evidence(MISCOUNTED, LOG.shown(3)), 3, 2 * PRICE, True),
    "more records are charged than were served": (
        evidence(MISCOUNTED, LOG.shown(4), records=RECORDS[:1]),
        4,
        2 * PRICE,
        True,
    ),
    "records are charged and none were served": (
        evidence(MISCOUNTED, LOG.shown(7)),
        7,
        3 * PRICE,
        True,
    ),
    "the fee of a large answer": (
        evidence(MISCOUNTED, LOG.shown(5, DETAIL)),
        5,
        6 * PRICE,
        True,
    ),
    "the fee of a large answer, by its receipt": (
        evidence(MISCOUNTED, _told(by_receipt(SHORT))),
        5,
        6 * PRICE,
        True,
    ),
    "own records are charged and no revisions named": (
        evidence(MISCOUNTED, LOG.shown(9)),
        9,
        3 * PRICE,
        True,
    ),
    "more records of another region are charged than were served": (
        evidence(MISCOUNTED, LOG.shown(10), records=RECORDS[:1]),
        10,
        2 * PRICE,
        True,
    ),
    "records of another region are charged as another item than was told": (
        evidence(MISCOUNTED, LOG.shown(12), records=ELSEWHERE, items=HONOURS),
        12,
        PRICE,
        True,
    ),
    "a charge without a receipt is but a claim": (
        evidence(UNPROMISED, LOG.shown(1)),
        1,
        3 * PRICE,
        False,
    ),
}


@pytest.mark.parametrize("case", PROVED)
def test_evidence_shows(case: str) -> None:
    given_in, place, overcharge, convicts = PROVED[case]
    found = verify_evidence(given_in, KEY.verifier)
    assert (found.leaf.usage_index, found.overcharge, found.convicts) == (
        place,
        overcharge,
        convicts,
    )


REFUSED: dict[str, tuple[bytes, str]] = {
    "nothing": (b"", "does not tell"),
    "no leaf": (evidence(USE), "of one leaf"),
    "a leaf shown by nothing": (evidence(USE, {}), "not signed|no signed note"),
    "two for one": (evidence(USE, LOG.shown(0), LOG.shown(1)), "of one leaf"),
    "a conflict that is none": (
        evidence(CONFLICT, by_receipt(use(0, RECORDS)), LOG.shown(0)),
        "not two of one place",
    ),
    "leaves of two places": (
        evidence(CONFLICT, by_receipt(use(0)), LOG.shown(1)),
        "not two of one place",
    ),
    "what is charged by a receipt alone": (
        evidence(CONFLICT, LOG.shown(0), by_receipt(use(0))),
        "shown by the log",
    ),
    "the older state as what is charged": (
        evidence(CONFLICT, LOG.shown(0), OLDER.shown(0)),
        "newer state",
    ),
    "another operator's leaf": (
        evidence(CONFLICT, by_receipt(use(0, operator_id="beta")), LOG.shown(0)),
        "two operators",
    ),
    "two requests": (evidence(TWICE, LOG.shown(0), LOG.shown(1)), "of one answer"),
    "two chunks": (
        evidence(TWICE, LOG.shown(1), by_receipt(use(9, request_id="r-1", chunk=1))),
        "of one answer",
    ),
    "a charge and its reversal": (evidence(TWICE, LOG.shown(1), LOG.shown(6)), "of one answer"),
    "one place twice": (evidence(TWICE, LOG.shown(1), LOG.shown(1)), "two places"),
    "the later first": (evidence(TWICE, LOG.shown(2), LOG.shown(1)), "the earlier first"),
    "what is counted right": (evidence(MISCOUNTED, LOG.shown(0)), "what it counts"),
    "records that were served": (
        evidence(MISCOUNTED, LOG.shown(0), records=RECORDS),
        "what it counts",
    ),
    "another region's records, whose revisions are its own": (
        evidence(MISCOUNTED, LOG.shown(8)),
        "what it counts",
    ),
    "another region's records that were served, by its own items": (
        evidence(MISCOUNTED, LOG.shown(11), records=ELSEWHERE),
        "what it counts",
    ),
    "another region's records that were served, with the items told": (
        evidence(MISCOUNTED, LOG.shown(8), records=ELSEWHERE, items=["penalty"] * 2),
        "what it counts",
    ),
    "other items than were told": (
        evidence(MISCOUNTED, LOG.shown(12), records=ELSEWHERE, items=["penalty"] * 2),
        "not those of the leaf",
    ),
    "another region's records without the items that were told": (
        evidence(MISCOUNTED, LOG.shown(12), records=ELSEWHERE),
        "not those of the leaf",
    ),
    "an item of one record of two": (
        evidence(MISCOUNTED, LOG.shown(12), records=ELSEWHERE, items=["penalty"]),
        "of each record",
    ),
    "items of own records": (
        evidence(MISCOUNTED, LOG.shown(0), records=RECORDS, items=["penalty"] * 3),
        "of each record",
    ),
    "records of another answer": (
        evidence(MISCOUNTED, LOG.shown(0), records=RECORDS[:1]),
        "not those of the leaf",
    ),
    "records in two pieces each, which have the same bytes": (
        evidence(MISCOUNTED, LOG.shown(0), records=IN_PIECES),
        "without a name",
    ),
    "another region's records in two pieces each": (
        evidence(
            MISCOUNTED,
            LOG.shown(11),
            records=[piece for each in ELSEWHERE for piece in pieces(each, at=5)],
        ),
        "without a name",
    ),
    "a large answer without its detail": (evidence(MISCOUNTED, LOG.shown(5)), "missing"),
    "a claim by a receipt": (evidence(UNPROMISED, by_receipt(use(1))), "shown by the log"),
    "a claim against a reversal": (evidence(UNPROMISED, LOG.shown(6)), "shown by the log"),
    "records where none are counted": (
        evidence(USE, LOG.shown(0), records=RECORDS),
        "counted anew",
    ),
    "an agreement to a dispute": (
        evidence(UNPROMISED, LOG.shown(0), agreement=UsageAgreement(checkpoint="x")),
        "only a use is agreed",
    ),
    "an agreement to another log": (
        evidence(USE, LOG.shown(0), agreement=UsageAgreement(checkpoint=AGREED.note)),
        "consistency proof",
    ),
    "an agreement that does not reach so far": (
        evidence(
            USE,
            Log(use(0), use(1)).shown(1),
            agreement=UsageAgreement(
                checkpoint=AGREED.note, consistency_proof=Log(use(0), use(1)).path(0)
            ),
        ),
        "does not reach",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_shows_nothing_is_refused(case: str) -> None:
    given_in, reason = REFUSED[case]
    with pytest.raises(ProofInvalid, match=reason):
        verify_evidence(given_in, KEY.verifier)


def test_use_that_was_agreed_with_is_tied_to_the_agreement() -> None:
    agreement = UsageAgreement(
        checkpoint=AGREED.note, cosignature="a.b.c", consistency_proof=Log(use(0), use(1)).path(0)
    )
    found = verify_evidence(
        evidence(USE, Log(use(0), use(1)).shown(0), agreement=agreement), KEY.verifier
    )
    assert found.agreement == agreement


@given(st.sampled_from(sorted(PROVED)), st.data())
def test_evidence_of_which_one_bit_changes_shows_nothing(case: str, data: st.DataObject) -> None:
    whole = bytearray(PROVED[case][0])
    place = data.draw(st.integers(2, len(whole) - 1))
    whole[place] ^= 1 << data.draw(st.integers(0, 7))
    _refused(lambda: verify_evidence(bytes(whole), KEY.verifier))


@given(st.lists(st.sampled_from([*range(2, 10), 12]), min_size=3, max_size=3), st.booleans())
def test_records_that_were_served_convict_nobody_however_their_bytes_are_divided(
    cuts: list[int], glued: bool
) -> None:
    divided = [piece for each, at in zip(RECORDS, cuts, strict=True) for piece in pieces(each, at)]
    if glued:
        # A record whole behind one in pieces.
        divided[2:4] = RECORDS[1:2]
    _refused(
        lambda: verify_evidence(evidence(MISCOUNTED, LOG.shown(0), records=divided), KEY.verifier)
    )


def _refused(check: Callable[[], object]) -> None:
    with pytest.raises(ProofInvalid):
        check()
