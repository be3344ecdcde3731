"""Nobody is told that a region is late, which waits for its operator's word."""

from dataclasses import replace

from consent.removals import Removal
from creditgate.v1.consent_service_pb2 import DataLifeEnd
from gateway.subject.region_lines import region_removal_line
from tests.clock import NOW

OWED = Removal(
    consent_id="c",
    operator_id="region-one",
    deadline=NOW,
    data_life_end=DataLifeEnd.DATA_LIFE_END_DELETE,
    removed_at=None,
    acknowledged_at=None,
    report_by=NOW,
    life_until=NOW,
)


def test_a_region_that_has_no_word_yet_is_not_called_late() -> None:
    line = region_removal_line(OWED, "zh")
    assert not line.overdue
    assert "由该地区转告" in line.text
    assert "Another region keeps this consent." in region_removal_line(OWED, "en").text


def test_what_a_region_passed_on_is_told_with_its_time() -> None:
    gone = region_removal_line(replace(OWED, removed_at=NOW + 60, acknowledged_at=NOW + 90), "en")
    assert not gone.overdue
    assert "has passed on" in gone.text
