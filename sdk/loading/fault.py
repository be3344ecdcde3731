"""Why the loader itself refuses a row: a closed set of reasons, each with its mend.

The gateway refuses others, with reasons of its own; where the rule is the same, so is the
name.
"""

from enum import Enum, unique


@unique
class RowFault(Enum):
    """The name stands in the rejects report, the value is what to do about it.

    A mend never repeats what the file holds.
    """

    CSV_MALFORMED = (
        "close every quoted value, double the quotes inside it, use one comma after, and end lines"
        " by a line feed"
    )
    FIELD_COUNT = "give the row as many values as the header has columns"
    QUOTE_OVER_ROWS = (
        "close the quoted value before these lines, each of which looks like a row; where they"
        " are its text, write it as JSON lines or Parquet"
    )
    LINE_TOO_LONG = "keep a line, and a CSV row of several lines, below 1 MiB"
    NOT_UTF8 = "write the file in UTF-8"
    NOT_JSON = "write one JSON object a line, each key once"
    COLUMN_MISSING = "give every line this key; null stands for no value"
    VALUE_NESTED = "use a text, a number, true, false or null"
    NUMBER_NOT_FINITE = "use a number that is one and finite, or null for no value"
    VALUE_NOT_LISTED = "use a spelling the mapping lists, or add this one to it"
    VALUE_MISSING = "give a value: the mapping needs one here"
    SUBJECT_MISSING = "name the subject"
    USCC_LENGTH = "enter all 18 characters of the unified social credit code (GB 32100-2015)"
    USCC_ALPHABET = "use digits and capitals without I, O, S, V, Z; the 3rd to 8th are digits"
    RECORD_ID_INVALID = (
        "the record's id is made of these values: together 1 to 128 characters of"
        " A-Z a-z 0-9 . _ ~ -"
    )
    START_MISSING = "say when disclosure starts"
    START_NOT_A_DATE = "start disclosure at a date that exists, in a format the mapping lists"
    END_MISSING = "say when disclosure ends"
    END_NOT_A_DATE = "end disclosure at a date that exists, in a format the mapping lists"
    FIELD_MISSING = "give a value: the mapping requires the field"
    FIELD_NOT_A_DATE = "use a date that exists, in a format the mapping lists"
    FIELD_NOT_AN_INTEGER = "use a whole number from -(2^53 - 1) to 2^53 - 1, digits only"
    FIELD_NOT_A_BOOLEAN = "use true or false"
    RECORD_TOO_LARGE = "shorten the values: content has at most 65,536 bytes"


class RowRefused(Exception):
    """A row cannot become a draft.

    ``field`` is in the notation of the proto ("content.{field}" for content), ``column``
    the column at fault; "" where there is no single one.
    """

    def __init__(self, fault: RowFault, *, field: str = "", column: str = "") -> None:
        super().__init__(fault.value)
        self.fault = fault
        self.field = field
        self.column = column
