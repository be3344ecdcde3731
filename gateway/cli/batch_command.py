"""``creditgate batch``: the records of many subjects."""

import json
import os
from collections.abc import Awaitable, Callable, Generator, Sequence
from contextlib import ExitStack, aclosing, contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, TextIO

import typer

from creditgate.v1 import credit_record_service_pb2 as pb
from creditgate.v1.disclosed_record_pb2 import DisclosedRecord
from gateway.cli import calls
from gateway.cli.batch import Chunk, chunks, delivered
from gateway.cli.failures import CommandFailed
from gateway.cli.options import PROFILE, AsJson, Items, Profile, PurposeAsked, RecordRegions
from gateway.cli.output import Sheet, as_dict, console, print_json, show_sheet, yuan
from gateway.cli.outputs import output_file
from gateway.cli.progress import bar
from gateway.cli.proving import Pinned, Proof, ProofAsked, asked, kept
from gateway.cli.receipts import keeping_refused, receipt_kept, sending
from gateway.cli.record import records_sheet
from gateway.cli.usage_book import Kept, opened_book, ready_book, verified
from sdk.request_ids import new_request_id

if TYPE_CHECKING:
    from sdk.usage_book import UsageBook

_SUMMED: Final = ("subjects", "records", "charged_entries", "charged_micro_yuan")


def batch(
    file: Annotated[
        typer.FileText,
        typer.Argument(
            metavar="FILE",
            encoding="utf-8-sig",
            help="Credit codes, one a line; - reads standard input.",
        ),
    ],
    purpose: PurposeAsked,
    items: Items = None,
    consent: Annotated[str, typer.Option("--consent", help="The consent relied on.")] = "",
    request_id: Annotated[
        str | None,
        typer.Option("--request-id", help="Idempotency key; give it again to go on for free."),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            dir_okay=False,
            callback=output_file,
            help="Write the records here, one JSON a line, in place of earlier ones.",
        ),
    ] = None,
    proof: Proof = ProofAsked.NONE,
    save: Annotated[
        Path | None,
        typer.Option(
            "--save",
            file_okay=False,
            help="Write each chunk's bytes into this folder, and its request's, for `verify`.",
        ),
    ] = None,
    key: Pinned = "",
    book: Kept = None,
    acknowledged: Annotated[
        bool,
        typer.Option(
            "--acknowledged",
            help="Acknowledge records once they are in --output: what a break loses is credited.",
        ),
    ] = False,
    places: RecordRegions = None,
    profile: Profile = PROFILE,
    as_json: AsJson = False,
) -> None:
    """Ask for the records of many subjects, as an operator's client."""
    subjects = _subjects(file)
    if acknowledged:
        _require_own(output)
    ready_book(book, profile)
    request = pb.BatchGetSubjectRecordsRequest(
        subjects=subjects,
        items=items,
        purpose=purpose,
        consent=consent,
        request_id=request_id or new_request_id(),
        proof=asked(proof, key),
        regions=places,
    )
    if save is not None:
        save.mkdir(parents=True, exist_ok=True)
    records: list[DisclosedRecord] = []
    with ExitStack() as stack:
        keep_records: Callable[[Sequence[DisclosedRecord]], None] = records.extend
        if output is not None:
            keep_records = stack.enter_context(_writing(output, durably=acknowledged))

        def keep(chunk: Chunk) -> None:
            file = None if save is None else save / f"chunk-{chunk.first:05}.bin"
            kept(chunk.request, *chunk.parts, file=file, key=key)

        async def keep_with_receipt(gateway: calls.Gateway, chunk: Chunk) -> None:
            keep(chunk)
            await receipt_kept(gateway, book, request.request_id, chunk.parts)

        is_new = request_id is None
        if acknowledged:
            opened = None if book is None else stack.enter_context(opened_book(book))
            take = partial(_deliver, keep=keep, book=opened, new=is_new)
        else:
            begin = partial(sending, book, request.request_id, new=is_new)
            take = partial(_take, keep=keep_with_receipt, begin=begin)
        with keeping_refused(book, request.request_id):
            summary = calls.with_gateway(
                profile, lambda gateway: take(gateway, request, keep_records)
            )
    if as_json:
        shown = {} if output is not None else {"records": [as_dict(each) for each in records]}
        print_json({"request_id": request.request_id, **summary, **shown})
        return
    terminal = console()
    if output is None:
        show_sheet(records_sheet(records), terminal)
    show_sheet(_sheet(request.request_id, summary), terminal)


