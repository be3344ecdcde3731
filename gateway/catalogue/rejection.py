"""Why a draft did not enter: a closed set of reasons, each with its mend (G8)."""

from dataclasses import dataclass
from enum import Enum, unique


@unique
class RejectionReason(Enum):
    """The name is what RejectedRecord.reason carries, the value what to do about it.

    A mend never repeats what the publisher sent.
    """

    RECORD_ID_INVALID = "use 1 to 128 characters of A-Z a-z 0-9 . _ ~ -"
    USCC_LENGTH = "enter all 18 characters of the unified social credit code (GB 32100-2015)"
    USCC_ALPHABET = "use digits and capitals without I, O, S, V, Z; the 3rd to 8th are digits"
    USCC_CHECK_CHARACTER = "the check character does not fit: a character is mistyped"
    ITEM_UNKNOWN = "use the code of a catalogue item; ListCatalogueItems lists them"
    SOURCE_NOT_LISTED = "use a source department that the catalogue item lists"
    REGION_INVALID = (
        'use six digits (GB/T 2260) of a province there is, "100000" for what the state registers'
        ' itself, "000000" where no division applies'
    )
    SUBJECT_TYPE_NOT_ALLOWED = "the catalogue item is not about subjects of this code's kind"
    SEVERITY_REQUIRED = "grade the record: the catalogue item's records carry a severity"
    SEVERITY_NOT_ALLOWED = (
        "use a severity the catalogue item has a rule for, or none if it has none"
    )
    CONTENT_TOO_LARGE = "use at most 65,536 bytes"
    CONTENT_NOT_JSON = "use one JSON object in UTF-8"
    CONTENT_NOT_CANONICAL = (
        "write the object as RFC 8785 says: keys sorted and each once, no blanks, only the escapes"
        " that are needed"
    )
    FIELD_UNKNOWN = "leave out fields that the catalogue item does not declare"
    FIELD_MISSING = "add the field: the catalogue item requires it"
    FIELD_TYPE = "use a value of the type the catalogue item declares"
    FIELD_TOO_LONG = "shorten the text to the length the catalogue item declares"
    FIELD_OUT_OF_RANGE = "use a whole number from -(2^53 - 1) to 2^53 - 1"
    FIELD_NOT_A_DATE = "use a date that exists, written YYYY-MM-DD"
    HIDDEN_CHARACTER = (
        "take out control characters, except tabs and line feeds, what nobody sees, what turns the"
        " direction of writing, and marks drawn over what is around them"
    )
    PERSONAL_DATA = (
        "take out what looks like a resident identity number, mobile number, bank card number or"
        " e-mail address; name the currency of a sum"
    )
    DISCLOSED_FROM_REQUIRED = "say when disclosure starts"
    DISCLOSED_FROM_INVALID = "use a time in whole seconds (UTC) from 1970 to 9999"
    DISCLOSED_FROM_TOO_LATE = "start disclosure within ten years from now"
    DISCLOSED_UNTIL_REQUIRED = "say when disclosure ends: the catalogue item's rule demands it"
    DISCLOSED_UNTIL_INVALID = (
        "use a time in whole seconds (UTC) before 9999-12-31T23:59:59Z, or none for no end"
    )
    PERIOD_EMPTY = "end disclosure after it starts"
    PERIOD_TOO_SHORT = "end disclosure no sooner than the catalogue item's rule allows"
    PERIOD_TOO_LONG = (
        "end disclosure no later than the catalogue item's rule allows, counted from the earliest"
        " start that the record had; where that start was wrong, withdraw the record and disclose the"
        " finding under a new id"
    )
    RECORD_DIFFERS = "this id is disclosed with other content or period: use CorrectRecord"
    RECORD_ENDED = "this record was repaired or withdrawn: disclose a new finding under a new id"


@dataclass(frozen=True, slots=True)
class Rejection:
    """One draft refused. ``field`` is in proto notation, "content.{field}" for content."""

    reason: RejectionReason
    field: str
