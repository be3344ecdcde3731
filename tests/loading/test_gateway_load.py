"""A publisher loads over the SDK's own channel: mutual TLS, a token, the whole gateway."""

from pathlib import Path

import grpc
import pytest

from sdk.loading.load import load
from sdk.refusals import explain
from tests.installation import PUBLISHER, Installation
from tests.loading.files import registration, write_jsonl


async def test_a_publisher_loads_through_the_whole_gateway(
    publishing: Installation, tmp_path: Path
) -> None:
    source = write_jsonl(tmp_path / "x.jsonl", [registration(number) for number in range(1_500)])
    async with publishing.running() as gateway, gateway.channel(PUBLISHER) as channel:
        for published in (1_500, 0):
            summary = await load(
                channel, source, report=tmp_path / "r.csv", progress=lambda _: None
            )
            assert (summary.published, summary.rejected) == (published, 0)


async def test_a_client_without_the_scope_cannot_load(
    publishing: Installation, tmp_path: Path
) -> None:
    source = write_jsonl(tmp_path / "x.jsonl", [registration(1)])
    async with (
        publishing.running() as gateway,
        gateway.channel(PUBLISHER, scopes=("catalogue:read",)) as channel,
    ):
        with pytest.raises(grpc.aio.AioRpcError) as error:
            await load(channel, source, report=tmp_path / "r.csv", progress=lambda _: None)
    assert explain(error.value).reason == "SCOPE_NOT_GRANTED"
