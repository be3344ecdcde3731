"""The watcher on both stores: each answer counts once, and a thing is raised once."""

from collections.abc import Sequence
from typing import Any

import pytest
from sqlalchemy import Connection, event, func, select

from creditgate.refusal import Refused
from creditgate.v1 import alert_service_pb2 as pb
from creditgate.v1.alert_service_pb2 import AlertKind
from creditgate.v1.operator_service_pb2 import ClientRole
from creditgate.v1.refusal_pb2 import RefusalReason
from gateway.alerts.policy import AlertPolicy
from gateway.alerts.policy_file import read_alert_policy
from gateway.alerts.service import AlertService
from gateway.alerts.store import SqlAlerts
from gateway.alerts.tables import HOURS
from gateway.alerts.watcher import KEPT_DAYS, ROWS_AT_ONCE, AlertWatcher
from gateway.authenticate.caller import Caller
from gateway.config import ConfigRefused
from gateway.federation.asking.use_store import RegionUses
from gateway.meter.decisions import DecisionIds
from gateway.meter.deliveries import Deliveries
from gateway.meter.delivery import START, Delivering, DeliveryKey
from gateway.meter.ledger import UsageLedger
from gateway.meter.model import LineCount
from gateway.meter.settler import DeliverySettler
from gateway.settle.month import utc_text
from gateway.storage.engines import Engines, reading
from tests.administration.world import CALLER
from tests.clock import NOW, StandingClock
from tests.examples import always_on_postgresql, rarely_on_postgresql
from tests.federation.asking.test_uses import Made, answer, uses
from tests.meter.world import DAY, Disclosure, admitted, claim, company, with_lines
from tests.receipts import RECEIPTS

pytestmark = rarely_on_postgresql


def policy(**changed: Any) -> AlertPolicy:
    """Return the shipped policy with parts changed."""
    return AlertPolicy.model_validate(read_alert_policy().model_dump() | changed)


SWEEPS = policy(sweep={"subjects_a_day": 3})
HOUR = 3_600
# 2026-04-01T00:00+08:00, hours before the clock of these tests begins.
WEDNESDAY = NOW - (NOW + 8 * HOUR) % DAY


OPERATOR = CALLER._replace(
    role=ClientRole.CLIENT_ROLE_OPERATOR, operator_id="alpha", client_id="alpha-client"
)


class Watched:
    """A ledger with records of invented companies, and what watches it."""

    def __init__(self, engines: Engines) -> None:
        self.engines = engines
        self.clock = StandingClock()
        self.ledger = UsageLedger(with_lines(engines.records), self.clock, RECEIPTS)
        records = [admitted(f"r-{number}", number) for number in range(1, 6)]
        self.sequences = Disclosure(engines.records).publish(*records)
        self.alerts = AlertService(SqlAlerts(engines.evidence), self.clock)
        self.deliveries = Deliveries(engines.records)
        self.made = 0

    def use(self, *entries: Sequence[int], **changed: Any) -> None:
        """Answer once for each of ``entries``, the places of the records served."""
        claims = []
        for each in entries:
            self.made += 1
            served = [self.sequences[place] for place in each]
            claims.append(claim(f"u-{self.made}", served, served_at=NOW, **changed))
        self.ledger.commit(claims)

    def elsewhere(
        self, request_id: str, region: str, subjects: Sequence[str], records: int = 1
    ) -> None:
        """Charge a chunk of another region with so many records of each of ``subjects``."""
        self.made += 1
        name = f"{request_id}-{region}"
        made = Made(request_id=request_id, region=region)
        about = [subject for subject in subjects for _ in range(records)]
        given = [
            use._replace(record_id=f"{name}-{number}", subject=subject)
            for number, (use, subject) in enumerate(zip(uses(len(about)), about, strict=True))
        ]
        answered = answer(made, len(given))._replace(region_request_id=name)
        RegionUses(self.engines.records).keep(answered, given)
        lines = (LineCount(1, len(given), 7),)
        charge = claim(name, [], served_at=NOW)
        self.ledger.commit([charge._replace(lines=lines)])

    def use_at(self, at: int, records: int, **changed: Any) -> None:
        """Answer once at ``at`` with so many records of another region's kind."""
        self.made += 1
        self.clock.at = at
        lines = (LineCount(1, records, 7),) if records else ()
        changed = {"asked_subjects": 1, "purpose": 1, "good_until": at + 60} | changed
        made = claim(f"u-{self.made}", [], served_at=at, **changed)
        self.ledger.commit([made._replace(lines=lines)])

    def settle(self, most: int) -> None:
        """Settle so many of the deliveries, of which one record a day is credited."""
        settler = DeliverySettler(
            self.engines.records, self.clock, DecisionIds(), grace_seconds=-1, per_day=1
        )
        for number in range(min(most, 3)):
            settler.settle(DeliveryKey("alpha", f"d-{number}"))

    def watch(self, by: AlertPolicy = SWEEPS) -> bool:
        """Do one step, as another process would."""
        watcher = AlertWatcher(self.engines.records, self.engines.evidence, by)
        return watcher.step(self.clock.now())

    async def listed(self, **fields: Any) -> list[pb.Alert]:
        """List alerts."""
        answer = await self.alerts.list_alerts(pb.ListAlertsRequest(**fields), CALLER)
        return list(answer.alerts)

    def counted(self) -> int:
        """Return the records counted."""
        with reading(self.engines.evidence) as connection:
            return connection.execute(select(func.sum(HOURS.c.records))).scalar() or 0


