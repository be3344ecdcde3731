"""Scenes of what is held (一致性): told of changes, one forgotten, found, mended, certified."""

import asyncio
import json
from contextlib import aclosing
from pathlib import Path
from typing import Final

from creditgate.v1.conformance_service_pb2 import (
    Attestation,
    Finding,
    FindingState,
    GetConformanceRequest,
    GetConformanceResponse,
    ListFindingsRequest,
    ListFindingsResponse,
    WatchDisclosuresResponse,
)
from creditgate.v1.disclosed_record_pb2 import DisclosureEventKind
from gateway.cli.conformance_terms import show_event_kind, show_finding_kind, show_stage
from gateway.cli.output import Sheet
from gateway.clock import SystemClock
from gateway.demo.account import Section, Step
from gateway.demo.changing import settled
from gateway.demo.pinned import Pinned
from gateway.demo.stage import Stage
from sdk.certificates import certified_checkpoint, verified_certificate
from sdk.challenges import Challenges
from sdk.conformance import Conformance, Reconciled
from sdk.copies.file import CopiesFile
from sdk.disclosures import Disclosures
from sdk.documents import DocumentRefused

_HOUR: Final = 3_600
_CORRECTED: Final = DisclosureEventKind.DISCLOSURE_EVENT_KIND_CORRECTED
_REPAIRED: Final = DisclosureEventKind.DISCLOSURE_EVENT_KIND_REPAIRED
_NO_STAGE: Final = "none"
_SECONDS: Final = 5
_LOOK_SECONDS: Final = 0.05
_OPEN: Final = FindingState.FINDING_STATE_OPEN


async def told(stage: Stage) -> tuple[Section, int]:
    """Hear what became of the records served, mend one copy and forget the other.

    Returns the position of the last event heard too.
    """
    alpha = stage.alpha
    disclosures = Disclosures(alpha.gateway.channel)
    void: list[WatchDisclosuresResponse] = []
    async with aclosing(disclosures.follow()) as changes:
        async for change in changes:
            if change.HasField("removal_deadline"):
                void.append(change)
            if change.event.kind == _REPAIRED:
                break
    kinds = ", ".join(show_event_kind(change.event.kind) for change in void)
    hours = {
        (change.removal_deadline.seconds - change.event.event_time.seconds) // _HOUR
        for change in void
    }
    replaced = [change.event.event_sequence for change in void if change.event.kind == _CORRECTED]
    answer = await disclosures.acknowledge(replaced, SystemClock().now())
    steps = (
        Step(
            "alpha",
            "hears on its stream which of its copies are void",
            "corrected, repaired: replaced or gone within 48 hours",
            f"{kinds}: replaced or gone within {', '.join(map(str, sorted(hours)))} hours",
        ),
        Step(
            "alpha",
            "replaces one and acknowledges it, and forgets the other",
            "1 acknowledged, 1 owed",
            f"{answer.acknowledged_removals} acknowledged, {answer.outstanding_removals} owed",
        ),
    )
    heard = void[-1].event.event_sequence
    return Section("A correction and a repair reach who holds copies", steps), heard


async def reconciled(stage: Stage, event_sequence: int) -> Section:
    """Reconcile with one copy too many, mend it, and reconcile again."""
    alpha = stage.alpha
    conformance = Conformance(alpha.gateway.channel)
    file = CopiesFile(stage.home.root / "alpha-copies.jsonl")
    repaired = f"records/{stage.invented.to_repair.record_id}"

    async def stage_now() -> str:
        return show_stage((await _standing(stage)).stage)

    _write(stage, file.path)
    await _second_over()
    first = await conformance.reconcile(file, event_sequence)
    findings = await _findings(stage)
    followed = await settled(stage_now, _NO_STAGE, _SECONDS)
    uncertified = await _certificate(stage)
    del alpha.copies[repaired]
    _write(stage, file.path)
    await Disclosures(alpha.gateway.channel).acknowledge([event_sequence], SystemClock().now())
    second = await conformance.reconcile(file, event_sequence)
    mended = await settled(stage_now, followed, _SECONDS)
    certified = await _certificate(stage)
    waiting = await Challenges(alpha.gateway.channel).list()
    answered = await Challenges(alpha.gateway.channel).answer(file, waiting)
    steps = (
        Step(
            "alpha",
            f"compares its {first.copies} copies with the disclosure",
            f"repaired-held: {repaired}",
            "; ".join(f"{show_finding_kind(each.kind)}: {each.record}" for each in findings),
        ),
        Step(
            "alpha",
            "looks what follows from it",
            "stage rectify, no certificate",
            f"stage {followed}, {uncertified}",
        ),
        Step(
            "alpha",
            "deletes the copy, says so, and compares again",
            "1 rectified, 0 standing",
            _mended(second.attestation),
        ),
        Step("alpha", "looks again", "stage none, certified", f"stage {mended}, {certified}"),
        Step(
            "alpha",
            "shows the copies that the gateway drew to see (抽查)",
            f"{len(waiting)} of {len(waiting)} as they should be",
            f"{answered.confirmed} of {len(waiting)} as they should be",
        ),
    )
    return Section(
        "What is held too long is found, at a cost that grows with the differences",
        steps,
        (_exchanged(first, second),),
    )


async def _second_over() -> None:
    """Wait until the retry of an earlier scene was in an earlier second.

    A copy given again in the very second that copies are drawn may have come after: the gateway
    takes it so, and then showing it proves nothing. People are never as quick as a demo.
    """
    clock = SystemClock()
    began = str(clock.now())

    async def second() -> str:
        await asyncio.sleep(_LOOK_SECONDS)
        return str(clock.now())

    await settled(second, began, _SECONDS)


async def _findings(stage: Stage) -> list[Finding]:
    request = ListFindingsRequest(state=_OPEN)
    answer = await stage.alpha.gateway.ask(request, ListFindingsResponse)
    return list(answer.findings)


async def _standing(stage: Stage) -> GetConformanceResponse:
    return await stage.alpha.gateway.ask(GetConformanceRequest(), GetConformanceResponse)


async def _certificate(stage: Stage) -> str:
    """Return whether alpha can show a certificate that holds by the published keys."""
    certificate = (await _standing(stage)).certificate
    if not certificate:
        return "no certificate"
    customer = await Pinned.fetched(stage)
    now = SystemClock().now()
    try:
        found = verified_certificate(certificate, customer.keys, customer.issuer, now)
        certified_checkpoint(found.document, customer.log)
    except DocumentRefused as refused:
        return str(refused)
    return "certified"


def _write(stage: Stage, path: Path) -> None:
    """Write alpha's copies as any operator could: record, content and period."""
    rows = (
        {
            "record_id": record.name,
            "content": record.content.decode(),
            "disclosed_from": record.disclosed_from.ToJsonString(),
            "disclosed_until": record.disclosed_until.ToJsonString()
            if record.HasField("disclosed_until")
            else None,
        }
        for record in stage.alpha.copies.values()
    )
    path.write_text(
        "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8"
    )


def _mended(attestation: Attestation | None) -> str:
    if attestation is None:
        return "no outcome"
    return f"{attestation.rectified_findings} rectified, {attestation.standing_findings} standing"


def _exchanged(*comparisons: Reconciled) -> Sheet:
    columns = ("copies", "symbols of 26 bytes", "copies shown")
    return Sheet(
        "What alpha sent",
        columns,
        [(str(each.copies), str(each.symbols), str(each.shown)) for each in comparisons],
        frozenset(columns),
    )
