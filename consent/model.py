"""Consents and their terms: frozen and checked.

Source: fields follow ISO/IEC TS 27560:2023 (consent record structure), RFC 9396 and the
Account Aggregator consent artefact (ReBIT 2.0). Enums are the integers of the proto, times
seconds UTC, periods half-open [from, until).
"""

from collections.abc import Callable, Mapping
from enum import StrEnum
from hashlib import sha256
from typing import Annotated, Any, Final, Literal, Protocol, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PlainSerializer, model_validator

from creditgate import plain_text, uscc
from creditgate.federated_query import CLIENT_PREFIX
from creditgate.shapes import matching
from creditgate.v1.consent_service_pb2 import (
    ConsentAccessMode,
    ConsentAnswerForm,
    ConsentState,
    DataLifeEnd,
)
from creditgate.v1.vocabulary_pb2 import Purpose

SCHEMA_VERSION: Final = "3"
DAY_SECONDS: Final = 86_400

MOST_ITEMS: Final = 64
MOST_FIELDS: Final = 200
MOST_REGIONS: Final = 64
MOST_TIMES_PER_DAY: Final = 1_000
MOST_VALIDITY_SECONDS: Final = 3 * 366 * DAY_SECONDS
"""Longest validity of a consent: three years. What is asked for longer is asked for again."""
LEAST_DATA_LIFE_SECONDS: Final = 3_600
"""Shortest data life that may be asked for: each one that ends is told to operator and company.
What another version or region let be shorter is kept as it was agreed."""
MOST_DATA_LIFE_SECONDS: Final = 5 * 366 * DAY_SECONDS
"""Longest data life: five years, as credit bodies may keep adverse information
(征信业管理条例, State Council Order No. 631, article 16)."""
MOST_ANSWER_SECONDS: Final = 30 * DAY_SECONDS
"""Longest time a subject may take to answer."""
MOST_BACKDATED_SECONDS: Final = 300
"""How long before the request a validity may begin, at most: room for clocks that differ."""
BACKDATED_MEND: Final = (
    "begin now or later: a consent opens nothing before it is given; for clocks that differ it may"
    f" begin up to {MOST_BACKDATED_SECONDS // 60} minutes before the request"
)

ONCE: Final = ConsentAccessMode.CONSENT_ACCESS_MODE_ONCE
WITHIN_PERIOD: Final = ConsentAccessMode.CONSENT_ACCESS_MODE_WITHIN_PERIOD
TIMES_PER_DAY: Final = ConsentAccessMode.CONSENT_ACCESS_MODE_TIMES_PER_DAY
RECORDS: Final = ConsentAnswerForm.CONSENT_ANSWER_FORM_RECORDS
GRADE: Final = ConsentAnswerForm.CONSENT_ANSWER_FORM_GRADE


class _Enum(Protocol):
    def items(self) -> Any: ...


def _stated(enum: _Enum, prefix: str) -> Callable[[int], int]:
    names = {number: name.removeprefix(prefix) for name, number in enum.items() if number}

    def check(number: int) -> int:
        if number not in names:
            raise ValueError("use one of " + ", ".join(names.values()))
        return number

    return check


def _printable(text: str) -> str:
    mend = plain_text.fault(text)
    if mend is not None:
        raise ValueError(mend)
    return text


def _credit_code(code: str) -> str:
    if uscc.fault(code) is not None:
        raise ValueError("use a unified social credit code (GB 32100-2015), 18 characters")
    return code


def _data_life(seconds: int) -> int:
    if not 1 <= seconds <= MOST_DATA_LIFE_SECONDS:
        raise ValueError("let copies be kept for an hour at least and five years at most")
    return seconds


