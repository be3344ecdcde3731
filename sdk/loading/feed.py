"""The feed: one PublishRecords call for each batch, tried again while that may help."""

import asyncio
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import grpc

from creditgate.v1.disclosure_service_pb2 import (
    PublishRecordsRequest,
    PublishRecordsResponse,
    RejectedRecord,
)
from creditgate.v1.disclosure_service_pb2_grpc import DisclosureServiceStub
from sdk.refusals import Refusal, explain

_FIRST_WAIT: Final = 0.2
_LONGEST_WAIT: Final = 5.0
_TOLD_AFTER: Final = 5.0
_SILENT: Final = Refusal(
    "DEADLINE_EXCEEDED", "", "it has not answered so far", violations=(), retry_after=None
)


class FeedBroken(Exception):
    """The gateway's answer does not account for every draft sent."""


@dataclass(frozen=True, slots=True)
class Fed:
    """What became of a batch: each draft is published now, unchanged, or rejected."""

    published: int
    unchanged: int
    rejections: tuple[RejectedRecord, ...]


class Feed:
    """Publishes batches one after another over a channel.

    A call that fails because the gateway is not there or is too busy is sent again, for
    ``patience`` seconds, in which it is to be answered too: batches are idempotent. ``waiting`` is
    told why where that takes five seconds, once a call.
    """

    def __init__(
        self, channel: grpc.aio.Channel, patience: float, waiting: Callable[[Refusal], None]
    ) -> None:
        self._stub = DisclosureServiceStub(channel)
        self._patience = patience
        self._waiting = waiting

    async def publish(self, request: PublishRecordsRequest) -> Fed:
        """Publish a batch of drafts. Raises grpc.RpcError, FeedBroken."""
        response = await self._call(request)
        fed = _accounted(request, response)
        if not (response.skipped_batches and fed.rejections):
            return fed
        # An earlier run left this batch with rejections. The catalogue may have changed
        # since, so what it rejected is judged anew, under an id never used before.
        again = PublishRecordsRequest(
            batch_id=f"{request.batch_id}-{secrets.token_hex(16)}",
            records=[request.records[rejection.index] for rejection in fed.rejections],
        )
        judged = _accounted(again, await self._call(again))
        for rejection in judged.rejections:
            rejection.index = fed.rejections[rejection.index].index
        return Fed(judged.published, fed.unchanged + judged.unchanged, judged.rejections)

    async def _call(self, request: PublishRecordsRequest) -> PublishRecordsResponse:
        loop = asyncio.get_running_loop()
        give_up = loop.time() + self._patience
        wait, why = _FIRST_WAIT, _SILENT
        telling = loop.call_later(_TOLD_AFTER, lambda: self._waiting(why))
        try:
            while True:
                left = give_up - loop.time()
                try:
                    return await self._stub.PublishRecords(iter((request,)), timeout=left)
                except grpc.aio.AioRpcError as error:
                    why = explain(error)
                    pause = _pause(why, wait)
                    if pause is None or loop.time() + pause > give_up:
                        raise
                await asyncio.sleep(pause)
                wait = min(wait * 2, _LONGEST_WAIT)
        finally:
            telling.cancel()


def _pause(refusal: Refusal, wait: float) -> float | None:
    """Return how many seconds to wait before trying again, None when that cannot help."""
    if refusal.retry_after is not None:
        return max(wait, refusal.retry_after)
    return wait if refusal.away else None


def _accounted(request: PublishRecordsRequest, response: PublishRecordsResponse) -> Fed:
    """Return what became of the drafts. Raises FeedBroken unless each is told once."""
    rejections = tuple(response.rejections)
    fed = Fed(response.published_records, response.unchanged_records, rejections)
    places = {rejection.index for rejection in rejections}
    sent = len(request.records)
    if (
        fed.published + fed.unchanged + len(places) != sent
        or not len(places) == len(rejections) == response.rejected_records
        or not places <= set(range(sent))
    ):
        raise FeedBroken(
            f"the gateway's answer to batch {request.batch_id} does not account for each of its"
            f" {sent} records; run the load again, and report it if it recurs"
        )
    return fed
