"""Who plays in the demo of the federation: three invented regions, and what each discloses."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final

from google.protobuf.timestamp_pb2 import Timestamp

from creditgate.uscc import check_character
from creditgate.v1.disclosure_service_pb2 import RecordDraft
from creditgate.v1.vocabulary_pb2 import Severity
from gateway.demo.cast import ALPHA, PENALTY, Grant, Party
from gateway.demo.invented import penalty_content

_DAY: Final = 86_400
_SOURCE: Final = "国家市场监督管理总局"


@dataclass(frozen=True, slots=True)
class InventedRegion:
    """A region of the demo; ``code`` is a division code that is assigned to none."""

    name: str
    code: str

    @property
    def operator_id(self) -> str:
        """What other regions admit it as."""
        return f"region-{self.name}"

    @property
    def uscc(self) -> str:
        """The code of the body that runs it, invented."""
        return company(self.code, 0)


NORTH: Final = InventedRegion("north", "000001")
SOUTH: Final = InventedRegion("south", "000002")
WEST: Final = InventedRegion("west", "000003")
REGIONS: Final = (NORTH, SOUTH, WEST)
ASKER: Final[Party] = replace(
    ALPHA,
    grants=(*ALPHA.grants, Grant("credit.regions:query"), Grant("credit.regions:watch")),
)
"""An operator that the northern region licensed."""


def company(code: str, number: int) -> str:
    """Return the credit code of an invented company, registered in a district of none."""
    stem = f"91{code}DEM0{number:05d}"
    return stem + check_character(stem)


WANDERER: Final = company(SOUTH.code, 21)
"""A company registered in the south that was also penalised in the west."""
CLEAN: Final = company(WEST.code, 22)
"""A company of which nothing is disclosed anywhere."""


def records_of(region: InventedRegion, anchor: int) -> tuple[RecordDraft, ...]:
    """Return what a region discloses, its periods laid around ``anchor`` (seconds, UTC)."""
    day = anchor - anchor % _DAY
    subjects = {SOUTH: (WANDERER, company(SOUTH.code, 23)), WEST: (WANDERER,)}
    return tuple(
        _penalty(region, subject, number, day)
        for number, subject in enumerate(subjects.get(region, ()), 1)
    )


def _penalty(region: InventedRegion, subject: str, number: int, day: int) -> RecordDraft:
    from_ = day - 20 * _DAY
    return RecordDraft(
        record_id=f"{region.name}-{datetime.fromtimestamp(day, UTC):%Y%m%d}-{number}",
        subject=subject,
        item=PENALTY,
        source=_SOURCE,
        region=region.code,
        severity=Severity.SEVERITY_GENERAL,
        content=penalty_content(from_, 100_000 * number),
        disclosed_from=Timestamp(seconds=from_),
        disclosed_until=Timestamp(seconds=day + 180 * _DAY),
    )
