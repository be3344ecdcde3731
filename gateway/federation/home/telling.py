"""FollowConsents: the region that granted consents tells another how they stand.

Only of consents whose regions reach the caller's, and which it names: of all others, of those
there are none of too, the same is said (guarantee G11).
"""

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Collection, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from typing import Final

from google.protobuf.timestamp_pb2 import Timestamp

from consent.model import NAME_PREFIX, Consent
from consent.sql import SqlConsents
from consent.states import FINAL, GRANTED, PAUSED
from creditgate.refusal import Refused, Violation, invalid
from creditgate.v1.consent_service_pb2 import ConsentState
from creditgate.v1.federation_service_pb2 import (
    ConsentStanding,
    FollowConsentsRequest,
    FollowConsentsResponse,
)
from creditgate.v1.refusal_pb2 import RefusalReason
from gateway.authenticate.caller import Caller
from gateway.clock import Clock
from gateway.consents.news import ConsentNews
from gateway.ending import end
from gateway.federation.home.standings import AT_ONCE, MOST_FOLLOWED
from gateway.respond.request import names_a_consent
from operators.shapes import common_regions

MOST_STREAMS: Final = 64
"""Most streams of one region that one process serves at once."""
_CHANGES_AT_ONCE: Final = 1_000
_THREADS: Final = 2
_TOLD: Final = frozenset({GRANTED, PAUSED}) | FINAL
_LAST_ASK: Final = (1 << 63) - 1


class ConsentTelling:
    """Serves FollowConsents.

    ``codes`` gives the division codes (GB/T 2260) that the calling region is home of, as of
    now, and raises Refused where it is none that stands.
    """

    def __init__(
        self,
        consents: SqlConsents,
        news: ConsentNews,
        codes: Callable[[Caller], frozenset[str]],
        clock: Clock,
    ) -> None:
        self._consents = consents
        self._news = news
        self._codes = codes
        self._clock = clock
        self._streams: Counter[str] = Counter()
        # Threads of their own: a revocation never waits for what else the process is asked for.
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="consent-telling")

    def close(self) -> None:
        """End the threads; nothing is told any more."""
        self._threads.shutdown(cancel_futures=True)

    async def follow_consents(
        self, requests: AsyncIterator[FollowConsentsRequest], caller: Caller
    ) -> AsyncGenerator[FollowConsentsResponse]:
        """Yield how the consents named stand, and each that changes, as it changes.

        Raises Refused: RATE_EXCEEDED, INVALID_REQUEST, TEMPORARILY_UNAVAILABLE where the
        process ends, and as ``codes``.
        """
        run = partial(asyncio.get_running_loop().run_in_executor, self._threads)
        self._codes(caller)
        with self._place(caller.client_id), self._news.of_all() as stirred:
            followed = _Followed(stirred, await run(self._consents.head))
            reader = asyncio.create_task(followed.read(requests), name="consents-followed")
            reader.add_done_callback(lambda _: stirred.set())
            answered = 0
            try:
                while True:
                    await stirred.wait()
                    # Before reading: what changes after is news again.
                    stirred.clear()
                    if self._news.over:
                        raise _ending()
                    if reader.done():
                        reader.result()
                        return
                    codes, ask, to_tell = self._codes(caller), *followed.taken()
                    while changes := await run(self._changes, followed.after):
                        followed.after, changed = changes
                        to_tell |= dict.fromkeys(changed & followed.consents)
                    names = list(to_tell)
                    for start in range(0, len(names), AT_ONCE):
                        some = names[start : start + AT_ONCE]
                        standings = await run(self._standings, some, codes)
                        yield FollowConsentsResponse(standings=standings)
                    if ask > answered:
                        answered = ask
                        yield FollowConsentsResponse(answers=ask)
            finally:
                with contextlib.suppress(Refused):
                    await end(reader)

    @contextmanager
    def _place(self, client_id: str) -> Generator[None]:
        if self._streams[client_id] >= MOST_STREAMS:
            raise Refused(
                RefusalReason.REFUSAL_REASON_RATE_EXCEEDED,
                f"A region has {MOST_STREAMS} streams of consents open at most; close one.",
                retry_after=1,
            )
        self._streams[client_id] += 1
        try:
            yield
        finally:
            self._streams[client_id] -= 1

    def _changes(self, after: int) -> tuple[int, set[str]] | None:
        """Return the change that was come to, and what consents changed until it; None where
        nothing has changed ``after``."""
        changes = self._consents.changes(after=after, limit=_CHANGES_AT_ONCE)
        if not changes:
            return None
        return changes[-1].sequence, {NAME_PREFIX + change.consent_id for change in changes}

    def _standings(self, names: Collection[str], codes: frozenset[str]) -> list[ConsentStanding]:
        found = self._consents.readable([name.removeprefix(NAME_PREFIX) for name in names])
        # What was told stays true when a clock is set back.
        settled = self._consents.settled(tuple(found.values()), self._clock.now())
        by_name = {consent.name: consent for consent in settled}
        return [_standing(name, by_name.get(name), codes) for name in names]


class _Followed:
    """What one stream follows; one event loop's own.

    ``consents`` are names; ``after`` is the change it has come to.
    """

    def __init__(self, stirred: asyncio.Event, after: int) -> None:
        self.consents: set[str] = set()
        self.after = after
        self._stirred = stirred
        self._fresh: dict[str, None] = {}
        self._ask = 0

    async def read(self, requests: AsyncIterator[FollowConsentsRequest]) -> None:
        """Take in what the caller sends, to its end. Raises Refused INVALID_REQUEST."""
        async for request in requests:
            _require_well_formed(request, self._ask)
            for name in request.dropped:
                self.consents.discard(name)
                self._fresh.pop(name, None)
            self.consents.update(request.consents)
            self._fresh |= dict.fromkeys(request.consents)
            if len(self.consents) > MOST_FOLLOWED:
                raise invalid(
                    Violation("consents", f"at most {MOST_FOLLOWED} in one stream; drop some")
                )
            self._ask = request.ask
            self._stirred.set()

    def taken(self) -> tuple[int, dict[str, None]]:
        """Return the newest question, and what is to be told that was not yet."""
        fresh, self._fresh = self._fresh, {}
        return self._ask, fresh


def _require_well_formed(request: FollowConsentsRequest, last: int) -> None:
    faults: list[Violation] = []
    if not last < request.ask <= _LAST_ASK:
        faults.append(Violation("ask", "number the questions of a stream from 1 on, growing"))
    for field in ("consents", "dropped"):
        names: Collection[str] = getattr(request, field)
        if len(names) > AT_ONCE:
            faults.append(Violation(field, f"at most {AT_ONCE} in one message"))
        elif not all(map(names_a_consent, names)):
            faults.append(Violation(field, "each must read consents/{id}"))
    if faults:
        raise invalid(*faults)


def _standing(name: str, consent: Consent | None, codes: frozenset[str]) -> ConsentStanding:
    if (
        consent is None
        or consent.granted_at is None
        or consent.state not in _TOLD
        or not common_regions(consent.terms.regions, codes)
    ):
        return ConsentStanding(consent=name, state=ConsentState.CONSENT_STATE_UNSPECIFIED)
    return ConsentStanding(
        consent=name,
        state=consent.state,
        version=consent.version,
        change_time=Timestamp(seconds=consent.changed_at),
    )


def _ending() -> Refused:
    return Refused(
        RefusalReason.REFUSAL_REASON_TEMPORARILY_UNAVAILABLE,
        "This process of the gateway ends; open the stream anew.",
        retry_after=1,
    )