IN_ORDER: Final = PlainSerializer(sorted)
"""Sets are written in order, so that equal things have equal documents."""
ItemCode = Annotated[
    str, AfterValidator(matching("[a-z][a-z0-9.-]{0,63}", "use a catalogue item code"))
]
FieldName = Annotated[
    str, AfterValidator(matching("[a-z][a-z0-9_]{0,63}", "use the name of a content field"))
]
RegionCode = Annotated[
    str,
    AfterValidator(
        matching(
            r"\*|[0-9]{2}|[0-9]{4}|[0-9]{6}",
            'use an administrative division code of 2, 4 or 6 digits (GB/T 2260), or "*" for all',
        )
    ),
]
CreditCode = Annotated[str, AfterValidator(_credit_code)]
LanguageTag = Annotated[
    str,
    AfterValidator(
        matching("[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8}){0,3}", 'use a language tag (BCP 47), as "zh-CN"')
    ),
]
PlainText = Annotated[str, AfterValidator(_printable)]
Instant = Annotated[int, Field(ge=0, le=253_402_300_799)]
PurposeNumber = Annotated[int, AfterValidator(_stated(Purpose, "PURPOSE_"))]


class Part(BaseModel):
    """A part of what is kept about consents."""

    # A field this version does not know could narrow a consent: refuse to guess.
    # What is wrong with one may be logged, what it holds may not.
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class ConsentItem(Part):
    """One catalogue item consented to, and the content fields of it.

    Asked for without ``fields``, it means all that the catalogue declares then; they are
    named before it is kept, and ``all_declared`` says so, so that a retry is known. What
    is declared later is never part of it.
    """

    item: ItemCode
    fields: Annotated[frozenset[FieldName], Field(max_length=MOST_FIELDS), IN_ORDER] = Field(
        default_factory=frozenset[str]
    )
    all_declared: bool = False


class ConsentTerms(Part):
    """What is allowed. Times in seconds UTC, validity [valid_from, valid_until).

    ``times_per_day`` counts answered requests of a UTC day, 0 unless the access mode is
    TIMES_PER_DAY; ``data_life_seconds`` is how long each record may be kept after it was last given.
    """

    items: Annotated[tuple[ConsentItem, ...], Field(min_length=1, max_length=MOST_ITEMS)]
    purposes: Annotated[frozenset[PurposeNumber], Field(min_length=1), IN_ORDER]
    answer_form: Annotated[
        int, AfterValidator(_stated(ConsentAnswerForm, "CONSENT_ANSWER_FORM_"))
    ] = RECORDS
    access_mode: Annotated[int, AfterValidator(_stated(ConsentAccessMode, "CONSENT_ACCESS_MODE_"))]
    times_per_day: Annotated[int, Field(ge=0, le=MOST_TIMES_PER_DAY)] = 0
    valid_from: Instant
    valid_until: Instant
    data_life_seconds: Annotated[int, AfterValidator(_data_life)]
    data_life_end: Annotated[int, AfterValidator(_stated(DataLifeEnd, "DATA_LIFE_END_"))]
    regions: Annotated[
        frozenset[RegionCode], Field(min_length=1, max_length=MOST_REGIONS), IN_ORDER
    ]

    @model_validator(mode="after")
    def _parts_fit(self) -> Self:
        if len({item.item for item in self.items}) < len(self.items):
            raise ValueError("name each item once")
        if self.valid_until <= self.valid_from:
            raise ValueError("the validity must end after it begins")
        if self.valid_until - self.valid_from > MOST_VALIDITY_SECONDS:
            raise ValueError("a consent holds for three years at most")
        if (self.access_mode == TIMES_PER_DAY) != bool(self.times_per_day):
            raise ValueError("give times_per_day with access mode TIMES_PER_DAY, and with no other")
        return self

    @property
    def fields_by_item(self) -> Mapping[str, frozenset[str]]:
        """The fields opened of each item."""
        return {item.item: item.fields for item in self.items}


class ConsentNotice(Part):
    """What the subject was shown before it answered.

    ``text_digest`` is the SHA-256 of the text (UTF-8) in lower-case hexadecimal, ``language``
    a BCP 47 tag. ``text`` is kept, since names in it may change; "" where another gateway
    kept it.
    """

    policy_version: Annotated[str, Field(min_length=1, max_length=64)]
    text_digest: Annotated[str, AfterValidator(matching("[0-9a-f]{64}", "use hexadecimal"))]
    language: LanguageTag
    text: str = ""

    @model_validator(mode="after")
    def _text_is_of_the_digest(self) -> Self:
        if self.text and sha256(self.text.encode()).hexdigest() != self.text_digest:
            raise ValueError("the digest must be of the text")
        return self


