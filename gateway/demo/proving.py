"""Scenes of proof: an answer that is proved complete, offline; a log that only grows."""

import asyncio
from typing import Final

from consent.sql import SqlConsents
from creditgate.transparency.merkle import ProofInvalid, verify_consistency
from creditgate.transparency.note import Checkpoint, open_checkpoint
from creditgate.transparency.verify import verify_answer
from creditgate.v1.credit_record_service_pb2 import (
    GetSubjectRecordsRequest,
    GetSubjectRecordsResponse,
)
from creditgate.v1.disclosure_proof_pb2 import ProofKind
from creditgate.v1.disclosure_service_pb2 import (
    GetCheckpointRequest,
    GetCheckpointResponse,
    GetConsistencyProofRequest,
    GetConsistencyProofResponse,
)
from gateway.audit.check import check_decisions
from gateway.cli.output import Sheet, several
from gateway.demo.account import Section, Step
from gateway.demo.cast import DISHONESTY, PENALTY, REGISTRATION
from gateway.demo.invented import CORRECTED, REPAIRED
from gateway.demo.pinned import Pinned
from gateway.demo.stage import CHECK, Stage
from gateway.selfcheck.kept import KEPT
from gateway.storage.engines import open_engines
from gateway.transparency.check import Checked, check_disclosure
from gateway.transparency.faults import Fault
from gateway.transparency.salts import Salts
from sdk.request_ids import new_request_id

_ASKED: Final = "/creditgate.v1.CreditRecordService/GetSubjectRecords"
_SAME: Final = "nothing differs"
_ITEMS: Final = (REGISTRATION, PENALTY, DISHONESTY)


async def checkpoint(stage: Stage) -> Checkpoint:
    """Return the log's checkpoint of now, as anybody may keep it. Raises grpc.RpcError."""
    answer = await stage.beta.gateway.ask(GetCheckpointRequest(), GetCheckpointResponse)
    return open_checkpoint(answer.checkpoint, (await Pinned.fetched(stage)).log)


async def proved(stage: Stage, kept: Checkpoint) -> Section:
    """Ask with proof, verify what was saved, and extend a checkpoint ``kept`` from before."""
    reader = await Pinned.fetched(stage)
    request, whole = await _asked(stage, CORRECTED)
    other_request, none = await _asked(stage, REPAIRED)
    changed = whole.replace(b'"fine_fen":3', b'"fine_fen":1', 1)
    steps = (
        Step(
            "alpha",
            "asks with proof COMPLETE, and saves what it sent and received",
            "2 records, which are all of 3 items",
            _read(reader, request, whole),
        ),
        Step(
            "alpha's auditor",
            "verifies the saved answer offline, with one letter changed",
            "the answer's signature is not of the gateway's key",
            _read(reader, request, changed),
        ),
        Step(
            "alpha",
            "asks with proof about the company whose credit was repaired",
            "1 record, which are all of 3 items: no penalty",
            f"{_read(reader, other_request, none)}: {_penalties(none)} penalty",
        ),
        Step(
            "anybody",
            "has the log proved to go on from an older checkpoint",
            "it only grew",
            await _grown(stage, reader, kept),
        ),
    )
    return Section("An answer proves that it is all there is", steps, (_sizes(whole, none),))


async def checked(stage: Stage) -> Section:
    """Make the logs and the map anew from the stores, beside the gateway that runs."""
    disclosure, decisions, wrong = await asyncio.to_thread(_checked, stage)
    steps = (
        Step(
            "administrator",
            "makes disclosure log and map anew from the records, and compares every byte",
            _SAME,
            several(map(str, disclosure.faults)) or _SAME,
        ),
        Step(
            "administrator",
            "makes the log of decisions anew from uses and refusals",
            _SAME,
            several(map(str, wrong)) or _SAME,
        ),
    )
    columns = ("events", "entries", "checkpoints", "decisions")
    counts = (disclosure.events, disclosure.entries, disclosure.checkpoints, decisions)
    sheet = Sheet("What was compared", columns, [tuple(map(str, counts))], frozenset(columns))
    return Section(
        "Both logs are what was disclosed and decided, to the last byte", steps, (sheet,)
    )


def _checked(stage: Stage) -> tuple[Checked, int, list[Fault]]:
    engines = open_engines("sqlite", stage.home.root)
    try:
        disclosure = check_disclosure(engines, Salts.kept_in(stage.home.salts))
        receipts = SqlConsents(engines.records).receipts
        return disclosure, *check_decisions(engines, receipts, KEPT)
    finally:
        engines.dispose()


async def _asked(stage: Stage, subject: str) -> tuple[bytes, bytes]:
    """Ask for all of a subject's records of the items; return what was sent and received."""
    request = GetSubjectRecordsRequest(
        subject=subject,
        items=_ITEMS,
        purpose=CHECK,
        request_id=new_request_id(),
        proof=ProofKind.PROOF_KIND_COMPLETE,
    ).SerializeToString()
    # As bytes: what is proved is what was received, not what somebody made of it.
    call = stage.alpha.gateway.channel.unary_unary(_ASKED)
    received: bytes = await call(request)
    stage.alpha.keep(GetSubjectRecordsResponse.FromString(received))
    return request, received


def _read(reader: Pinned, request: bytes, received: bytes) -> str:
    try:
        found = verify_answer(request, received, reader.log)
    except ProofInvalid as invalid:
        return str(invalid)
    (subject,) = found.subjects
    count = len(found.records)
    return f"{count} record{'' if count == 1 else 's'}, which are all of {len(subject.items)} items"


def _penalties(received: bytes) -> str:
    answer = GetSubjectRecordsResponse.FromString(received)
    return "a" if any(record.item == PENALTY for record in answer.records) else "no"


async def _grown(stage: Stage, reader: Pinned, kept: Checkpoint) -> str:
    """Return whether the log of now goes on from the one kept."""
    answer = await stage.beta.gateway.ask(
        GetConsistencyProofRequest(first_tree_size=kept.size), GetConsistencyProofResponse
    )
    try:
        now = open_checkpoint(answer.checkpoint, reader.log)
        verify_consistency(kept.size, now.size, kept.root, now.root, answer.proof)
    except ProofInvalid as invalid:
        return str(invalid)
    return "it only grew" if now.size > kept.size else "it stood still"


def _sizes(*answers: bytes) -> Sheet:
    columns = ("answer with its proof, bytes", "records", "proof and signature, bytes")
    return Sheet(
        "What a proof adds",
        columns,
        [_size(GetSubjectRecordsResponse.FromString(each)) for each in answers],
        frozenset(columns),
    )


def _size(answer: GetSubjectRecordsResponse) -> tuple[str, str, str]:
    whole = answer.ByteSize()
    records = len(answer.records)
    answer.ClearField("proof")
    answer.ClearField("signature")
    return str(whole), str(records), str(whole - answer.ByteSize())
