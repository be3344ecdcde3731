"""Events are CloudEvents 1.0 that name no record, the same whenever they are made."""

import json
import re

from gateway.exports.events import batch_of, event_of, jsonl_of
from gateway.exports.model import Use
from gateway.meter.model import ANSWER, REVERSAL
from tests.exports.world import ISSUER
from tests.meter.world import NOW

USE = Use(
    operator_id="alpha",
    usage_index=12,
    line=1,
    kind=ANSWER,
    client_id="alpha-client",
    request_id="r-1",
    chunk=3,
    licence="L-1",
    consent="",
    purpose=1,
    decision_id="d-1",
    at=NOW,
    rated_at=NOW,
    reversed_index=None,
    item="penalty.general",
    source="某局",
    region="110000",
    records=2,
    unit_price=250_000,
    fee=500_000,
)
CREDIT = USE._replace(
    usage_index=13, kind=REVERSAL, at=NOW + 90_000, reversed_index=12, records=-2, fee=-500_000
)


def test_event_has_what_cloudevents_require() -> None:
    event = event_of(USE, ISSUER)
    assert {name: event[name] for name in ("specversion", "type", "source", "id", "subject")} == {
        "specversion": "1.0",
        "type": "creditgate.usage.v1",
        "source": "https://gateway.invalid/usage",
        "id": "operators/alpha/usage/12/lines/1",
        "subject": "alpha",
    }
    assert event["time"] == "2026-03-31T23:33:20Z"
    # CloudEvents 1.0.2, section 3.1: names of attributes are of lower-case letters and digits.
    assert all(re.fullmatch("[a-z0-9]{1,20}", name) for name in event)


def test_credit_is_of_the_month_of_the_use_it_gives_back() -> None:
    event = event_of(CREDIT, ISSUER)
    assert event["time"].startswith("2026-04-02")
    assert event["data"]["month"] == "2026-03"
    assert (event["data"]["kind"], event["data"]["reversed_index"]) == ("REVERSAL", 12)
    assert (event["data"]["records"], event["data"]["fee_micro_yuan"]) == (-2, -500_000)


def test_lines_and_batches_hold_the_same_events() -> None:
    events = [event_of(use, ISSUER) for use in (USE, CREDIT)]
    assert [json.loads(line) for line in jsonl_of((USE, CREDIT), ISSUER).splitlines()] == events
    assert json.loads(batch_of((USE, CREDIT), ISSUER)) == events
    assert json.loads(batch_of((), ISSUER)) == []
