"""The consent artefact (授权凭证) as a document: what a receipt says, and its JSON Schema.

A receipt is this document as a JWT of type `RECEIPT_TYPE`, signed by the gateway. Fields
cover those of ISO/IEC TS 27560:2023 (consent record and receipt) and of the Account
Aggregator consent artefact; where both speak of one thing, its name is that of the API.
Times are seconds since 1970 (UTC), as in any JWT; periods are half-open. What is not
known or does not apply is left out.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal, Self

from pydantic import Field, Strict, model_validator

from creditgate.signed_document import (
    DOCUMENT_ALGORITHMS,
    PLAIN_INSTANT,
    USCC_PATTERN,
    DocumentPart,
    Instant,
    PurposeName,
    ShortText,
    among,
    listed,
    names_of,
    schema_of,
)
from creditgate.v1.consent_service_pb2 import (
    ConsentAccessMode,
    ConsentActor,
    ConsentAnswerForm,
    ConsentState,
    DataLifeEnd,
)

RECEIPT_TYPE: Final = "consent-receipt+jwt"
"""The ``typ`` of a receipt: no token can be taken for one, nor a receipt for a token
(RFC 8725 section 3.11)."""

RECEIPT_ALGORITHMS: Final = DOCUMENT_ALGORITHMS
"""What receipts are signed with."""

MOST_CHARACTERS: Final = 2_000_000
"""Longest receipt: 64 items with 200 field names each, and room for the history."""

ArtefactVersion = Literal["1", "2", "3"]
"""Version of the schema. Receipts are made to the newest; those of all stay readable."""
SCHEMA_VERSIONS: Final[tuple[ArtefactVersion, ...]] = ("1", "2", "3")

_REGION: Final = r"^(\*|[0-9]{2}|[0-9]{4}|[0-9]{6})$"

STATES: Final = names_of(ConsentState, "CONSENT_STATE_")
ACCESS_MODES: Final = names_of(ConsentAccessMode, "CONSENT_ACCESS_MODE_")
ANSWER_FORMS: Final = names_of(ConsentAnswerForm, "CONSENT_ANSWER_FORM_")
DATA_LIFE_ENDS: Final = names_of(DataLifeEnd, "DATA_LIFE_END_")
ACTORS: Final = names_of(ConsentActor, "CONSENT_ACTOR_")


_StateName = Annotated[str, among(STATES), listed(STATES)]
_AccessMode = Annotated[str, among(ACCESS_MODES), listed(ACCESS_MODES)]
_AnswerForm = Annotated[str, among(ANSWER_FORMS), listed(ANSWER_FORMS)]
_DataLifeEnd = Annotated[str, among(DATA_LIFE_ENDS), listed(DATA_LIFE_ENDS)]
_Actor = Annotated[str, among(ACTORS), listed(ACTORS)]


# What schema version 2 added: who the operator is (ISO/IEC TS 27560, controller identity).
_OPERATOR: Final = ("operator_name", "operator_uscc")
# What version 3 added.
_LEFT_OUT: Final = "history_left_out"
_NOT_IN: Final[Mapping[ArtefactVersion, tuple[str, ...]]] = {
    "1": (*_OPERATOR, _LEFT_OUT),
    "2": (_LEFT_OUT,),
    "3": (),
}
_TITLED: Final = {"title": "Schema Version", "type": "string"}


class ArtefactItem(DocumentPart):
    """One catalogue item consented to."""

    item: Annotated[str, Field(pattern="^[a-z][a-z0-9.-]{0,63}$")] = Field(
        description="Code of the catalogue item."
    )
    fields: tuple[Annotated[str, Field(pattern="^[a-z][a-z0-9_]{0,63}$")], ...] = Field(
        min_length=1,
        description="Content fields that may be served; no others are.",
    )


class ArtefactValidity(DocumentPart):
    """When the consent may be used: [from, until), seconds since 1970 (UTC)."""

    start: Instant = Field(alias="from", description="First second inside it.")
    until: Instant = Field(description="First second after it.")


class ArtefactTerms(DocumentPart):
    """What is allowed."""

    items: tuple[ArtefactItem, ...] = Field(min_length=1)
    purposes: tuple[PurposeName, ...] = Field(
        min_length=1, description="Purposes, named as in the enum Purpose without PURPOSE_."
    )
    answer_form: _AnswerForm = Field(
        description="RECORDS: records cut to the fields; GRADE: an evaluation grade alone."
    )
    access_mode: _AccessMode = Field(
        description="How often it may be used (fetchType and Frequency of the Account Aggregator)."
    )
    times_per_day: Annotated[int, Strict()] = Field(
        default_factory=lambda: 0,
        ge=1,
        description="Most answered requests in one UTC day; only with TIMES_PER_DAY.",
    )
    validity: ArtefactValidity
    data_life: Annotated[int, Strict()] = Field(
        ge=1,
        description="Seconds that each answer may be kept from its serving (retention period).",
    )
    data_life_end: _DataLifeEnd = Field(description="What must happen to copies then.")
    regions: tuple[Annotated[str, Field(pattern=_REGION)], ...] = Field(
        min_length=1,
        description="Administrative division codes (GB/T 2260) that it holds in, each with all"
        ' below it, or "*" for all.',
    )


class ArtefactNotice(DocumentPart):
    """What the subject was shown before it answered (privacy notice)."""

    policy_version: ShortText
    text_digest: Annotated[str, Field(pattern="^[0-9a-f]{64}$")] = Field(
        description="SHA-256 of the text as shown."
    )
    language: ShortText = Field(description="Language it was shown in (BCP 47).")


class ArtefactEvent(DocumentPart):
    """One change of the consent."""

    state: _StateName = Field(description="State since then.")
    actor: _Actor = Field(description="Who caused it.")
    at: Instant
    reason: str = Field(default="", max_length=2_000)


class ConsentArtefact(DocumentPart):
    """A consent that was granted, as it stood when its receipt was signed."""

    iss: ShortText = Field(description="Issuer of the gateway that keeps the consent.")
    iat: Instant = Field(description="When the receipt was signed.")
    schema_version: ArtefactVersion
    consent: Annotated[str, Field(pattern="^consents/[A-Za-z0-9._~-]{1,100}$")] = Field(
        description="Resource name of the consent (record identifier)."
    )
    version: Annotated[int, Strict(), Field(ge=1)] = Field(
        description="Version of the consent; each change makes another."
    )
    state: _StateName = Field(description="Where it stood.")
    subject: Annotated[str, Field(pattern=USCC_PATTERN)] = Field(
        description="Unified social credit code of the subject (GB 32100-2015)."
    )
    representative: ShortText = Field(
        description="Who answered for the subject, by the gateway's own id; never a name."
    )
    delegation: ShortText = Field(
        default_factory=str,
        description="Delegation they acted under; left out for the subject's own representative.",
    )
    operator_id: ShortText = Field(description="The operator allowed (recipient).")
    operator_name: ShortText = Field(
        default_factory=str, description="Its name when the receipt was signed."
    )
    operator_uscc: Annotated[str, Field(pattern=USCC_PATTERN)] = Field(
        default_factory=str,
        description="Its unified social credit code (GB 32100-2015).",
    )
    client_id: ShortText = Field(description="Its client that asked.")
    way: Literal["inbox", "code"] = Field(
        description="How it was asked for: to the subject's inbox, or by an authorisation code."
    )
    terms: ArtefactTerms
    message: str = Field(default="", max_length=500, description="What the operator told.")
    language: ShortText = Field(description="Language the subject was addressed in (BCP 47).")
    notice: ArtefactNotice
    requested_at: Instant
    granted_at: Instant
    ended_at: Annotated[Instant | None, PLAIN_INSTANT] = Field(
        default_factory=lambda: None, description="When it ended; left out while it had not."
    )
    withdraw_at: ShortText = Field(
        description="Page where the subject sees it and takes it back (withdrawal method)."
    )
    history: tuple[ArtefactEvent, ...] = Field(
        min_length=1, description="Every change so far, oldest first."
    )
    history_left_out: Annotated[int, Strict()] = Field(
        default_factory=int,
        ge=1,
        description="How many changes are left out of the middle of a very long history: as many of"
        " the first are told, with the request and the answer, as of the last, with the end.",
    )

    @model_validator(mode="after")
    def _fits_its_version(self) -> Self:
        told = [bool(each) for each in (self.operator_name, self.operator_uscc)]
        if told != [self.schema_version != "1"] * len(told):
            raise ValueError("name the operator from schema version 2 on, and not before")
        if self.history_left_out and self.schema_version in {"1", "2"}:
            raise ValueError("leave changes out from schema version 3 on, and not before")
        return self


def schema_path(version: ArtefactVersion) -> str:
    """Return the path below the issuer where the schema of a version is published."""
    return f"/consent/schemas/consent-artefact-{version}.json"


def artefact_schema(issuer: str, version: ArtefactVersion = "3") -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of what a receipt of ``issuer`` carries in a version."""
    schema = schema_of(ConsentArtefact, issuer.rstrip("/") + schema_path(version))
    properties = {**schema["properties"]}
    properties["schema_version"] = {"const": version, **_TITLED}
    for name in _NOT_IN[version]:
        del properties[name]
    required = schema["required"] if version == "1" else [*schema["required"], *_OPERATOR]
    return {**schema, "properties": properties, "required": required}