@pytest.fixture
def watched(engines: Engines) -> Watched:
    """The parts on an empty installation."""
    return Watched(engines)


async def test_a_sweep_is_raised_once_and_tells_nobody_who_was_asked_about(
    watched: Watched,
) -> None:
    watched.use([0], [0, 0], [1])
    watched.watch()
    assert await watched.listed() == []
    watched.use([2], [3])
    watched.watch()
    watched.use([4])
    watched.watch()
    watched.watch()
    (alert,) = await watched.listed()
    assert (alert.operator_id, alert.kind) == ("alpha", AlertKind.ALERT_KIND_SWEEP)
    assert (alert.counted, alert.threshold, alert.raise_time.seconds) == (4, 3, NOW)
    # The day in the offset of the policy, which began at 16:00 UTC.
    assert alert.period_start.seconds == NOW - (NOW + 8 * 3_600) % DAY
    assert company(1) not in str(alert)


async def test_an_answer_about_one_subject_is_known_by_its_first_record(watched: Watched) -> None:
    watched.use([0, 0], [1], [2], [3, 3], asked_subjects=1)
    watched.watch()
    (alert,) = await watched.listed()
    assert (alert.kind, alert.counted) == (AlertKind.ALERT_KIND_SWEEP, 4)
    assert watched.counted() == 6


@always_on_postgresql
async def test_each_answer_counts_once_however_often_it_is_watched(watched: Watched) -> None:
    watched.use([0], [1, 2], [])
    watched.watch()
    watched.watch()
    assert watched.counted() == 3
    watched.use([3])
    watched.watch()
    assert watched.counted() == 4


