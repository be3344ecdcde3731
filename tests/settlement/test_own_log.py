"""Evidence against a statement of very many uses: as short as of few, judged in bounded memory."""

import json
import resource
from base64 import urlsafe_b64encode
from collections.abc import Iterator

import pytest
from google.protobuf.json_format import MessageToDict
from sqlalchemy import insert

from creditgate.rating.plans import plan_bytes
from creditgate.statement_document import ALGORITHM, TYPE
from creditgate.transparency.merkle import GrowingRoot, leaf_hash, root_of
from creditgate.transparency.note import Checkpoint, checkpoint_body, signed
from creditgate.transparency.receipts import usage_log_key
from creditgate.transparency.statement_evidence import STATEMENT, verify_statement_evidence
from creditgate.v1.usage_evidence_pb2 import StatementEvidence, UsageEvidence
from creditgate.v1.usage_service_pb2 import Statement
from gateway.meter.tables import USAGE
from gateway.settlement.own_log import OwnLog
from gateway.storage.engines import Engines, reading
from gateway.usage.leaves import LedgerLeaves
from tests.receipts import KEY
from tests.settlement.test_closing import FEE, closed, served
from tests.settlement.world import JANUARY, PLAN, Ledger, Months

PADDED = 1_000_000
_AT_ONCE = 5_000


def fill(engines: Engines, ledger: Ledger, uses: int) -> None:
    """Charge so many answers of one record alike; the first is there."""
    first = ledger.rows[0]._asdict()
    with engines.records.begin() as connection:
        for start in range(1, uses, _AT_ONCE):
            rows = [
                first | {"request_id": f"r-{n}", "decision_id": f"d-{n}", "usage_index": n}
                for n in range(start, min(start + _AT_ONCE, uses))
            ]
            connection.execute(insert(USAGE), rows)


def leaves(engines: Engines) -> Iterator[bytes]:
    """Yield the leaves of alpha's log."""
    after, reads = 0, LedgerLeaves()
    with reading(engines.records) as connection:
        while found := reads.after(connection, "alpha", after, _AT_ONCE):
            yield from (each.leaf for each in found)
            after = found[-1].sequence


def head(engines: Engines) -> str:
    """Return the signed head of alpha's log."""
    root, size = GrowingRoot(), 0
    for leaf in leaves(engines):
        root.add(leaf_hash(leaf))
        size += 1
    signer = KEY.named(usage_log_key(KEY.verifier, "alpha").name)
    return signed(checkpoint_body(Checkpoint(signer.verifier.name, size, root.root())), signer)


def document(statement: Statement) -> str:
    """Return a statement as its gateway signs it."""
    stated = {"statements": [MessageToDict(statement, preserving_proto_field_name=True)]}
    parts = [
        urlsafe_b64encode(json.dumps(each).encode()).rstrip(b"=")
        for each in ({"alg": ALGORITHM, "typ": TYPE}, stated)
    ]
    signature = KEY.sign(b".".join(parts))
    return b".".join((*parts, urlsafe_b64encode(signature).rstrip(b"="))).decode()


def evidence(engines: Engines, statement: Statement) -> StatementEvidence:
    """Return short evidence that a month was padded."""
    for shares in (statement.shares, statement.due_shares, statement.lines[0].shares):
        shares.add(beneficiary="platform", amount_micro_yuan=PADDED)
    statement.lines[0].fee_micro_yuan += PADDED
    statement.total_micro_yuan += PADDED
    statement.due_micro_yuan += PADDED
    return StatementEvidence(
        document=document(statement), checkpoint=head(engines), plans=[plan_bytes(PLAN)]
    )


def as_bytes(shown: StatementEvidence) -> bytes:
    """Return evidence against a statement as it is sent."""
    return UsageEvidence(kind=STATEMENT, statement=shown).SerializeToString(deterministic=True)


@pytest.mark.parametrize("uses", [4_000, pytest.param(100_000, marks=pytest.mark.soak)])
async def test_evidence_of_very_many_uses_is_short_and_convicts_as_the_whole_log_does(
    months: Months, ledger: Ledger, engines: Engines, uses: int
) -> None:
    ledger.serve([served(JANUARY, 0)])
    fill(engines, ledger, uses)
    months.close("2026-01")
    statement = closed(months, "2026-01").statement
    assert statement.total_micro_yuan == uses * FEE
    shown = evidence(engines, statement)
    short = as_bytes(shown)
    assert len(short) < 10_000
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    found = verify_statement_evidence(short, KEY.verifier, OwnLog(engines.records).uses)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert found.overcharge == PADDED
    # Kilobytes; some 200 bytes a use.
    assert grown < 30_000 + uses * 0.3
    shown.leaves.extend(leaves(engines))
    assert verify_statement_evidence(as_bytes(shown), KEY.verifier) == found


def test_a_root_that_grows_is_that_of_all_its_leaves() -> None:
    grown, hashes = GrowingRoot(), list[bytes]()
    for number in range(70):
        assert grown.root() == root_of(hashes)
        hashes.append(leaf_hash(bytes([number])))
        grown.add(hashes[-1])
