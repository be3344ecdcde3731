"""However much happened to a consent, its request, its answer and its end are told."""

from sqlalchemy import Engine

from consent.changing import Act, log
from consent.connections import writing
from consent.model import Actor
from consent.owed import owe
from consent.states import GRANTED, REQUESTED, REVOKED
from gateway.consents.message import ConsentMessages
from tests.clock import NOW, StandingClock
from tests.consent.store import ConsentStore
from tests.consent.world import act, terms
from tests.examples import rarely_on_postgresql


@rarely_on_postgresql
def test_of_a_history_longer_than_a_message_the_middle_is_left_out_and_counted(
    records_engine: Engine,
) -> None:
    consents = ConsentStore(records_engine)
    made, short = consents.granted(), consents.granted()
    with writing(records_engine) as connection:
        for at in range(505):
            log(connection, made, Act(Actor.GATEWAY, "", "", NOW + at), NOW + at)
    made = consents.move(made.consent_id, "revoke", act(NOW + 600))
    messages = ConsentMessages(consents, StandingClock(NOW + 700))
    told, brief = messages.each([made, short])
    assert (len(told.history), told.history_left_out) == (500, 8)
    assert [each.state for each in told.history[:2]] == [REQUESTED, GRANTED]
    assert told.history[-1].state == told.state == REVOKED
    times = [each.event_time.seconds for each in told.history]
    assert times == sorted(times)
    assert (len(brief.history), brief.history_left_out) == (2, 0)


def test_of_more_duties_than_a_message_has_the_newest_are_told_and_the_first_to_report(
    records_engine: Engine,
) -> None:
    consents, hour = ConsentStore(records_engine), 3_600
    made, now = consents.granted(terms=terms(data_life_seconds=hour)), NOW + 102 * hour
    with writing(records_engine) as connection:
        for number in range(1, 102):
            life_until = NOW + number * hour
            owe(connection, made, life_until, life_until, life_until)
    (told,) = ConsentMessages(consents, StandingClock(now)).each([made])
    assert (len(told.removals), told.removals_left_out, told.unreported_left_out) == (100, 1, 1)
    assert told.removal.deadline.seconds == NOW + hour
    assert told.data_life_until == told.removals[-1].deadline
    assert told.removals[0].life_until.seconds == NOW + 2 * hour
    assert told.removal.overdue
