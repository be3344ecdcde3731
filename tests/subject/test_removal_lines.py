"""What a company reads of a removal: who could not be told is not said to have kept too long."""

from dataclasses import replace

from consent.removals import Removal
from creditgate.v1.consent_service_pb2 import DataLifeEnd
from gateway.subject.lines import removal_line
from tests.clock import NOW

DAY = 86_400
GONE = Removal(
    consent_id="c",
    operator_id="alpha",
    deadline=NOW,
    data_life_end=DataLifeEnd.DATA_LIFE_END_DELETE,
    removed_at=NOW + DAY,
    acknowledged_at=NOW + DAY,
    report_by=NOW + 2 * DAY,
    life_until=NOW + 9 * DAY,
)
SPARED = replace(GONE, spared_until=NOW + 2 * DAY)


def test_copies_gone_after_the_deadline_are_told_so() -> None:
    assert "本应不晚于" in removal_line(GONE, NOW + DAY, "zh").text
    assert "本应不晚于" in removal_line(replace(SPARED, removed_at=NOW + 3 * DAY), NOW, "zh").text


def test_of_who_could_not_be_told_it_is_said_that_it_may_not_have_known() -> None:
    line = removal_line(SPARED, NOW + DAY, "zh")
    assert "本应不晚于" not in line.text
    assert "没有通知到机构" in line.text
    assert "may not have told them" in removal_line(SPARED, NOW + DAY, "en").text
    in_time = removal_line(replace(SPARED, removed_at=NOW - 1), NOW + DAY, "en").text
    assert "may not have told them" not in in_time
