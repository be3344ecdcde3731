"""Challenges answered (抽查): copies that the gateway wants to see, shown as they are held."""

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import grpc
from google.protobuf.timestamp_pb2 import Timestamp

from creditgate.v1.conformance_service_pb2 import (
    AnswerChallengeRequest,
    Challenge,
    ListChallengesRequest,
    ShownCopy,
)
from creditgate.v1.conformance_service_pb2_grpc import ConformanceServiceStub
from sdk.copies.fields import RECORDS
from sdk.copies.file import CopiesFile
from sdk.copies.held import CopiesRefused, HeldCopy

_DEADLINE_SECONDS: Final = 30
_PAGE: Final = 1_000
_COPIES_AT_ONCE: Final = 100
_BYTES_AT_ONCE: Final = 3 << 20
"""Of contents in one request: a gateway takes 4 MiB."""


@dataclass(slots=True)
class Answered:
    """What was shown and what was found: ``confirmed`` copies are as they should be, and
    ``refreshed`` are too, but were served again after they were asked for and prove nothing;
    ``left`` challenges are about records that the file does not hold."""

    shown: int = 0
    confirmed: int = 0
    refreshed: int = 0
    findings: list[str] = field(default_factory=list[str])
    left: list[Challenge] = field(default_factory=list[Challenge])


class Challenges:
    """The challenges to the operator that the channel acts for."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._stub = ConformanceServiceStub(channel)

    async def list(self) -> list[Challenge]:
        """Return all that wait for an answer, by deadline. Raises grpc.RpcError."""
        found: list[Challenge] = []
        request = ListChallengesRequest(page_size=_PAGE)
        while True:
            page = await self._stub.ListChallenges(request, timeout=_DEADLINE_SECONDS)
            found.extend(page.challenges)
            if not page.next_page_token:
                return found
            request.page_token = page.next_page_token

    async def answer(
        self, file: CopiesFile, challenges: Sequence[Challenge], *, gone: bool = False
    ) -> Answered:
        """Show the copies of a file that ``challenges`` are about.

        Where the file holds several of a record, of old revisions or of another region's record of
        that id, all are shown. With ``gone``, the gateway is told that of records the file does not
        hold no copy is held; else they are left, in case the file is not all there is. Raises
        grpc.RpcError, CopiesRefused, OSError.
        """
        copies = await asyncio.to_thread(_found, file, challenges)
        done = Answered()
        told: list[list[ShownCopy]] = []
        for challenge in challenges:
            if challenge.record in copies:
                told.append([_shown(challenge, copy) for copy in copies[challenge.record]])
            elif gone:
                told.append([ShownCopy(challenge=challenge.name, not_held=True)])
            else:
                done.left.append(challenge)
        for some in _requests(told):
            answer = await self._stub.AnswerChallenge(some, timeout=_DEADLINE_SECONDS)
            done.shown += len({copy.challenge for copy in some.copies})
            done.confirmed += answer.confirmed
            done.refreshed += answer.refreshed
            done.findings.extend(answer.findings)
        return done


def _found(file: CopiesFile, challenges: Iterable[Challenge]) -> Mapping[str, Sequence[HeldCopy]]:
    """Return all copies there are of the records challenged, by the record's name."""
    wanted = {challenge.record for challenge in challenges}
    found: defaultdict[str, list[HeldCopy]] = defaultdict(list)
    for copy in file:
        name = f"{RECORDS}{copy.record_id}"
        if name not in wanted:
            continue
        if copy.content is None:
            raise CopiesRefused(
                f"{file.path} keeps digests alone: challenges are answered from a file with"
                " contents"
            )
        found[name].append(copy)
        if len(found[name]) > _COPIES_AT_ONCE:
            raise CopiesRefused(
                f"{file.path} holds more than {_COPIES_AT_ONCE} copies of {copy.record_id}"
            )
    return found


def _shown(challenge: Challenge, copy: HeldCopy) -> ShownCopy:
    return ShownCopy(
        challenge=challenge.name,
        content=copy.content or b"",
        disclosed_from=Timestamp(seconds=copy.disclosed_from),
        disclosed_until=copy.until(),
    )


def _requests(told: Iterable[Sequence[ShownCopy]]) -> Iterator[AnswerChallengeRequest]:
    """Yield the copies of each challenge in as few requests as their number and size allow, those
    of one together: it is judged by all that come with one request."""
    request, size = AnswerChallengeRequest(), 0
    for copies in told:
        more = sum(copy.ByteSize() for copy in copies)
        full = len(request.copies) + len(copies) > _COPIES_AT_ONCE or size + more > _BYTES_AT_ONCE
        if request.copies and full:
            yield request
            request, size = AnswerChallengeRequest(), 0
        request.copies.extend(copies)
        size += more
    if request.copies:
        yield request
