"""The size of a proof of completeness as the disclosure grows a thousandfold.

Up to a hundred thousand records it is that of real answers of a real gateway, serialised. Trees of
a million and of ten million records are not made: only the keys of their leaves are drawn, as
evenly as hashes fall, and from them the shape of each path is read. A hash is 32 bytes whatever it
is. Drawn proofs of ten and a hundred thousand records stand beside the real ones, so that one sees
how true they are.
"""

import asyncio
from collections.abc import Sequence
from math import log2
from statistics import mean
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from benchmarks.parts.stage import Gateway, Stage
from benchmarks.results import Measure
from benchmarks.rounds import Spread
from benchmarks.shape import Shape, subject_code
from creditgate.transparency.merkle import HASH_BYTES
from creditgate.v1.credit_record_service_pb2 import GetSubjectRecordsRequest
from creditgate.v1.credit_record_service_pb2_grpc import CreditRecordServiceStub
from creditgate.v1.disclosure_proof_pb2 import (
    DisclosureLogEntry,
    DisclosureProof,
    MapHead,
    MapHeadProof,
    MapPath,
    ProofKind,
    PublicSetProof,
    SubjectProof,
)
from creditgate.v1.vocabulary_pb2 import Purpose
from sdk.connection import connect
from sdk.request_ids import new_request_id

Keys = NDArray[np.uint64]
"""First 64 bits of keys, in order."""

_RECORDS: Final = (10_000, 100_000, 1_000_000, 10_000_000)
_REAL: Final = (10_000, 100_000)
_REAL_EACH: Final = 5
_ASKED: Final = 200
_RECORDS_EACH: Final = 5
_EVENTS_A_HEAD: Final = 100
_SUBJECTS: Final = 500
_KEY_BITS: Final = 64
_HASH: Final = b"\xa5" * HASH_BYTES
_PROTECTED: Final = ["evaluation.public-credit", "tax.payment"]
_CHECKPOINT: Final = (
    "gateway.example/log/disclosure\n{}\n" + "A" * 44 + "\n\n"
    "— gateway.example/log/disclosure " + "A" * 92 + "\n"
)


def measure(stage: Stage) -> list[Measure]:
    """Return the bytes of proofs, and what each doubling of the records adds to them."""
    real = {records: _weighed(stage, records) for records in _REAL}
    return [
        *drawn_measures(),
        *(_compared(records, real[records]) for records in _REAL),
        *(
            Measure(f"proofsize.real_complete_{records}_records", Spread.of(sizes), "B")
            for records, sizes in real.items()
        ),
    ]


def drawn_measures() -> list[Measure]:
    """Return the figures of drawn proofs alone."""
    sizes = {records: _sizes(records) for records in _RECORDS}
    few, many = _RECORDS[0], _RECORDS[-1]
    doublings = log2(many / few)
    return [
        Measure(
            "proofsize.bytes_added_by_doubling",
            Spread.of([(mean(sizes[many]) - mean(sizes[few])) / doublings]),
            "B",
            at_most=80,
        ),
        Measure(
            f"proofsize.{many}_over_{few}_records",
            Spread.of([mean(sizes[many]) / mean(sizes[few])]),
            at_most=2,
        ),
        *(
            Measure(f"proofsize.drawn_complete_{records}_records", Spread.of(sizes[records]), "B")
            for records in _RECORDS
        ),
    ]


def _compared(records: int, real: Sequence[float]) -> Measure:
    return Measure(
        f"proofsize.real_over_drawn_{records}_records",
        Spread.of([mean(real) / mean(_sizes(records))]),
        at_most=1.15,
    )


def _weighed(stage: Stage, records: int) -> list[float]:
    """Return the sizes of proofs in answers of a gateway that discloses so many records."""
    shape = Shape(records // _REAL_EACH, _REAL_EACH)
    with stage.gateway(shape) as gateway:
        return asyncio.run(_asked(gateway))


async def _asked(gateway: Gateway) -> list[float]:
    chosen = np.random.default_rng(3).integers(0, gateway.shape.subjects, _ASKED)
    async with await connect(gateway.credentials) as channel:
        stub: Any = CreditRecordServiceStub(channel)
        sizes: list[float] = []
        for number in chosen.tolist():
            answer = await stub.GetSubjectRecords(
                GetSubjectRecordsRequest(
                    subject=subject_code(number),
                    items=gateway.shape.items,
                    purpose=Purpose.PURPOSE_CREDIT_APPROVAL,
                    request_id=new_request_id(),
                    proof=ProofKind.PROOF_KIND_COMPLETE,
                )
            )
            sizes.append(float(len(answer.proof.SerializeToString())))
        return sizes


def path_of(keys: Keys, key: int) -> MapPath:
    """Return the path of one of ``keys`` in their tree, its hashes made up."""
    siblings: list[bool] = []
    low, high = 0, len(keys)
    while high - low > 1:
        depth = len(siblings)
        shift = _KEY_BITS - 1 - depth
        middle = np.uint64((key >> shift | 1) << shift)
        at = low + int(np.searchsorted(keys[low:high], middle))
        if key >> shift & 1:
            siblings.append(at > low)
            low = at
        else:
            siblings.append(at < high)
            high = at
    bits = "".join(str(int(there)) for there in siblings)
    size = (len(bits) + 7) // 8
    return MapPath(
        depth=len(siblings),
        sibling_bits=int(bits.ljust(8 * size, "0") or "0", 2).to_bytes(size, "big"),
        siblings=[_HASH] * sum(siblings),
    )


def drawn(count: int, seed: int = 1) -> Keys:
    """Return ``count`` keys as evenly as hashes fall, always the same."""
    return np.sort(np.random.default_rng(seed).integers(0, 2**64, count, np.uint64))


def _sizes(records: int) -> Sequence[float]:
    """Return the sizes of proofs about some subjects among ``records``."""
    keys = drawn(records // _RECORDS_EACH)
    log_size = records + records // _EVENTS_A_HEAD
    asked = np.random.default_rng(2).choice(keys, _SUBJECTS)
    return [float(_proof(path_of(keys, int(key)), log_size).ByteSize()) for key in asked]


def _proof(path: MapPath, log_size: int) -> DisclosureProof:
    """Return a proof that goes with an answer about one subject, as many bytes as a true one."""
    head = MapHead(
        event_sequence=log_size,
        public_root=_HASH,
        protected_commitment=_HASH,
        protected_items_digest=_HASH,
    )
    head.map_time.seconds = head.holds_until.seconds = 1_775_000_000
    return DisclosureProof(
        checkpoint=_CHECKPOINT.format(log_size),
        map_head=MapHeadProof(
            log_index=log_size - 1,
            entry=DisclosureLogEntry(map_head=head).SerializeToString(),
            # As long as one can be: a head's place in the tree may make it shorter.
            audit_path=[_HASH] * (log_size - 1).bit_length(),
            protected_items=_PROTECTED,
        ),
        subjects=[
            SubjectProof(
                subject="91000000DEM000011A",
                items=["administrative-penalty"],
                public_set=PublicSetProof(path=path),
            )
        ],
    )
