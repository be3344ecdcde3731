"""An endpoint is sent batches of CloudEvents, again and again until it takes them."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from gateway.exports.http import MOST_EVENTS, EventEndpoint, NotTaken
from gateway.meter.model import LineCount
from gateway.signin.tls import trusting
from tests.examples import always_on_postgresql, rarely_on_postgresql
from tests.exports.receiver import Receiver, receiving
from tests.exports.world import ISSUER, Ledger
from tests.meter.world import NOW, claim

pytestmark = rarely_on_postgresql


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """A receiver that listens on loopback."""
    with receiving() as receiver:
        yield receiver


@pytest.fixture
def endpoint(receiver: Receiver, tmp_path: Path) -> Iterator[EventEndpoint]:
    """What sends to it, with a token."""
    token = tmp_path / "token"
    token.write_text("first\n")
    endpoint = EventEndpoint(receiver.url, ISSUER, token, trusting(None))
    yield endpoint
    endpoint.close()


@always_on_postgresql
def test_uses_come_as_batches_of_cloudevents(
    ledger: Ledger, receiver: Receiver, endpoint: EventEndpoint
) -> None:
    ledger.charge(*(claim(f"r-{number}", [1]) for number in range(MOST_EVENTS + 1)))
    ledger.tell(endpoint)
    assert [len(batch) for batch in receiver.batches] == [MOST_EVENTS, 1]
    # As it stands, without parameters: OpenMeter compares all of it.
    assert {each["Content-Type"] for each in receiver.headers} == {
        "application/cloudevents-batch+json"
    }
    assert {each["Authorization"] for each in receiver.headers} == {"Bearer first"}
    ledger.tell(endpoint)
    assert len(receiver.batches) == 2


@pytest.mark.parametrize("status", [307, 400, 401, 429, 500, 503])
def test_what_is_not_taken_comes_again_with_the_same_ids(
    ledger: Ledger, receiver: Receiver, endpoint: EventEndpoint, status: int
) -> None:
    ledger.charge(*(claim(f"r-{number}", [1]) for number in range(MOST_EVENTS + 1)))
    receiver.statuses = [204, status]
    with pytest.raises(NotTaken, match=f"^127.0.0.1 answers {status}$"):
        ledger.tell(endpoint)
    ledger.tell(endpoint)
    ids = [event["id"] for batch in receiver.batches for event in batch]
    assert len(ids) == len(set(ids)) == MOST_EVENTS + 1


@always_on_postgresql
def test_who_takes_one_batch_at_a_time_is_told_of_all_in_the_end(
    ledger: Ledger, receiver: Receiver, endpoint: EventEndpoint
) -> None:
    lines = (LineCount(1, 1, 7), LineCount(2, 1, 5))
    ledger.charge(*(claim(f"r-{number}", [1, 2], lines=lines) for number in range(MOST_EVENTS + 1)))
    for _ in range(2):
        receiver.statuses = [204, 429]
        with pytest.raises(NotTaken):
            ledger.tell(endpoint)
    ledger.tell(endpoint)
    assert [len(batch) for batch in receiver.batches] == [MOST_EVENTS, MOST_EVENTS, 2]
    ids = [event["id"] for batch in receiver.batches for event in batch]
    assert len(set(ids)) == 2 * (MOST_EVENTS + 1)


def test_answer_of_more_than_one_batch_is_taken_batch_by_batch(
    ledger: Ledger, receiver: Receiver, endpoint: EventEndpoint
) -> None:
    lines = tuple(LineCount(1, 1, price) for price in range(2 * MOST_EVENTS + 1))
    ledger.charge(claim("r-0", [1], lines=lines), claim("r-1", [1]))
    for _ in range(2):
        receiver.statuses = [204, 429]
        with pytest.raises(NotTaken):
            ledger.tell(endpoint)
    ledger.tell(endpoint)
    assert [len(batch) for batch in receiver.batches] == [MOST_EVENTS, MOST_EVENTS, 1, 1]
    ids = [event["id"] for batch in receiver.batches for event in batch]
    assert len(set(ids)) == 2 * MOST_EVENTS + 2


def test_what_the_endpoint_answers_is_told_when_it_changes(
    ledger: Ledger,
    receiver: Receiver,
    endpoint: EventEndpoint,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO", "gateway.exports.http")
    ledger.charge(claim("r-1", [1]))
    receiver.statuses = [503, 503]
    for _ in range(2):
        with pytest.raises(NotTaken):
            ledger.tell(endpoint)
    ledger.tell(endpoint)
    told = [(record.levelname, record.getMessage()) for record in caplog.records]
    assert told == [
        ("WARNING", "usage_export_url answers 503: the batch is sent again"),
        ("INFO", "usage_export_url answers 204"),
    ]


@pytest.mark.parametrize("status", [307, 400, 401, 404, 413, 415, 422])
def test_what_an_endpoint_refuses_is_told_as_what_holds_up_the_export(
    ledger: Ledger,
    receiver: Receiver,
    endpoint: EventEndpoint,
    caplog: pytest.LogCaptureFixture,
    status: int,
) -> None:
    ledger.charge(claim("r-1", [1]))
    receiver.statuses = [status, status]
    for _ in range(2):
        with pytest.raises(NotTaken):
            ledger.tell(endpoint)
    (told,) = caplog.records
    assert told.levelname == "ERROR"
    assert told.getMessage() == (
        f"usage_export_url answers {status}: it refuses the batch from operators/alpha/usage/0/lines/0"
        " on, and no use is exported there until it takes it"
    )


def test_token_may_be_replaced_and_must_be_there(
    ledger: Ledger, receiver: Receiver, endpoint: EventEndpoint, tmp_path: Path
) -> None:
    token = tmp_path / "token"
    token.unlink()
    ledger.charge(claim("r-1", [1]))
    with pytest.raises(OSError):
        ledger.tell(endpoint)
    assert not receiver.headers
    token.write_text("second")
    ledger.tell(endpoint)
    assert receiver.headers[0]["Authorization"] == "Bearer second"


def test_endpoint_that_is_away_is_tried_again(ledger: Ledger, receiver: Receiver) -> None:
    ledger.charge(claim("r-1", [1]))
    away = EventEndpoint("http://127.0.0.1:9/events", ISSUER, None, trusting(None))
    with pytest.raises(httpx.TransportError):
        ledger.follower(away).step(NOW)
    away.close()
