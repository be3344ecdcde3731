"""The consent artefact (授权凭证) as a document: what a receipt says, and its JSON Schema.

A receipt is this document as a JWT of type `RECEIPT_TYPE`, signed by the gateway. Fields
cover those of ISO/IEC TS 27560:2023 (consent record and receipt) and of the Account
Aggregator consent artefact; where both speak of one thing, its name is that of the API.
Times are seconds since 1970 (UTC), as in any JWT; periods are half-open. What is not
known or does not apply is left out.
"""

from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Final, Literal, Protocol

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, Strict, WithJsonSchema

from creditgate.v1.consent_service_pb2 import (
    ConsentAccessMode,
    ConsentActor,
    ConsentAnswerForm,
    ConsentState,
    DataLifeEnd,
)
from creditgate.v1.vocabulary_pb2 import Purpose

RECEIPT_TYPE: Final = "consent-receipt+jwt"
"""The ``typ`` of a receipt: no token can be taken for one, nor a receipt for a token
(RFC 8725 section 3.11)."""

RECEIPT_ALGORITHMS: Final = ("ES256", "EdDSA", "Ed25519")
"""What receipts are signed with; the last two are one (RFC 9864 section 2.2)."""

MOST_CHARACTERS: Final = 2_000_000
"""Longest receipt: 64 items with 200 field names each, and room for the history."""

SCHEMA_PATH: Final = "/consent/schemas/consent-artefact-1.json"
"""Path of the published schema below the issuer."""

KEYS_PATH: Final = "/consent/receipt-keys.json"
"""Path below the issuer of all keys that sign or ever signed receipts."""

_USCC: Final = "^[0-9A-HJ-NP-RTUW-Y]{2}[0-9]{6}[0-9A-HJ-NP-RTUW-Y]{10}$"
_REGION: Final = r"^(\*|[0-9]{2}|[0-9]{4}|[0-9]{6})$"


class _Enum(Protocol):
    def items(self) -> Iterable[tuple[str, int]]: ...


def names_of(enum: _Enum, prefix: str) -> Mapping[int, str]:
    """Return the stated values of a proto enum by number, named without ``prefix``."""
    return {number: name.removeprefix(prefix) for name, number in enum.items() if number}


PURPOSES: Final = names_of(Purpose, "PURPOSE_")
STATES: Final = names_of(ConsentState, "CONSENT_STATE_")
ACCESS_MODES: Final = names_of(ConsentAccessMode, "CONSENT_ACCESS_MODE_")
ANSWER_FORMS: Final = names_of(ConsentAnswerForm, "CONSENT_ANSWER_FORM_")
DATA_LIFE_ENDS: Final = names_of(DataLifeEnd, "DATA_LIFE_END_")
ACTORS: Final = names_of(ConsentActor, "CONSENT_ACTOR_")


def _among(names: Mapping[int, str]) -> AfterValidator:
    def check(name: str) -> str:
        if name not in names.values():
            raise ValueError("use one of " + ", ".join(names.values()))
        return name

    return AfterValidator(check)


def _listed(names: Mapping[int, str]) -> WithJsonSchema:
    return WithJsonSchema({"type": "string", "enum": list(names.values())})


_PurposeName = Annotated[str, _among(PURPOSES), _listed(PURPOSES)]
_StateName = Annotated[str, _among(STATES), _listed(STATES)]
_AccessMode = Annotated[str, _among(ACCESS_MODES), _listed(ACCESS_MODES)]
_AnswerForm = Annotated[str, _among(ANSWER_FORMS), _listed(ANSWER_FORMS)]
_DataLifeEnd = Annotated[str, _among(DATA_LIFE_ENDS), _listed(DATA_LIFE_ENDS)]
_Actor = Annotated[str, _among(ACTORS), _listed(ACTORS)]
_END_OF_TIME: Final = 253_402_300_799
_Instant = Annotated[int, Strict(), Field(ge=0, le=_END_OF_TIME)]
# What is left out is never sent as null.
_PLAIN_INSTANT: Final = WithJsonSchema({"type": "integer", "minimum": 0, "maximum": _END_OF_TIME})
_Text = Annotated[str, Field(min_length=1, max_length=512)]


