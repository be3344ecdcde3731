"""Turn exported uses into batches for Lago.

``python docs/examples/usage_to_lago.py FILE...`` reads files of CloudEvents (JSON Lines) and prints
one request body for Lago's ``POST /api/v1/events/batch`` a line. ``transaction_id`` is the event's
id, by which Lago knows what it has already; ``external_subscription_id`` is the operator, so call
the operators' subscriptions so in Lago; ``code`` is that of the billable metric.
"""

import json
import sys
from collections.abc import Iterable, Iterator
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Any, Final

MOST_EVENTS: Final = 100
CODE: Final = "creditgate_records"


def lago_event(event: dict[str, Any]) -> dict[str, Any]:
    """Return the Lago event of a CloudEvent; records and fees credited are negative."""
    return {
        "transaction_id": event["id"],
        "external_subscription_id": event["subject"],
        "code": CODE,
        "timestamp": int(datetime.fromisoformat(event["time"]).timestamp()),
        "properties": event["data"],
    }


def batches(events: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Yield request bodies of at most `MOST_EVENTS` events."""
    rest = iter(events)
    while some := list(islice(rest, MOST_EVENTS)):
        yield {"events": [lago_event(event) for event in some]}


def main() -> None:
    """Print the batches of the files named."""
    if len(sys.argv) < 2:
        raise SystemExit("usage: python docs/examples/usage_to_lago.py FILE...")
    events = (
        json.loads(line)
        for name in sys.argv[1:]
        # What no line feed ends was cut off by a crash: it comes again, whole, in the next file.
        for line in Path(name).read_bytes().split(b"\n")[:-1]
    )
    for batch in batches(events):
        sys.stdout.write(json.dumps(batch, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