class Actor(StrEnum):
    """Who caused a change of a consent."""

    SUBJECT = "subject"
    OPERATOR = "operator"
    ADMINISTRATOR = "administrator"
    GATEWAY = "gateway"


COUNTERSIGNED: Final = "countersigned"
"""The reason told of a change by which the subject has signed its receipt itself."""

Way = Literal["inbox", "code"]
"""How a consent was asked for: ConsentService.RequestConsent, or an authorisation code."""

NAME_PREFIX: Final = "consents/"
"""How resource names of consents begin; the id follows."""

CODE_PREFIX: Final = "code:"
"""How request ids of the authorisation code's way begin, and those of no other way."""

PART_PREFIX: Final = "part:"
"""How request ids of parts of consents begin (`consent.parts`), and those of no other."""


class Consent(Part):
    """A consent artefact (授权凭证) as stored.

    ``consent_id`` begins with the time it was made, ten hexadecimal digits of seconds UTC,
    so that ids sort by it. ``state`` is a ConsentState as written; what time and counts have made of it since is
    `consent.states.effective_state`. ``version`` grows by one with each change. ``signer``
    is the principal who answered for the subject, ``delegation`` the id of the delegation
    it acted under, both "" before an answer, ``delegation`` also for the subject's own
    representative. ``receipt`` is a compact JWS, ``subject_signature`` a detached one
    and ``subject_key`` the public key it was made by, a JWK as JSON.
    """

    consent_id: Annotated[str, Field(min_length=1, max_length=40)]
    version: Annotated[int, Field(ge=1)]
    state: Annotated[
        ConsentState.ValueType, AfterValidator(_stated(ConsentState, "CONSENT_STATE_"))
    ]
    subject: CreditCode
    operator_id: Annotated[str, Field(min_length=1, max_length=40)]
    client_id: Annotated[str, Field(min_length=1, max_length=64)]
    request_id: Annotated[
        str, AfterValidator(matching("[!-~]{1,64}", "use 1 to 64 visible ASCII characters"))
    ]
    way: Way
    terms: ConsentTerms
    message: Annotated[PlainText, Field(max_length=500)] = ""
    language: LanguageTag = "zh-CN"
    requested_at: Instant
    answer_until: Instant
    changed_at: Instant
    signer: Annotated[str, Field(max_length=80)] = ""
    delegation: Annotated[str, Field(max_length=40)] = ""
    notice: ConsentNotice | None = None
    granted_at: Instant | None = None
    ended_at: Instant | None = None
    receipt: str = ""
    subject_signature: str = ""
    subject_key: Annotated[str, Field(max_length=4_096)] = ""

    @property
    def name(self) -> str:
        """Its resource name."""
        return NAME_PREFIX + self.consent_id

    @property
    def kept_elsewhere(self) -> bool:
        """Whether another region keeps it, and asked under it for one of its operators."""
        return self.client_id.startswith(CLIENT_PREFIX)


class ConsentChange(Part):
    """One change of a consent, as its history tells it.

    ``sequence`` is its place among all changes, in order of commit; ``actor_id`` the
    principal or client that acted, "" for the gateway itself; ``delegation`` the id of the one
    that a deputy acted under, "" for all others.
    """

    sequence: int
    consent_id: str
    operator_id: str
    subject: str
    state: Annotated[
        ConsentState.ValueType, AfterValidator(_stated(ConsentState, "CONSENT_STATE_"))
    ]
    actor: Actor
    actor_id: str
    reason: str
    at: Instant
    removal_deadline: Instant | None = None
    data_life_end: DataLifeEnd.ValueType = DataLifeEnd.DATA_LIFE_END_UNSPECIFIED
    delegation: Annotated[str, Field(max_length=40)] = ""
