"""One use of a subject's records, answers under consents, and pages of them."""

from dataclasses import dataclass
from typing import Final, NamedTuple

from creditgate.v1.vocabulary_pb2 import Purpose
from gateway.consents.credited import Credited
from gateway.consents.given_again import GivenAgain
from gateway.settle.usage import usage_name


class Place(NamedTuple):
    """Where one use stands: an answer of the ledger, and the number of a record in it, from 0.

    Items of which nothing was found stand behind the last record.
    """

    sequence: int
    number: int


class Period(NamedTuple):
    """A half-open period [from_, until) in seconds UTC; None is unbounded."""

    from_: int | None = None
    until: int | None = None


ALWAYS: Final = Period()


class Under(NamedTuple):
    """Which uses are meant: those under ``consent``, a resource name, "" for all there are; those
    alone that ``region`` gave (its entity identifier), "" for all of them."""

    consent: str = ""
    region: str = ""

    def has(self, access: "Access") -> bool:
        """Tell whether a use is one of these."""
        return self.consent in {"", access.consent} and self.region in {"", access.home_region}


@dataclass(frozen=True, slots=True)
class Access:
    """One record of a subject, served once to one operator; or that one asked for an item under
    a consent and nothing was found.

    ``usage_index`` is the answer's place in the operator's usage log. ``consent`` is the resource
    name of the consent it was served under, "" for public items; ``fee`` in micro-yuan, ``served_at`` in seconds UTC. Where nothing was found, ``item``
    is what was asked for, "" in answers that do not tell; ``record_id``, ``source`` and
    ``region`` are "", ``revision`` and ``fee`` 0. ``home_region`` is the region that disclosed the
    record, by its entity identifier, "" for this one. ``recognised`` tells instead that what another
    region states of the item was recognised under the consent, without any record.
    ``asking_operator`` is for which of its operators another region asked, by the id that one has
    there, "" where an operator of this region asked for itself. ``again`` tells how often retries
    were given the record once more, None where none was; ``credited`` that it was credited, where
    that was asked for, None where it was not.
    """

    place: Place
    usage_index: int
    operator_id: str
    client_id: str
    request_id: str
    record_id: str
    revision: int
    item: str
    source: str
    region: str
    purpose: Purpose.ValueType
    licence: str
    consent: str
    decision_id: str
    served_at: int
    fee: int
    home_region: str = ""
    recognised: bool = False
    asking_operator: str = ""
    again: GivenAgain | None = None
    credited: Credited | None = None

    @property
    def usage_name(self) -> str:
        """Resource name of the usage entry behind it; "" where nothing was found, and of a record
        of another region, which is in the usage log by its answer alone."""
        if not self.record_id or self.home_region:
            return ""
        return usage_name(self.operator_id, self.usage_index, self.place.number)


@dataclass(frozen=True, slots=True)
class Answered:
    """One answer under a consent, with or without records.

    ``sequence`` is its place in the ledger, ``disclosure_sequence`` that of the disclosure
    log it was made at; ``licences`` are all it rests on, the one named first; ``records`` how
    many it held, also of other subjects in a batch;
    ``served_at`` in seconds UTC.
    """

    sequence: int
    operator_id: str
    client_id: str
    request_id: str
    purpose: Purpose.ValueType
    licence: str
    licences: tuple[str, ...]
    consent: str
    decision_id: str
    served_at: int
    disclosure_sequence: int
    records: int


@dataclass(frozen=True, slots=True)
class AccessPage:
    """A page of accesses; ``before`` is where the next one begins, None where none follows.

    A page may hold less than was asked for, though others follow.
    """

    accesses: tuple[Access, ...]
    before: Place | None
