"""What the SDK shows for a sample: all copies there are of the record, and together."""

import csv
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

import grpc
import pytest

from creditgate.v1.conformance_service_pb2 import (
    AnswerChallengeRequest,
    AnswerChallengeResponse,
    Challenge,
)
from sdk.challenges import Challenges
from sdk.copies.file import CopiesFile
from sdk.copies.held import CopiesRefused

_RECORDS: Final = 60
_METHOD: Final = "creditgate.v1.ConformanceService"


@pytest.fixture
def taken() -> list[AnswerChallengeRequest]:
    """What the gateway was shown."""
    return []


@pytest.fixture
async def channel(taken: list[AnswerChallengeRequest]) -> AsyncIterator[grpc.aio.Channel]:
    """A gateway that takes what it is shown."""

    async def answer(request: AnswerChallengeRequest, context: object) -> AnswerChallengeResponse:
        del context
        taken.append(request)
        return AnswerChallengeResponse(confirmed=len({each.challenge for each in request.copies}))

    handler = grpc.unary_unary_rpc_method_handler(
        answer,
        request_deserializer=AnswerChallengeRequest.FromString,
        response_serializer=AnswerChallengeResponse.SerializeToString,
    )
    server = grpc.aio.server()
    server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler(_METHOD, {"AnswerChallenge": handler}),)
    )
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as made:
        yield made
    await server.stop(None)


def _file(folder: Path, copies: int, size: int = 10) -> CopiesFile:
    """Write a file of so many copies of each record, one revision of all after the other."""
    path = folder / "copies.csv"
    with path.open("w", newline="", encoding="utf-8") as out:
        rows = csv.writer(out)
        rows.writerow(("record_id", "content", "disclosed_from", "disclosed_until"))
        for revision in range(copies):
            for number in range(_RECORDS):
                rows.writerow((f"r-{number}", f"{revision}".ljust(size), 1, 100 + revision))
    return CopiesFile(path)


def _asked() -> list[Challenge]:
    return [
        Challenge(name=f"challenges/{number}", record=f"records/r-{number}")
        for number in range(_RECORDS)
    ]


@pytest.mark.parametrize("size", [10, 40_000])
async def test_all_copies_of_a_record_are_shown_together(
    channel: grpc.aio.Channel, taken: list[AnswerChallengeRequest], tmp_path: Path, size: int
) -> None:
    done = await Challenges(channel).answer(_file(tmp_path, 3, size), _asked())
    assert (done.shown, done.confirmed, done.left) == (_RECORDS, _RECORDS, [])
    assert len(taken) > 1
    for request in taken:
        assert len(request.copies) <= 100
        assert request.ByteSize() < 4 << 20
        names = [each.challenge for each in request.copies]
        assert all(names.count(each) == 3 for each in names)
    shown = {(each.challenge, each.content.strip()) for some in taken for each in some.copies}
    assert len(shown) == 3 * _RECORDS


async def test_a_file_of_more_copies_of_a_record_than_can_be_shown_is_refused(
    channel: grpc.aio.Channel, tmp_path: Path
) -> None:
    with pytest.raises(CopiesRefused, match="more than 100 copies of r-0"):
        await Challenges(channel).answer(_file(tmp_path, 101), _asked())
