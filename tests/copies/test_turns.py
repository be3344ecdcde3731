"""A reconciliation goes by its turns, ends with an outcome, and tells what went wrong."""

import os
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import grpc
import pytest

from creditgate.reconcile.symbols import MOST_SYMBOLS, SYMBOL_BYTES
from creditgate.v1.conformance_service_pb2 import (
    Attestation,
    AttestCopiesRequest,
    AttestCopiesResponse,
    ReconcileCopiesResponse,
    ReconciliationTerms,
    SetElements,
)
from sdk.conformance import ReconciliationBroken
from sdk.copies.elements import Elements
from sdk.copies.file import CopiesFile
from sdk.copies.held import CopiesRefused, HeldCopy
from tests.copies.files import Told, write_csv
from tests.copies.gateways import Turns, scripted

COPIES = [Told(f"penalty-{number}", b"{}", number, None) for number in range(7)]
TERMS = ReconcileCopiesResponse(terms=ReconciliationTerms(checksum_key=bytes(16)))
ALL = ReconcileCopiesResponse(all_copies_wanted=True)
OUTCOME = ReconcileCopiesResponse(attestation=Attestation(name="attestations/a"))


@pytest.fixture
def file(tmp_path: Path) -> CopiesFile:
    """Seven copies, one of them twice."""
    write_csv(tmp_path / "copies.csv", [*COPIES, COPIES[0]])
    return CopiesFile(tmp_path / "copies.csv")


def element(file: CopiesFile, number: int) -> bytes:
    packed = Elements(file).packed()
    return packed[16 * number : 16 * (number + 1)]


async def test_symbols_and_copies_are_given_as_they_are_wanted(file: CopiesFile) -> None:
    sent: list[int] = []

    async def gateway(turns: Turns) -> AsyncIterator[ReconcileCopiesResponse]:
        opening = (await anext(turns)).opening
        assert (opening.copies, opening.disclosure_sequence) == (7, 5)
        assert (opening.request_id, opening.format_version) == ("r-1", 1)
        yield TERMS
        for wanted in (2, 3):
            yield ReconcileCopiesResponse(symbols_wanted=wanted)
            symbols = (await anext(turns)).symbols
            sent.append(symbols.first_index)
            assert len(symbols.symbols) == wanted * SYMBOL_BYTES
        asked = [element(file, 4), element(file, 1)]
        yield ReconcileCopiesResponse(copies_wanted=SetElements(elements=asked))
        shown = (await anext(turns)).copies.copies
        assert len(shown) == 2
        yield OUTCOME

    async with scripted(gateway) as conformance:
        done = await conformance.reconcile(file, 5, request_id="r-1")
    assert sent == [0, 2]
    assert (done.copies, done.symbols, done.shown, done.all_shown) == (7, 5, 2, False)
    assert done.attestation == OUTCOME.attestation


