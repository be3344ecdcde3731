"""What is exported can be imported by OpenMeter and Lago: their fields, their sums, their ids."""

import json
import subprocess
import sys
from pathlib import Path

from gateway.exports.events import event_of, jsonl_of
from tests.exports.test_events import CREDIT, USE
from tests.exports.world import ISSUER

_ROOT = Path(__file__).resolve().parents[2]
_PAGE = (_ROOT / "docs" / "exports.md").read_text(encoding="utf-8")


def test_lago_gets_batches_of_a_hundred_with_an_id_of_their_own(tmp_path: Path) -> None:
    uses = [USE._replace(usage_index=number) for number in range(100, 200)] + [CREDIT]
    file = tmp_path / "usage.jsonl"
    file.write_bytes(jsonl_of(uses, ISSUER))
    script = _ROOT / "docs" / "examples" / "usage_to_lago.py"
    done = subprocess.run(
        [sys.executable, script, file], capture_output=True, text=True, check=True
    )
    batches = [json.loads(line) for line in done.stdout.splitlines()]
    assert [len(batch["events"]) for batch in batches] == [100, 1]
    events = [event for batch in batches for event in batch["events"]]
    assert len({event["transaction_id"] for event in events}) == 101
    assert {event["external_subscription_id"] for event in events} == {"alpha"}
    assert events[0]["timestamp"] == USE.at
    assert sum(event["properties"]["records"] for event in events) == 100 * 2 - 2


def test_lago_gets_what_stands_beside_a_line_that_a_crash_cut_off(tmp_path: Path) -> None:
    named = USE._replace(source="某\u2028局")
    cut, whole = tmp_path / "usage-1.jsonl", tmp_path / "usage-2.jsonl"
    cut.write_bytes(jsonl_of([named, CREDIT], ISSUER)[:-40])
    whole.write_bytes(jsonl_of([CREDIT], ISSUER))
    script = _ROOT / "docs" / "examples" / "usage_to_lago.py"
    done = subprocess.run(
        [sys.executable, script, cut, whole], capture_output=True, text=True, check=True
    )
    (batch,) = [json.loads(line) for line in done.stdout.split("\n")[:-1]]
    ids = [event["transaction_id"] for event in batch["events"]]
    assert ids == [event_of(each, ISSUER)["id"] for each in (named, CREDIT)]


def test_meters_of_the_guide_read_what_events_have() -> None:
    """OpenMeter's meters name an event type and JSON paths in ``data``."""
    import yaml

    (block,) = [part for part in _PAGE.split("```") if part.startswith("yaml\n")]
    meters = yaml.safe_load(block.removeprefix("yaml\n"))["meters"]
    event = event_of(USE, ISSUER)
    assert {meter["valueProperty"] for meter in meters} == {"$.records", "$.fee_micro_yuan"}
    for meter in meters:
        assert meter["eventType"] == event["type"]
        assert meter["aggregation"] == "SUM"
        for path in (meter["valueProperty"], *meter["groupBy"].values()):
            assert path.removeprefix("$.") in event["data"]


def test_guide_shows_an_event_as_it_is() -> None:
    (block,) = [part for part in _PAGE.split("```") if part.startswith("json\n")]
    assert json.loads(block.removeprefix("json\n")) == event_of(USE, ISSUER)