@always_on_postgresql
async def test_more_than_one_step_takes_is_left_to_the_next(watched: Watched) -> None:
    for _ in range(ROWS_AT_ONCE // 200):
        watched.use(*([0] for _ in range(200)))
    watched.use([1])
    assert watched.watch()
    assert not watched.watch()
    assert watched.counted() == ROWS_AT_ONCE + 1


@always_on_postgresql
async def test_operators_are_counted_each_by_itself(watched: Watched) -> None:
    watched.use([0], [1], operator_id="alpha")
    watched.use([2], [3], operator_id="beta")
    watched.watch()
    assert await watched.listed() == []
    watched.use([4], operator_id="beta")
    watched.watch()
    assert [each.operator_id for each in await watched.listed()] == ["beta"]
    assert await watched.listed(operator_id="alpha") == []


async def test_out_of_hours_bulk_is_raised_for_its_hour(watched: Watched) -> None:
    # 07:33 at the offset of the policy.
    bulk = policy(out_of_hours={"records_an_hour": 2, "opens": 8, "closes": 20})
    watched.use([0, 1])
    watched.watch(bulk)
    (alert,) = await watched.listed()
    assert alert.kind == AlertKind.ALERT_KIND_OUT_OF_HOURS
    assert alert.period_start.seconds == NOW - NOW % 3_600


async def test_deliveries_never_acknowledged_are_raised_once_on_the_day_they_were_settled(
    watched: Watched,
) -> None:
    """Whether they were credited or stay charged; what is credited is no use."""
    careless = policy(unacknowledged={"records_a_day": 3})
    for number in range(3):
        key = DeliveryKey("alpha", f"d-{number}")
        turn = watched.deliveries.take_up(key, b"payload", NOW).turn
        made = claim(key.request_id, [watched.sequences[number]], served_at=NOW)
        watched.ledger.commit([made._replace(delivery=Delivering(turn, START))])
    watched.settle(2)
    watched.watch(careless)
    assert await watched.listed() == []
    watched.settle(10)
    for _ in range(2):
        watched.watch(careless)
    (alert,) = await watched.listed()
    assert (alert.kind, alert.counted) == (AlertKind.ALERT_KIND_UNACKNOWLEDGED, 3)
    assert alert.period_start.seconds == NOW - (NOW + 8 * 3_600) % DAY
    assert watched.counted() == 3


@always_on_postgresql
async def test_an_operator_sees_alerts_on_itself_and_not_what_was_noted(watched: Watched) -> None:
    watched.use([0], [1], [2])
    watched.use([0], [1], [2], operator_id="beta")
    watched.watch()
    everything = await watched.listed()
    for each in everything:
        request = pb.AcknowledgeAlertRequest(alert_id=each.alert_id, note="a new customer")
        await watched.alerts.acknowledge_alert(request, CALLER)
    asked = pb.ListAlertsRequest(show_acknowledged=True)
    (own,) = (await watched.alerts.list_alerts(asked, OPERATOR)).alerts
    assert (own.operator_id, own.acknowledge_time.seconds) == ("alpha", NOW)
    assert (own.acknowledged_by, own.note) == ("", "")
    with pytest.raises(Refused) as refusal:
        await watched.alerts.list_alerts(pb.ListAlertsRequest(operator_id="beta"), OPERATOR)
    assert refusal.value.reason == RefusalReason.REFUSAL_REASON_SCOPE_NOT_GRANTED


@always_on_postgresql
async def test_an_alert_is_acknowledged_once_and_listed_on_demand(watched: Watched) -> None:
    watched.use([0], [1], [2])
    watched.use([0], [1], [2], operator_id="beta")
    watched.watch()
    newest, oldest = await watched.listed()
    request = pb.AcknowledgeAlertRequest(alert_id=oldest.alert_id, note="a new customer")
    watched.clock.at += 5
    done = (await watched.alerts.acknowledge_alert(request, CALLER)).alert
    assert (done.note, done.acknowledge_time.seconds) == ("a new customer", NOW + 5)
    assert done.acknowledged_by
    watched.clock.at += 5
    assert (await watched.alerts.acknowledge_alert(request, CALLER)).alert == done
    assert await watched.listed() == [newest]
    assert await watched.listed(show_acknowledged=True) == [newest, done]


@always_on_postgresql
@pytest.mark.parametrize(
    ("note", "by"),
    [("something else", CALLER), ("a new customer", CALLER._replace(client_id="colleague"))],
    ids=["another note", "another person"],
)
async def test_whoever_acknowledges_second_is_told_that_their_note_was_not_kept(
    watched: Watched, note: str, by: Caller
) -> None:
    watched.use([0], [1], [2])
    watched.watch()
    (alert,) = await watched.listed()
    first = pb.AcknowledgeAlertRequest(alert_id=alert.alert_id, note="a new customer")
    done = (await watched.alerts.acknowledge_alert(first, CALLER)).alert
    second = pb.AcknowledgeAlertRequest(alert_id=alert.alert_id, note=note)
    with pytest.raises(Refused) as refusal:
        await watched.alerts.acknowledge_alert(second, by)
    assert refusal.value.reason == RefusalReason.REFUSAL_REASON_STATE_CONFLICT
    at = utc_text(NOW)
    assert refusal.value.message.startswith(
        f"{done.acknowledged_by} acknowledged this alert at {at}"
    )
    told = {"acknowledged_by": done.acknowledged_by, "acknowledge_time": at}
    assert refusal.value.metadata == told
    assert "a new customer" not in str(refusal.value.__dict__)
    assert await watched.listed(show_acknowledged=True) == [done]


@always_on_postgresql
async def test_alerts_are_listed_in_pages(watched: Watched) -> None:
    for name in ("alpha", "beta", "gamma"):
        watched.use([0], [1], [2], operator_id=name)
    watched.watch()
    told, token = list[str](), ""
    for _ in range(3):
        request = pb.ListAlertsRequest(page_size=1, page_token=token)
        page = await watched.alerts.list_alerts(request, CALLER)
        told += [each.alert_id for each in page.alerts]
        token = page.next_page_token
    assert told == [each.alert_id for each in await watched.listed()]
    assert not token


@pytest.mark.parametrize(
    ("alert_id", "note", "reason"),
    [
        ("alert-7", "x", RefusalReason.REFUSAL_REASON_RESOURCE_NOT_FOUND),
        ("7", "x", RefusalReason.REFUSAL_REASON_RESOURCE_NOT_FOUND),
        ("alert-7", "", RefusalReason.REFUSAL_REASON_INVALID_REQUEST),
    ],
)
async def test_what_is_no_alert_is_not_acknowledged(
    watched: Watched, alert_id: str, note: str, reason: RefusalReason.ValueType
) -> None:
    request = pb.AcknowledgeAlertRequest(alert_id=alert_id, note=note)
    with pytest.raises(Refused) as refusal:
        await watched.alerts.acknowledge_alert(request, CALLER)
    assert refusal.value.reason == reason


@pytest.mark.parametrize(
    ("text", "told"),
    [("{", "no YAML"), ("sweep: {}", "sweep.subjects_a_day"), ("x" * 70_000, "at most")],
)
def test_a_policy_file_with_a_fault_is_refused_by_its_place(
    tmp_path: Any, text: str, told: str
) -> None:
    file = tmp_path / "policy.yaml"
    file.write_text(text)
    with pytest.raises(ConfigRefused, match=told):
        read_alert_policy(file)
    with pytest.raises(ConfigRefused, match="cannot be read"):
        read_alert_policy(tmp_path / "none.yaml")


async def test_twenty_thousand_codes_without_a_record_are_told(watched: Watched) -> None:
    for _ in range(40):
        watched.use([], asked_subjects=500)
    watched.watch(policy())
    assert await watched.listed() == []
    watched.clock.at += HOUR
    watched.watch(policy())
    (alert,) = await watched.listed()
    assert alert.kind == AlertKind.ALERT_KIND_ASKED_SWEEP
    assert (alert.counted, alert.threshold) == (20_000, 5_000)


async def test_subjects_that_have_records_count_once_an_answer(watched: Watched) -> None:
    few = policy(
        asked_sweep={"subjects_a_day": 10, "found_share": 0.5, "factor": 5, "days": 7},
        sweep={"subjects_a_day": 100},
    )
    watched.use([0, 0, 1, 2, 3, 4], asked_subjects=9)
    # Six different of eleven had records: more than half.
    watched.use([0], asked_subjects=2)
    watched.clock.at += HOUR
    watched.watch(few)
    assert await watched.listed() == []
    watched.use([], asked_subjects=1)
    watched.watch(few)
    (alert,) = await watched.listed()
    assert alert.counted == 12


async def test_a_sweep_through_other_regions_is_raised_by_the_subjects_they_gave(
    watched: Watched,
) -> None:
    watched.elsewhere("q-1", "two", [company(1), company(2)], records=40)
    watched.elsewhere("q-1", "three", [company(1)])
    watched.watch()
    assert await watched.listed() == []
    watched.elsewhere("q-2", "two", [company(3)])
    watched.watch()
    (alert,) = await watched.listed()
    assert (alert.kind, alert.counted) == (AlertKind.ALERT_KIND_SWEEP, 3)


@always_on_postgresql
async def test_of_other_regions_subjects_count_as_found_and_records_do_not(
    watched: Watched,
) -> None:
    few = policy(
        asked_sweep={"subjects_a_day": 10, "found_share": 0.5, "factor": 5, "days": 7},
        sweep={"subjects_a_day": 100},
    )
    watched.use([], asked_subjects=10)
    watched.elsewhere("q-1", "two", [company(number) for number in range(6)])
    watched.clock.at += HOUR
    watched.watch(few)
    assert await watched.listed() == []
    watched.use([], asked_subjects=10)
    # Many records, and in several regions, are still one subject found.
    watched.elsewhere("q-2", "two", [company(9)], records=300)
    watched.elsewhere("q-2", "three", [company(9)], records=300)
    watched.watch(few)
    (alert,) = await watched.listed()
    assert (alert.kind, alert.counted) == (AlertKind.ALERT_KIND_ASKED_SWEEP, 20)


async def test_records_of_other_regions_are_records_whatever_they_are_counted_for(
    watched: Watched,
) -> None:
    # It is half past seven in the morning in Beijing.
    bulk = {"records_an_hour": 50, "opens": 9, "closes": 18}
    many = policy(out_of_hours=policy().out_of_hours.model_dump() | bulk)
    watched.elsewhere("q-1", "two", [company(9)], records=49)
    watched.watch(many)
    assert await watched.listed() == []
    watched.use([0])
    watched.watch(many)
    (alert,) = await watched.listed()
    assert (alert.kind, alert.counted) == (AlertKind.ALERT_KIND_OUT_OF_HOURS, 50)


@pytest.mark.parametrize("every", [1, 2, 4, 100])
@pytest.mark.parametrize(("first", "told"), [(1_000, 0), (25_000, 1)])
async def test_a_day_drifts_once_it_is_over_however_often_it_is_watched(
    watched: Watched, first: int, told: int, every: int
) -> None:
    """What is most of the records at half past eight may be few of them by the evening."""
    uses = [(WEDNESDAY - back * DAY + 10 * HOUR, 20_000, 1) for back in range(7, 0, -1)]
    uses += [(WEDNESDAY + 8 * HOUR + 1_800, first, 2), (WEDNESDAY + 12 * HOUR, 20_000, 1)]
    for number, (at, records, purpose) in enumerate(uses, 1):
        watched.use_at(at, records, purpose=purpose)
        if number % every == 0:
            watched.watch(policy())
    watched.clock.at = WEDNESDAY + DAY - 1
    watched.watch(policy())
    assert _of(await watched.listed(), AlertKind.ALERT_KIND_PURPOSE_DRIFT) == []
    for _ in range(2):
        watched.clock.at += HOUR
        watched.watch(policy())
    alerts = _of(await watched.listed(), AlertKind.ALERT_KIND_PURPOSE_DRIFT)
    assert [(each.purpose, each.counted, each.period_start.seconds) for each in alerts] == [
        (2, first, WEDNESDAY)
    ] * told


@pytest.mark.parametrize("away_days", [0, 1, 40])
@pytest.mark.parametrize("is_new", [False, True])
async def test_a_day_is_judged_by_what_was_usual_then_also_when_that_comes_late(
    watched: Watched, away_days: int, is_new: bool
) -> None:
    """By a process that was there all the time, or a new one, that finds much later use too."""
    watcher = AlertWatcher(watched.engines.records, watched.engines.evidence, policy())
    for back in range(7, 0, -1):
        watched.use_at(WEDNESDAY - back * DAY + 10 * HOUR, 1_000)
    watched.use_at(WEDNESDAY + 10 * HOUR, 1_000, purpose=2)
    watcher.step(watched.clock.now())
    if is_new:
        watcher = AlertWatcher(watched.engines.records, watched.engines.evidence, policy())
    watched.use_at(WEDNESDAY + (1 + away_days) * DAY + 10 * HOUR, 1_000)
    watcher.step(watched.clock.now())
    (alert,) = await watched.listed()
    assert (alert.kind, alert.purpose) == (AlertKind.ALERT_KIND_PURPOSE_DRIFT, 2)
    assert alert.period_start.seconds == WEDNESDAY


async def test_who_is_at_rest_costs_nothing_and_is_judged_again_once_there_is_use(
    watched: Watched,
) -> None:
    """Also where another process counted that use."""
    resting = AlertWatcher(watched.engines.records, watched.engines.evidence, policy())
    for back in range(7, 0, -1):
        watched.use_at(WEDNESDAY - back * DAY + 10 * HOUR, 1_000)
    watched.clock.at = WEDNESDAY + HOUR
    resting.step(watched.clock.now())
    begun: list[str] = []

    def note(connection: Connection) -> None:
        del connection
        begun.append("begun")

    event.listen(watched.engines.evidence, "begin", note)
    for _ in range(3):
        watched.clock.at += HOUR
        looked = len(begun)
        resting.step(watched.clock.now())
        # What is followed is read, and no more.
        assert len(begun) == looked + 1
    watched.use_at(WEDNESDAY + 10 * HOUR, 1_000, purpose=2)
    watched.watch(policy())
    watched.clock.at = WEDNESDAY + DAY + HOUR
    resting.step(watched.clock.now())
    (alert,) = await watched.listed()
    assert (alert.kind, alert.purpose) == (AlertKind.ALERT_KIND_PURPOSE_DRIFT, 2)


@pytest.mark.parametrize("often", [True, False])
async def test_a_sweep_in_the_night_is_told_whatever_is_asked_about_by_day(
    watched: Watched, often: bool
) -> None:
    watched.use_at(WEDNESDAY + HOUR, 0, asked_subjects=5_000)
    watched.use_at(WEDNESDAY + 3 * HOUR, 0, asked_subjects=1)
    if often:
        watched.watch(policy())
        assert len(await watched.listed()) == 1
    # So many that have records that of the whole day hardly any would be too few.
    watched.elsewhere("q-1", "two", [company(number) for number in range(300)])
    watched.clock.at = NOW
    watched.watch(policy())
    (alert,) = await watched.listed()
    assert (alert.kind, alert.counted) == (AlertKind.ALERT_KIND_ASKED_SWEEP, 5_000)


@pytest.mark.parametrize("wrong_days", [1, 9])
async def test_what_was_usual_is_known_still_after_a_clock_was_far_ahead(
    watched: Watched, wrong_days: int
) -> None:
    """On one host the watcher's clock is that of the ledger: both were wrong."""
    for day in range(10):
        watched.use_at(WEDNESDAY + day * DAY + 10 * HOUR, 1_000)
        watched.watch(policy())
    for day in range(wrong_days):
        watched.use_at(WEDNESDAY + (70 + day) * DAY + 10 * HOUR, 1)
        watched.watch(policy())
    watched.use_at(WEDNESDAY + 10 * DAY + 10 * HOUR, 50_000, purpose=2)
    watched.watch(policy())
    watched.clock.at += DAY
    watched.watch(policy())
    alerts = await watched.listed()
    (growth,) = _of(alerts, AlertKind.ALERT_KIND_GROWTH)
    assert (growth.counted, growth.threshold) == (50_000, 5_000)
    (drift,) = _of(alerts, AlertKind.ALERT_KIND_PURPOSE_DRIFT)
    assert drift.period_start == growth.period_start


async def test_counts_of_long_ago_are_forgotten(watched: Watched) -> None:
    for day in range(KEPT_DAYS + 3):
        watched.use_at(WEDNESDAY + day * DAY + 10 * HOUR, 1)
    watched.watch(policy())
    assert watched.counted() == KEPT_DAYS


def _of(alerts: Sequence[pb.Alert], kind: AlertKind.ValueType) -> list[pb.Alert]:
    return [alert for alert in alerts if alert.kind == kind]
