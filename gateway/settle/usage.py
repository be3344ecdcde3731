"""The port to the usage ledger: what settlement needs to read of it."""

from dataclasses import dataclass
from typing import NamedTuple, Protocol

from creditgate.v1.vocabulary_pb2 import Purpose


def use_name(operator_id: str, usage_index: int) -> str:
    """Return the resource name of a use (AIP-122): of what is at a place of the operator's usage
    log, an answer or what was reversed of one."""
    return f"operators/{operator_id}/usage/{usage_index}"


def usage_name(operator_id: str, usage_index: int, number: int) -> str:
    """Return the resource name of a usage entry: of a use's record of this ``number``, from 0."""
    return f"{use_name(operator_id, usage_index)}-{number}"


def use_line_name(operator_id: str, usage_index: int, line: int) -> str:
    """Return the resource name of a use's line of this number, from 0: its records of one item,
    source, region and price."""
    return f"{use_name(operator_id, usage_index)}/lines/{line}"


@dataclass(frozen=True, slots=True)
class MeteredLine:
    """Use of one item from one source and region in one answer.

    ``count`` records at ``unit_price`` micro-yuan each.
    """

    item: str
    source: str
    region: str
    count: int
    unit_price: int


@dataclass(frozen=True, slots=True)
class MeteredEntry:
    """One record served once, for ``unit_price`` micro-yuan, against the quota of ``licence``.

    Of another region's ``home`` is its entity identifier, ``number`` its place among all that the
    region charged with it, ``consent`` what it was given under, "" for none, and ``asked_as`` the id
    that the operator asked with, where the answer has that which the region was asked with; of own
    records they are left out.
    """

    record_id: str
    revision: int
    item: str
    source: str
    region: str
    unit_price: int
    licence: str
    home: str = ""
    number: int | None = None
    consent: str = ""
    asked_as: str = ""


@dataclass(frozen=True, slots=True)
class MeteredAnswer:
    """One row of the ledger: a unary call's answer, one chunk of a batch, or of another region.

    ``served_at`` in seconds, UTC; ``consent`` is "" for public items. ``entries`` are
    in the order of serving, which never changes. ``usage_index`` is its place in the operator's
    usage log.
    """

    sequence: int
    usage_index: int
    operator_id: str
    client_id: str
    request_id: str
    chunk: int
    purpose: Purpose.ValueType
    licence: str
    consent: str
    decision_id: str
    served_at: int
    lines: tuple[MeteredLine, ...]
    entries: tuple[MeteredEntry, ...]


class UsePlace(NamedTuple):
    """An entry of the ledger, by the sequence of its answer and its number in that, from 0."""

    sequence: int
    number: int


@dataclass(frozen=True, slots=True)
class AnswerPage:
    """Whole answers in order of sequence; ``more`` tells whether others follow them."""

    answers: tuple[MeteredAnswer, ...]
    more: bool


class UsageReader(Protocol):
    """Reads the usage ledger. Calls block."""

    def answers(
        self,
        operator_id: str,
        *,
        from_: int | None,
        until: int | None,
        request_id: str,
        after: int,
        least_entries: int,
    ) -> AnswerPage:
        """Return the operator's next answers with a sequence greater than ``after``.

        Only those served in [from_, until) (None: unbounded) and for ``request_id``, the
        operator's or that which another region was asked with ("": any). Answers without entries are passed over. As few answers as hold
        ``least_entries`` entries together, or all there are.
        """
        ...