async def _take(
    gateway: calls.Gateway,
    request: pb.BatchGetSubjectRecordsRequest,
    keep_records: Callable[[Sequence[DisclosedRecord]], None],
    *,
    keep: Callable[[calls.Gateway, Chunk], Awaitable[None]],
    begin: Callable[[], None],
) -> dict[str, int]:
    """Hand every chunk to ``keep``, then its records on, and return the sums, fees in
    micro-yuan; ``begin`` is called before each time the request is sent."""
    sums: dict[str, int] = dict.fromkeys(_SUMMED, 0)
    with bar("subjects") as advance:
        async for chunk in chunks(gateway, request, begin):
            await keep(gateway, chunk)
            keep_records(chunk.records)
            _add(sums, chunk)
            advance(sums["subjects"], len(request.subjects))
    return sums


async def _deliver(
    gateway: calls.Gateway,
    request: pb.BatchGetSubjectRecordsRequest,
    keep_records: Callable[[Sequence[DisclosedRecord]], None],
    *,
    keep: Callable[[Chunk], None],
    book: "UsageBook | None",
    new: bool,
) -> dict[str, int]:
    """Do as `_take` with records as they come, each acknowledged once it is kept; receipts are kept
    in ``book``, if one is given, and ``new`` tells that the request was made for this."""
    sums: dict[str, int] = dict.fromkeys(_SUMMED, 0)
    with bar("subjects") as advance, verified():
        async with aclosing(delivered(gateway, request, book, new=new)) as answers:
            async for came, chunk in answers:
                keep_records(came)
                if chunk is not None:
                    keep(chunk)
                    _add(sums, chunk)
                    advance(sums["subjects"], len(request.subjects))
    return sums


def _add(sums: dict[str, int], chunk: Chunk) -> None:
    sums["subjects"] += chunk.subjects
    sums["records"] += len(chunk.records)
    sums["charged_entries"] += chunk.receipt.charged_entries
    sums["charged_micro_yuan"] += chunk.receipt.charged_micro_yuan


def _subjects(file: TextIO) -> list[str]:
    """Return the codes of a file. Raises CommandFailed where there is none to be read."""
    try:
        subjects = [line.strip() for line in file if line.strip()]
    except UnicodeDecodeError:
        raise CommandFailed(
            "The file is not in UTF-8: save it so, one credit code a line."
        ) from None
    if not subjects:
        raise CommandFailed("The file names no subject: write one credit code a line.")
    return subjects


def _require_own(output: Path | None) -> None:
    """Raise CommandFailed unless ``output`` is a file that records can be acknowledged for: one
    that has none, since what was acknowledged before is not given again for nothing."""
    if output is None:
        raise CommandFailed("--acknowledged takes --output: what is written nowhere may be lost.")
    if output.is_file() and output.stat().st_size:
        raise CommandFailed(
            f"{output} may hold records that were acknowledged before, which may not come again:"
            " choose another --output, or move it away."
        )


@contextmanager
def _writing(
    output: Path, *, durably: bool
) -> Generator[Callable[[Sequence[DisclosedRecord]], None]]:
    """Give what writes records to ``output``, and ``durably`` has them on the disk.

    What an earlier batch paid for stays in it until this one is answered.
    """
    with output.open("a", encoding="utf-8") as file:
        begun = False

        def write(records: Sequence[DisclosedRecord]) -> None:
            nonlocal begun
            if not begun and output.is_file():
                file.truncate(0)
            begun = True
            for record in records:
                file.write(json.dumps(as_dict(record), ensure_ascii=False) + "\n")
            # Before they are acknowledged.
            file.flush()
            if durably and output.is_file():
                os.fsync(file.fileno())

        yield write
        write(())


def _sheet(request_id: str, sums: dict[str, int]) -> Sheet:
    return Sheet(
        "Batch",
        ("subjects", "records", "charged records", "yuan", "request id"),
        [
            (
                str(sums["subjects"]),
                str(sums["records"]),
                str(sums["charged_entries"]),
                yuan(sums["charged_micro_yuan"]),
                request_id,
            )
        ],
        frozenset({"subjects", "records", "charged records", "yuan"}),
    )
