"""Copies of records that other regions gave an operator, judged as its own region's are.

What an operator was given, and what the region told of it since, is known to this gateway alone:
the region knows for whom it was asked, but not what was passed on. So a copy is compared here with
the disclosure of its region, as far as that region was heard.

Sources as in `gateway.conformance.classify`.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import NamedTuple, Protocol

from sqlalchemy import Connection

from creditgate.transparency.facts import Copy
from gateway.conformance.classify import (
    AsServed,
    Grace,
    Judgement,
    Known,
    Removal,
    judge_shown,
)
from gateway.conformance.revisions import Ending, Revision


class GivenElsewhere(NamedTuple):
    """A revision of a record as a region gave it; several where it was given more often.

    ``copy`` is None where it was given before that was kept. ``ending`` is what the region told
    of it since, ``at`` when the operator was told (seconds, UTC), and ``removal`` what it owes for
    that, None where nothing is written down yet. ``keep_until``, ``gone_at`` and ``otherwise_until``
    (seconds, UTC) are as in `gateway.conformance.classify.AsServed`.
    """

    region: str
    record_id: str
    copy: Copy | None
    severity: int
    ending: Ending | None
    removal: Removal | None
    keep_until: int | None
    gone_at: int | None = None
    otherwise_until: int = 0


class Elsewhere(Protocol):
    """What is known of records that other regions disclose."""

    def given(self, operator_id: str, record_ids: Iterable[str]) -> Sequence[GivenElsewhere]:
        """Return all that other regions gave an operator of records, by age."""
        ...


class RemovalsElsewhere(Protocol):
    """Removals owed for events of other regions."""

    def follow(self, operator_id: str = "") -> None:
        """Write down what an operator owes, "" for all of them, for all events it was told of."""
        ...

    def attested_gone(
        self,
        connection: Connection,
        operator_id: str,
        read_at: int,
        held: Collection[tuple[str, str]],
        by: str,
        now: int,
    ) -> None:
        """Write that an attestation of copies read at ``read_at`` has shown gone all that an
        operator was told of before, but the copies of records ``held``, each by region and id.

        ``by`` is the client that attested, ``now`` the time (seconds, UTC).
        """
        ...


Given = Mapping[str, Sequence[GivenElsewhere]]
"""What was given of one record, by region."""


def by_record(given: Iterable[GivenElsewhere]) -> Mapping[str, Given]:
    """Return what was given of each record, by region; who gave last comes last."""
    found: dict[str, dict[str, list[GivenElsewhere]]] = {}
    for each in given:
        regions = found.setdefault(each.record_id, {})
        its = regions.pop(each.region, [])
        its.append(each)
        regions[each.region] = its
    return found


def region_of(copy: Copy, given: Given, own: Known) -> str:
    """Return of which region's record a copy is, "" for this one's.

    Regions name records each by itself, so that two may use one name: a copy is of whoever gave
    just it, or its content, and else of this region where that served any, or of who gave the
    record last.
    """
    copies = {
        "": [each.copy for each in own.served],
        **{
            region: [each.copy for each in its if each.copy is not None]
            for region, its in given.items()
        },
    }
    for region, its in copies.items():
        if copy in its:
            return region
    for region, its in copies.items():
        if any(each.content_digest == copy.content_digest for each in its):
            return region
    return "" if own.served or not given else list(given)[-1]


def judge_elsewhere(copy: Copy, given: Sequence[GivenElsewhere], grace: Grace) -> Judgement:
    """Judge a copy by what its region, ``given`` all of it, gave the operator.

    What its copies reflect an operator says of this region's events alone. So one that another
    region's event made void is excused until its deadline, unless its removal is acknowledged.
    """
    served = [
        AsServed(
            Revision(0, each.copy, each.severity, each.ending),
            each.copy.content_digest,
            each.keep_until,
            each.gone_at,
            each.otherwise_until,
        )
        for each in given
        if each.copy is not None
    ]
    known = Known([each.revision for each in served], served, len(served) < len(given))
    removals = {
        each.ending.event_sequence: each.removal
        for each in given
        if each.ending is not None and each.removal is not None
    }
    told = judge_shown(copy, known, grace._replace(after=0, removals=removals))
    if told.difference is None:
        # Its number is of the region's event, and of none here.
        return told._replace(event_sequence=0)
    return told._replace(difference=told.difference._replace(region=given[0].region))
