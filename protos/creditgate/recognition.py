"""The statement of a recognition (互认): what a document of another region is accepted as here.

It is this document as a JWT of type `RECOGNITION_TYPE`, signed by the gateway that recognises.
It tells of the document by its digest alone, and of no record's content but grades.
"""

from typing import Annotated, Final, Literal

from pydantic import Field

from creditgate.signed_document import (
    USCC_PATTERN,
    DocumentPart,
    Instant,
    PurposeName,
    ShortText,
    among,
    listed,
    names_of,
)
from creditgate.v1.recognition_service_pb2 import RecognitionOutcome

RECOGNITION_TYPE: Final = "creditgate-recognition+jwt"
"""The ``typ`` of a statement (RFC 8725 section 3.11)."""

MOST_CHARACTERS: Final = 1_000_000

OUTCOMES: Final = names_of(RecognitionOutcome, "RECOGNITION_OUTCOME_")
_OutcomeName = Annotated[str, among(OUTCOMES), listed(OUTCOMES)]
_SHA256: Final = "^[0-9a-f]{64}$"
_NAME: Final = "^recognitions/[0-9a-f]{10}-[0-9a-f]{24}$"


class RecognitionPart(DocumentPart):
    """One item of the document, or one graded record of it."""

    region_item: ShortText
    outcome: _OutcomeName
    item: str = Field(default="", max_length=64)
    record: str = Field(default="", max_length=512)
    region_grade: str = Field(default="", max_length=100)
    grade: str = Field(default="", max_length=100)
    records: Annotated[int, Field(ge=0)] = 0


class RecognitionStatement(DocumentPart):
    """A recognition as it was made."""

    iss: ShortText = Field(description="Issuer of the gateway that recognises.")
    iat: Instant = Field(description="When the document was seen to hold.")
    exp: Instant = Field(description="First second it is not recognised any more.")
    schema_version: Literal["1"]
    recognition: Annotated[str, Field(pattern=_NAME)]
    region: ShortText = Field(description="Entity identifier of the region it comes from.")
    document_digest: Annotated[str, Field(pattern=_SHA256)]
    subject: Annotated[str, Field(pattern=USCC_PATTERN)]
    operator_id: ShortText
    purpose: PurposeName
    rule_version: Annotated[int, Field(ge=1)]
    parts: tuple[RecognitionPart, ...] = Field(min_length=1)
    destination: str = Field(default="", pattern="^([A-Z]{2})?$")
    recipient: str = Field(default="", max_length=200)