async def test_every_copy_is_shown_once_where_all_are_wanted(
    file: CopiesFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sdk.conformance._COPIES_AT_ONCE", 3)
    parts: list[int] = []
    records: set[str] = set()

    async def gateway(turns: Turns) -> AsyncIterator[ReconcileCopiesResponse]:
        await anext(turns)
        yield TERMS
        yield ALL
        async for turn in turns:
            parts.append(len(turn.copies.copies))
            records.update(copy.record for copy in turn.copies.copies)
        yield OUTCOME

    async with scripted(gateway) as conformance:
        done = await conformance.reconcile(file, 0)
    assert parts == [3, 3, 1]
    assert records == {f"records/{copy.record_id}" for copy in COPIES}
    assert done.all_shown


async def test_a_file_that_was_written_longer_ago_than_a_day_is_not_attested(
    file: CopiesFile,
) -> None:
    old = time.time() - 86_400 - 60
    os.utime(file.path, (old, old))

    async def gateway(turns: Turns) -> AsyncIterator[ReconcileCopiesResponse]:
        assert (await anext(turns)).opening.made_time.seconds == int(old)
        yield OUTCOME

    async with scripted(gateway) as conformance:
        for attested in (conformance.reconcile, conformance.attest):
            with pytest.raises(CopiesRefused, match="younger file"):
                await attested(file, 0)
        # What was attested by a request before is told, whatever has become of the file.
        done = await conformance.reconcile(file, 0, request_id="r-1")
    assert done.attestation == OUTCOME.attestation


@pytest.mark.parametrize(
    ("turns", "why"),
    [
        ([], "without an outcome"),
        ([TERMS], "without an outcome"),
        ([ReconcileCopiesResponse(symbols_wanted=8)], "out of turn"),
        ([TERMS, ReconcileCopiesResponse(symbols_wanted=0)], "out of turn"),
        ([TERMS, ReconcileCopiesResponse(symbols_wanted=-1)], "out of turn"),
        ([TERMS, ReconcileCopiesResponse(symbols_wanted=MOST_SYMBOLS + 1)], "out of turn"),
        ([ReconcileCopiesResponse()], "use a newer one"),
    ],
)
async def test_a_gateway_out_of_turn_is_no_outcome(
    file: CopiesFile, turns: list[ReconcileCopiesResponse], why: str
) -> None:
    async def gateway(said: Turns) -> AsyncIterator[ReconcileCopiesResponse]:
        await anext(said)
        for turn in turns:
            yield turn

    async with scripted(gateway) as conformance:
        with pytest.raises(ReconciliationBroken, match=why):
            await conformance.reconcile(file, 0)


@pytest.mark.parametrize(
    ("change", "everything"),
    [("less", True), ("more", True), ("other", True), ("less", False), ("other", False)],
)
async def test_a_file_that_changes_meanwhile_is_refused(
    file: CopiesFile, change: str, everything: bool
) -> None:
    wanted = [element(file, number) for number in range(7)]
    changed = {
        "less": COPIES[:-1],
        "more": [*COPIES, COPIES[0]._replace(content=b"new")],
        "other": [COPIES[0]._replace(content=b"new"), *COPIES[1:]],
    }[change]

    async def gateway(turns: Turns) -> AsyncIterator[ReconcileCopiesResponse]:
        await anext(turns)
        yield TERMS
        write_csv(file.path, changed)
        if everything:
            yield ALL
        else:
            yield ReconcileCopiesResponse(copies_wanted=SetElements(elements=wanted))
        async for _ in turns:
            pass
        yield OUTCOME

    async with scripted(gateway) as conformance:
        with pytest.raises(CopiesRefused, match="changed while"):
            await conformance.reconcile(file, 0)


async def test_an_attestation_shows_each_copy_once(file: CopiesFile) -> None:
    async def gateway(
        parts: AsyncIterator[AttestCopiesRequest],
    ) -> AsyncIterator[AttestCopiesResponse]:
        opening = (await anext(parts)).opening
        copies = [copy async for part in parts for copy in part.copies.copies]
        assert opening.copies == len(copies) == len({copy.record for copy in copies}) == 7
        yield AttestCopiesResponse(attestation=OUTCOME.attestation)

    async with scripted(attest=gateway) as conformance:
        assert await conformance.attest(file, 0) == OUTCOME.attestation


async def test_why_a_file_cannot_be_read_again_is_told(file: CopiesFile) -> None:
    async def gateway(
        parts: AsyncIterator[AttestCopiesRequest],
    ) -> AsyncIterator[AttestCopiesResponse]:
        async for _ in parts:
            pass
        yield AttestCopiesResponse()

    async with scripted(attest=gateway) as conformance:
        with pytest.raises(CopiesRefused, match="does not exist"):
            await conformance.attest(Vanishing(file.path), 0)


async def test_a_refused_attestation_says_so(file: CopiesFile) -> None:
    async def gateway(
        parts: AsyncIterator[AttestCopiesRequest],
    ) -> AsyncIterator[AttestCopiesResponse]:
        await anext(parts)
        raise PermissionError
        yield

    async with scripted(attest=gateway) as conformance:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await conformance.attest(file, 0)
    assert caught.value.code() is grpc.StatusCode.FAILED_PRECONDITION
    assert caught.value.details() == "a test"


class Vanishing(CopiesFile):
    """A file that is gone once it was read."""

    def __iter__(self) -> Iterator[HeldCopy]:
        yield from super().__iter__()
        self.path.rename(self.path.with_suffix(".gone"))
