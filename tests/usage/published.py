"""The vectors of use that are published in docs/vectors, for verifiers in any language.

``python -m tests.usage.published`` writes them anew.
"""

import json
from base64 import b64encode
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from creditgate.transparency.merkle import ProofInvalid
from creditgate.transparency.usage import Answer, verify_served
from creditgate.transparency.usage_charges import compare
from creditgate.transparency.usage_evidence import verify_evidence
from creditgate.v1.disclosed_record_pb2 import DisclosedRecord
from creditgate.v1.usage_evidence_pb2 import UsageEvidenceKind
from creditgate.v1.usage_log_pb2 import UsageLeaf
from tests.receipts import KEY
from tests.usage.promises import answer, chunk, condensed, pieces, promised, record, use
from tests.usage.test_charges import CASES, honest
from tests.usage.test_evidence import PROVED, REFUSED

FILE: Final = Path(__file__).resolve().parents[2] / "docs" / "vectors" / "usage.json"
_RECORDS: Final = [record(3), record(5, "honour"), record(8)]


def vectors() -> dict[str, Any]:
    """Return answers, evidence and logs, each with what it is worth."""
    return {
        "key": str(KEY.verifier),
        "answers": [_answer(name, parts) for name, parts in _answers().items()],
        "evidence": [
            _evidence(name, given_in)
            for name, given_in in {
                **{name: case[0] for name, case in PROVED.items()},
                **{name: case[0] for name, case in REFUSED.items()},
            }.items()
        ],
        "logs": [_log(name) for name in CASES],
    }


def text() -> str:
    """Return what the file holds."""
    return json.dumps(vectors(), ensure_ascii=False, indent=1) + "\n"


def _answers() -> dict[str, Sequence[Answer]]:
    leaf = use(7, _RECORDS)
    grouped = promised(*(use(place, _RECORDS) for place in range(5)), leaf)[-1]
    again: dict[str, Any] = {"replayed": True, "charged_micro_yuan": 0, "charged_entries": 0}
    halves = pieces(_RECORDS[0], at=5)
    halved = use(7, halves, records_digest=use(7, _RECORDS[:1]).records_digest)
    return {
        "signed alone": [answer(leaf, _RECORDS)],
        "signed with five others": [answer(leaf, _RECORDS, grouped)],
        "a chunk in two parts": chunk(leaf, _RECORDS[:2], _RECORDS[2:]),
        "a very large one, by its digest alone": [answer(condensed(leaf)[0], _RECORDS)],
        "a large one, with its detail": [_large(leaf, _RECORDS)],
        "a large one, with another's detail": [_large(leaf, _RECORDS, use(8, _RECORDS[:2]))],
        "a large one of more than was received": [_large(leaf, _RECORDS[:2], charged_entries=2)],
        "without records": [answer(use(8), [])],
        "a retry with a record less": [answer(leaf, _RECORDS[1:], **again)],
        "a retry with a record that was not paid for": [answer(leaf, [record(4)], **again)],
        "a record was left out": [answer(leaf, _RECORDS[:2], charged_entries=3)],
        "a record is another": [answer(leaf, [*_RECORDS[:2], record(9)])],
        "a record in two pieces, charged as two": [answer(halved, halves)],
        "another charge is told": [answer(leaf, _RECORDS, charged_micro_yuan=1)],
        "the receipt of another answer": [answer(leaf, _RECORDS, promised(use(9, _RECORDS))[0])],
        "fees that are not those of the lines": [
            answer(use(7, _RECORDS, fee_micro_yuan=9), _RECORDS)
        ],
    }


def _large(
    leaf: UsageLeaf,
    records: Sequence[DisclosedRecord],
    told: UsageLeaf | None = None,
    **changes: Any,
) -> Answer:
    """Return an answer whose leaf has but the digest of its detail, which comes with it."""
    short, _ = condensed(leaf)
    (receipt,) = promised(short)
    receipt.detail = condensed(told or leaf)[1]
    return answer(short, records, receipt, **changes)


def _answer(name: str, parts: Sequence[Answer]) -> dict[str, Any]:
    made = [part.SerializeToString(deterministic=True) for part in parts]
    vector: dict[str, Any] = {
        "name": name,
        "batch": len(parts) > 1,
        "parts": [b64encode(part).decode() for part in made],
    }
    try:
        leaf = verify_served(parts, KEY.verifier)
    except ProofInvalid as error:
        return {**vector, "verifies": False, "reason": str(error)}
    return {
        **vector,
        "verifies": True,
        "usage_index": leaf.usage_index,
        "fee_micro_yuan": leaf.fee_micro_yuan,
    }


def _evidence(name: str, given_in: bytes) -> dict[str, Any]:
    vector = {"name": name, "evidence": b64encode(given_in).decode()}
    try:
        found = verify_evidence(given_in, KEY.verifier)
    except ProofInvalid as error:
        return {**vector, "verifies": False, "reason": str(error)}
    return {
        **vector,
        "verifies": True,
        "kind": UsageEvidenceKind.Name(found.kind).removeprefix("USAGE_EVIDENCE_KIND_"),
        "usage_index": found.leaf.usage_index,
        "overcharge_micro_yuan": found.overcharge,
        "convicts": found.convicts,
    }


def _log(name: str) -> dict[str, Any]:
    receipts, leaves = honest(), honest()
    CASES[name][0](receipts, leaves)
    return {
        "name": name,
        "receipts": [b64encode(leaf).decode() for leaf in receipts],
        "leaves": [b64encode(leaf).decode() for leaf in leaves],
        "differences": [
            {
                "kind": each.kind.value,
                "usage_index": each.usage_index,
                "overcharge_micro_yuan": each.overcharge,
            }
            for each in compare(receipts, leaves)
        ],
    }


if __name__ == "__main__":
    FILE.write_text(text(), encoding="utf-8")
