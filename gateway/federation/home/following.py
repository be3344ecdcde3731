"""Following the consents of other regions: one stream to each, taken up again when it breaks."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from typing import Final, Protocol

from creditgate.refusal import Refused
from creditgate.v1.federation_service_pb2 import (
    ConsentStanding,
    FollowConsentsRequest,
    FollowConsentsResponse,
)
from creditgate.v1.refusal_pb2 import RefusalReason
from gateway.ending import end
from gateway.federation.home.standings import Standing, Standings
from gateway.storage.background import Failures

Requests = AsyncIterator[FollowConsentsRequest]
Responses = AsyncIterator[FollowConsentsResponse]

PATIENCE_SECONDS: Final = 1.0
"""How long a call waits to hear how a consent stands that was not followed before."""
_ASKS_A_LEASE: Final = 4
_LONGEST_ASK_SECONDS: Final = 1.0
_FIRST_PAUSE_SECONDS: Final = 0.1
_LONGEST_PAUSE_SECONDS: Final = 5.0
_MOST_REGIONS: Final = 256
_SILENT_LEASES: Final = 4
"""A stream that says nothing for so many leases is given up: it may be cut off unnoticed."""


class Links(Protocol):
    """The way to other regions' gateways."""

    def follow_consents(
        self, region: str, requests: Requests
    ) -> AbstractAsyncContextManager[Responses]:
        """Open FollowConsents at a region, by its entity identifier; raises what the way there
        raises."""
        ...


class ConsentFollower:
    """Knows how the consents of other regions stand; one event loop's own.

    ``told`` is given each standing that is news, with the region's entity identifier.
    """

    def __init__(
        self,
        links: Links,
        told: Callable[[str, ConsentStanding], object],
        monotonic: Callable[[], float],
        lease_seconds: float,
    ) -> None:
        self._links = links
        self._told = told
        self._monotonic = monotonic
        self._lease_seconds = lease_seconds
        self._streams: dict[str, _Stream] = {}

    def known(self, region: str, consent: str) -> Standing | None:
        """Return how a consent stands, None where that is not known now; any thread."""
        stream = self._streams.get(region)
        return None if stream is None else stream.standings.known(consent)

    async def follow(self, region: str, consent: str) -> Standing:
        """Follow a consent, and return how it stands.

        Waits for a second at most; raises Refused FEDERATION_UNKNOWN where nothing was heard.
        """
        stream = self._streams.get(region)
        if stream is None:
            if len(self._streams) >= _MOST_REGIONS:
                raise unheard()
            stream = self._streams[region] = _Stream(
                region,
                self._links,
                self._told,
                Standings(self._monotonic, self._lease_seconds),
                self._lease_seconds,
            )
        return await stream.standing(consent)

    async def stop(self) -> None:
        """End all streams."""
        streams, self._streams = self._streams, {}
        for stream in streams.values():
            await stream.stop()


class _Stream:
    """One region's stream, as long as the process runs."""

    def __init__(
        self,
        region: str,
        links: Links,
        told: Callable[[str, ConsentStanding], object],
        standings: Standings,
        lease_seconds: float,
    ) -> None:
        self.standings = standings
        self._region = region
        self._links = links
        self._told = told
        self._ask_seconds = min(lease_seconds / _ASKS_A_LEASE, _LONGEST_ASK_SECONDS)
        self._silent_seconds = lease_seconds * _SILENT_LEASES
        self._stirred = asyncio.Event()
        self._heard = asyncio.Condition()
        self._failures = Failures("following consents of another region")
        self._task = asyncio.create_task(self._run(), name="consents-elsewhere")

    async def standing(self, consent: str) -> Standing:
        """As `ConsentFollower.follow`."""
        if self.standings.want(consent):
            self._stirred.set()
        known = self.standings.known(consent)
        if known is not None:
            return known
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE_SECONDS), self._heard:
                while (known := self.standings.known(consent)) is None:
                    await self._heard.wait()
                return known
        raise unheard()

    async def stop(self) -> None:
        """End the stream."""
        await end(self._task)

    async def _run(self) -> None:
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        assert task is not None, "streams are read by tasks"
        pause = _FIRST_PAUSE_SECONDS
        while True:
            try:
                self.standings.begin()
                async with (
                    asyncio.timeout(self._silent_seconds) as silence,
                    # Whoever reads the questions ends them too, with the stream.
                    self._links.follow_consents(self._region, self._asks()) as responses,
                ):
                    async for response in responses:
                        silence.reschedule(loop.time() + self._silent_seconds)
                        pause = _FIRST_PAUSE_SECONDS
                        await self._take_in(response)
            except asyncio.CancelledError as error:
                # A channel that is closed cancels its calls, and so whoever reads them.
                if task.cancelling():
                    raise
                self._failures.tell("a stream", ConnectionError(str(error)))
            except Exception as error:
                # Whatever it was: what is not heard is refused, and it is tried again.
                self._failures.tell("a stream", error)
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)

    async def _asks(self) -> AsyncGenerator[FollowConsentsRequest]:
        while True:
            self._stirred.clear()
            yield self.standings.ask()
            if self.standings.more:
                continue
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._ask_seconds):
                    await self._stirred.wait()

    async def _take_in(self, response: FollowConsentsResponse) -> None:
        for told in self.standings.heard(response):
            self._told(self._region, told)
        async with self._heard:
            self._heard.notify_all()


def unheard() -> Refused:
    """Return the refusal of what rests on a consent that another region says nothing of."""
    return Refused(
        RefusalReason.REFUSAL_REASON_FEDERATION_UNKNOWN,
        "Whether the consent stands in the region that granted it is not known now; try again.",
        retry_after=1,
    )
