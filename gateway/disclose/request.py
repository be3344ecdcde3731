"""What publishers send, checked before anything is admitted or looked up."""

import re
from typing import Final

from creditgate.refusal import Violation, invalid
from creditgate.v1 import disclosure_service_pb2 as pb
from gateway.catalogue.admission import RECORD_ID
from gateway.catalogue.personal import holds_personal_data, suspicious
from gateway.catalogue.rejection import RejectionReason
from gateway.note import note_faults

MOST_RECORDS: Final = 5_000
MOST_BATCH_BYTES: Final = 3 << 20
_MOST_REASON: Final = 500
_MOST_REFERENCE: Final = 200
_BATCH_ID: Final = re.compile(r"[\x21-\x7e]{1,128}")
_RECORDS: Final = "records/"

Change = pb.CorrectRecordRequest | pb.RepairRecordRequest | pb.WithdrawRecordRequest


def require_batch(request: pb.PublishRecordsRequest) -> None:
    """Raise INVALID_REQUEST unless a batch has an id and keeps to the sizes."""
    faults: list[Violation] = []
    if _BATCH_ID.fullmatch(request.batch_id) is None:
        faults.append(Violation("batch_id", "required: 1 to 128 visible ASCII characters"))
    if len(request.records) > MOST_RECORDS or request.ByteSize() > MOST_BATCH_BYTES:
        mend = f"send at most {MOST_RECORDS} records and {MOST_BATCH_BYTES} bytes in one batch"
        faults.append(Violation("records", mend))
    if faults:
        raise invalid(*faults)


def record_id_of(request: Change) -> str:
    """Return the id of the record a change is about; raises INVALID_REQUEST."""
    record_id = request.name.removeprefix(_RECORDS)
    faults: list[Violation] = []
    if not request.name.startswith(_RECORDS) or RECORD_ID.fullmatch(record_id) is None:
        faults.append(Violation("name", "must read records/{record_id}"))
    if request.expected_revision < 1:
        faults.append(Violation("expected_revision", "required: revisions count from 1"))
    if isinstance(request, pb.RepairRecordRequest):
        field, note, most = "decision_reference", request.decision_reference, _MOST_REFERENCE
    else:
        field, note, most = "reason", request.reason, _MOST_REASON
    faults += note_faults(field, note, most)
    # It stands in the log of the disclosure for ever, and in what is shown of the record.
    if suspicious(note) and holds_personal_data(note, ""):
        faults.append(Violation(field, RejectionReason.PERSONAL_DATA.value))
    if faults:
        raise invalid(*faults)
    return record_id
