"""What an honest operator, and who publishes, do before a gateway whose time stands."""

import csv
from collections.abc import Sequence
from itertools import count
from pathlib import Path

from creditgate.transparency.facts import Copy
from creditgate.v1 import conformance_service_pb2 as pb
from creditgate.v1 import disclosure_service_pb2 as disclosure_pb
from creditgate.v1.conformance_service_pb2 import FindingKind
from creditgate.v1.disclosed_record_pb2 import DisclosedRecord
from creditgate.v1.disclosure_proof_pb2 import ProofKind
from sdk.challenges import Challenges
from sdk.copies.file import CopiesFile
from tests.conformance.acting import Operator, Stage
from tests.conformance.attesting import attest, copy_of, opening
from tests.consents.counter import new_subject
from tests.patience import patiently
from tests.server.calls import draft

numbers = count(1)


async def served(stage: Stage, operator: Operator) -> list[Copy]:
    """Publish a record and serve it; return the copies of it."""
    return [copy_of(each) for each in await records(stage, operator)]


async def records(stage: Stage, operator: Operator) -> Sequence[DisclosedRecord]:
    """Publish a record and serve it; return it as it was served."""
    made = draft(f"read-{next(numbers)}", new_subject())
    await stage.publish(made)
    return await asked(stage, operator, made.subject)


async def asked(stage: Stage, operator: Operator, subject: str) -> Sequence[DisclosedRecord]:
    """Ask for a subject's records; return them as they were served."""
    return (await operator.ask(subject, stage.key, ProofKind.PROOF_KIND_UNSPECIFIED)).records


async def show_all(operator: Operator, held: Sequence[DisclosedRecord], folder: Path) -> None:
    """Show every copy that is asked for."""
    file = folder / "dump.csv"
    with file.open("w", newline="", encoding="utf-8") as out:
        rows = csv.writer(out)
        rows.writerow(("record_id", "content", "disclosed_from", "disclosed_until"))
        for each in held:
            until = each.disclosed_until.seconds
            rows.writerow((each.name, each.content.decode(), each.disclosed_from.seconds, until))
    challenges = Challenges(operator.channel)
    waiting = await challenges.list()
    shown = await challenges.answer(CopiesFile(file), waiting)
    assert shown.confirmed == len(waiting) > 0


async def attest_read(
    operator: Operator, copies: Sequence[Copy], read_at: int, reflects: int = 0
) -> pb.Attestation:
    """Attest copies that were read at an instant."""
    opened = opening(len(copies), reflects)
    opened.made_time.seconds = read_at
    return await attest(operator.channel, copies, opened=opened)


async def withdraw(stage: Stage, copy: Copy, revision: int = 1) -> int:
    """Withdraw a record; return the position of the event."""
    request = disclosure_pb.WithdrawRecordRequest(
        name=f"records/{copy.record_id}", expected_revision=revision, reason="set aside"
    )
    done = await patiently(lambda: stage.disclosure.WithdrawRecord(request))
    return done.event_sequence


async def acknowledge(operator: Operator, event: int, removed_at: int) -> None:
    """Say that a copy is gone for an event."""
    word = pb.RemovalAcknowledgement(event_sequence=event)
    word.remove_time.seconds = removed_at
    request = pb.AcknowledgeRemovalsRequest(removals=[word])
    answer = await patiently(lambda: operator.conformance.AcknowledgeRemovals(request))
    assert answer.acknowledged_removals == 1


async def kinds(operator: Operator) -> list[FindingKind.ValueType]:
    """Return the kinds of what stands."""
    return [each.kind for each in await operator.findings()]


async def correct(
    stage: Stage, record: DisclosedRecord, revision: int, changed: bytes | None = None
) -> int:
    """Correct a record's content, where nothing is said to what it was; return the position of the
    event."""
    request = disclosure_pb.CorrectRecordRequest(
        name=record.name,
        expected_revision=revision,
        content=changed or record.content,
        reason="typing error",
    )
    done = await patiently(lambda: stage.disclosure.CorrectRecord(request))
    return done.record.event_sequence


async def correct_period(stage: Stage, record: DisclosedRecord, until: int) -> int:
    """Correct the end of a record's period alone; return the position of the event."""
    request = disclosure_pb.CorrectRecordRequest(
        name=record.name, expected_revision=1, content=record.content, reason="period"
    )
    request.disclosed_until.seconds = until
    done = await patiently(lambda: stage.disclosure.CorrectRecord(request))
    return done.record.event_sequence


async def owed(operator: Operator) -> int:
    """Return how many removals an operator owes."""
    request = pb.GetConformanceRequest()
    standing = await patiently(lambda: operator.conformance.GetConformance(request))
    return standing.outstanding_removals