class _Part(BaseModel):
    # What a reader does not know could narrow a consent, so it must not pass over it: an
    # addition makes another version of the schema.
    model_config = ConfigDict(frozen=True, extra="forbid")


class ArtefactItem(_Part):
    """One catalogue item consented to."""

    item: Annotated[str, Field(pattern="^[a-z][a-z0-9.-]{0,63}$")] = Field(
        description="Code of the catalogue item."
    )
    fields: tuple[Annotated[str, Field(pattern="^[a-z][a-z0-9_]{0,63}$")], ...] = Field(
        min_length=1,
        description="Content fields that may be served; no others are.",
    )


class ArtefactValidity(_Part):
    """When the consent may be used: [from, until), seconds since 1970 (UTC)."""

    start: _Instant = Field(alias="from", description="First second inside it.")
    until: _Instant = Field(description="First second after it.")


class ArtefactTerms(_Part):
    """What is allowed."""

    items: tuple[ArtefactItem, ...] = Field(min_length=1)
    purposes: tuple[_PurposeName, ...] = Field(
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


class ArtefactNotice(_Part):
    """What the subject was shown before it answered (privacy notice)."""

    policy_version: _Text
    text_digest: Annotated[str, Field(pattern="^[0-9a-f]{64}$")] = Field(
        description="SHA-256 of the text as shown."
    )
    language: _Text = Field(description="Language it was shown in (BCP 47).")


class ArtefactEvent(_Part):
    """One change of the consent."""

    state: _StateName = Field(description="State since then.")
    actor: _Actor = Field(description="Who caused it.")
    at: _Instant
    reason: str = Field(default="", max_length=2_000)


class ConsentArtefact(_Part):
    """A consent that was granted, as it stood when its receipt was signed."""

    iss: _Text = Field(description="Issuer of the gateway that keeps the consent.")
    iat: _Instant = Field(description="When the receipt was signed.")
    schema_version: Literal["1"]
    consent: Annotated[str, Field(pattern="^consents/[A-Za-z0-9._~-]{1,100}$")] = Field(
        description="Resource name of the consent (record identifier)."
    )
    version: Annotated[int, Strict(), Field(ge=1)] = Field(
        description="Version of the consent; each change makes another."
    )
    state: _StateName = Field(description="Where it stood.")
    subject: Annotated[str, Field(pattern=_USCC)] = Field(
        description="Unified social credit code of the subject (GB 32100-2015)."
    )
    representative: _Text = Field(
        description="Who answered for the subject, by the gateway's own id; never a name."
    )
    delegation: _Text = Field(
        default_factory=str,
        description="Delegation they acted under; left out for the subject's own representative.",
    )
    operator_id: _Text = Field(description="The operator allowed (recipient).")
    client_id: _Text = Field(description="Its client that asked.")
    way: Literal["inbox", "code"] = Field(
        description="How it was asked for: to the subject's inbox, or by an authorisation code."
    )
    terms: ArtefactTerms
    message: str = Field(default="", max_length=500, description="What the operator told.")
    language: _Text = Field(description="Language the subject was addressed in (BCP 47).")
    notice: ArtefactNotice
    requested_at: _Instant
    granted_at: _Instant
    ended_at: Annotated[_Instant | None, _PLAIN_INSTANT] = Field(
        default_factory=lambda: None, description="When it ended; left out while it had not."
    )
    withdraw_at: _Text = Field(
        description="Page where the subject sees it and takes it back (withdrawal method)."
    )
    history: tuple[ArtefactEvent, ...] = Field(
        min_length=1, description="Every change so far, oldest first."
    )

    def as_json(self) -> dict[str, Any]:
        """Return it as receipts carry it, without what it leaves out."""
        return self.model_dump(mode="json", by_alias=True, exclude_defaults=True)


def artefact_schema(issuer: str) -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of what a receipt of ``issuer`` carries."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": issuer.rstrip("/") + SCHEMA_PATH,
        **ConsentArtefact.model_json_schema(by_alias=True),
    }
