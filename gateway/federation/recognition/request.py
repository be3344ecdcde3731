"""Requests for recognition: their form, what tells them apart, and how they are answered."""

import json
from base64 import urlsafe_b64decode
from hashlib import sha256
from typing import Final

from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from creditgate.credit_report import MOST_CHARACTERS
from creditgate.recognition import OUTCOMES, RecognitionStatement
from creditgate.refusal import Violation, invalid
from creditgate.signed_document import PURPOSES
from creditgate.v1 import recognition_service_pb2 as pb
from creditgate.v1.recognition_service_pb2 import RecognitionOutcome
from gateway.federation.recognition.store import MadeRecognition
from gateway.respond.request import names_a_consent, request_id_faults

MOST_ANSWER_BYTES: Final = 8 << 20
MOST_PARTS: Final = 64

_MOST_TRANSFER: Final = 64
_NUMBERS: Final = {name: number for number, name in OUTCOMES.items()}

Request = pb.RecogniseReportRequest | pb.RecogniseGradesRequest


def report_faults(request: pb.RecogniseReportRequest) -> list[Violation]:
    """Return what is wrong with the form of a report."""
    if 0 < len(request.document) <= MOST_CHARACTERS and request.document.isascii():
        return []
    return [Violation("document", f"a JWS of at most {MOST_CHARACTERS} characters")]


def answer_faults(request: pb.RecogniseGradesRequest) -> list[Violation]:
    """Return what is wrong with the size of an answer."""
    size = sum(len(part) for part in request.answer)
    if 0 < len(request.answer) <= MOST_PARTS and size <= MOST_ANSWER_BYTES:
        return []
    return [
        Violation("answer", f"1 to {MOST_PARTS} messages of {MOST_ANSWER_BYTES} bytes together")
    ]


def require_form(request: Request, faults: list[Violation]) -> None:
    """Raise Refused INVALID_REQUEST for a malformed request; ``faults`` are those found so far."""
    faults += request_id_faults(request.request_id)
    if request.purpose not in PURPOSES:
        faults.append(Violation("purpose", "required: one of the purposes of the contract"))
    if len(request.transfer_id) > _MOST_TRANSFER:
        faults.append(Violation("transfer_id", "the id of an approved transfer, or empty"))
    if request.consent and not names_a_consent(request.consent):
        faults.append(Violation("consent", "must read consents/{id}, or be empty"))
    if faults:
        raise invalid(*faults)


def request_digest(request: Message) -> bytes:
    """Return what tells a request from others of the same request id."""
    name = request.DESCRIPTOR.full_name.encode()
    return sha256(name + b"\n" + request.SerializeToString(deterministic=True)).digest()


def statement_of(made: MadeRecognition) -> RecognitionStatement:
    """Return what a recognition states."""
    payload = made.statement.split(".")[1]
    claims = json.loads(urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    return RecognitionStatement.model_validate(claims)


def recognition_message(made: MadeRecognition) -> pb.Recognition:
    """Return a recognition as the contract has it."""
    told = statement_of(made)
    return pb.Recognition(
        name=told.recognition,
        region=told.region,
        document_digest=told.document_digest,
        subject=told.subject,
        parts=[
            pb.RecognisedPart(
                region_item=part.region_item,
                outcome=RecognitionOutcome.ValueType(_NUMBERS[part.outcome]),
                item=part.item,
                record=part.record,
                region_grade=part.region_grade,
                grade=part.grade,
                records=part.records,
            )
            for part in told.parts
        ],
        rule_version=told.rule_version,
        destination=told.destination,
        recognise_time=Timestamp(seconds=made.recognised_at),
        expire_time=Timestamp(seconds=made.expires_at),
        statement=made.statement,
    )
