"""A gateway that is told to exports what it serves: to files, to an endpoint, and as metrics."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path

from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from sqlalchemy import select

from gateway.exports.tables import EXPORTED
from gateway.storage.engines import reading
from gateway.telemetry.counts import UsageKey
from gateway.telemetry.telemetry import Telemetry
from tests.exports.receiver import receiving
from tests.installation import PRICE, PUBLISHER, Installation, company
from tests.server.calls import draft, publish, query
from tests.telemetry.test_export import Collector, collector

__all__ = ["collector"]


async def test_gateway_exports_what_it_served_to_all_that_is_configured(
    sqlite_store: tuple[str, Path], tmp_path: Path, collector: tuple[str, Collector]
) -> None:
    folder, token = tmp_path / "events", tmp_path / "token"
    token.write_text("secret")
    with receiving() as receiver:
        installation = Installation(
            *sqlite_store,
            settings={
                "usage_export_folder": folder,
                "usage_export_url": receiver.url,
                "usage_export_token": token,
                "otlp_endpoint": collector[0],
            },
        )
        installation.furnish()
        async with installation.running() as gateway, gateway.channel() as channel:
            async with gateway.channel(PUBLISHER) as publishing:
                await publish(publishing, [draft("r-1", company(1))])
            # Metrics count from when they are first counted on.
            await _until(lambda: "metrics" in _followed(installation))
            answer = await query(channel, company(1))
            await _until(lambda: [*_followed(installation).values()].count(1) == 3)
        installation.close()
    (file,) = folder.iterdir()
    (event,) = [json.loads(line) for line in file.read_bytes().splitlines()]
    assert answer.records
    assert event["source"].startswith("https://127.0.0.1:")
    assert event["data"]["records"] == len(answer.records)
    assert event["data"]["fee_micro_yuan"] == PRICE * len(answer.records)
    assert receiver.batches == [[event]]
    assert receiver.headers[0]["Authorization"] == "Bearer secret"
    assert {"creditgate.usage.records", "creditgate.usage.fees"} <= collector[1].metrics


async def _until(done: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not done():  # noqa: ASYNC110  # of another process, which tells nobody
            await asyncio.sleep(0.05)


def _followed(installation: Installation) -> dict[str, int]:
    """Return how many rows each receiver was told of, by kind."""
    with reading(installation.engines.evidence) as connection:
        rows = connection.execute(select(EXPORTED.c.receiver, EXPORTED.c.size)).all()
    return {row.receiver.partition("-")[0]: row.size for row in sorted(rows)}


def test_usage_goes_out_by_operator_item_and_purpose() -> None:
    reader = InMemoryMetricReader()
    telemetry = Telemetry(reader=reader)
    assert telemetry.exports
    telemetry.usage.add(UsageKey("alpha", "penalty", "BIDDING", credited=False), 3, 21)
    data = reader.get_metrics_data()
    assert data is not None
    found = {
        metric.name: [
            (dict(point.attributes or {}), getattr(point, "value", None))
            for point in metric.data.data_points
        ]
        for metric in data.resource_metrics[0].scope_metrics[0].metrics
        if metric.name.startswith("creditgate.usage.")
    }
    attributes = {
        "creditgate.operator": "alpha",
        "creditgate.item": "penalty",
        "creditgate.purpose": "BIDDING",
        "creditgate.credited": False,
    }
    assert found == {
        "creditgate.usage.records": [(attributes, 3)],
        "creditgate.usage.fees": [(attributes, 21)],
    }
    telemetry.close()
