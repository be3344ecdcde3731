"""Scenes of volume and money: everything asked for at once, and what all of it costs."""

from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from creditgate.v1 import credit_record_service_pb2 as pb
from creditgate.v1.settlement_service_pb2 import ClosePeriodRequest, ClosePeriodResponse
from creditgate.v1.usage_service_pb2 import (
    GetStatementRequest,
    GetStatementResponse,
    Statement,
)
from gateway.cli.batch import Chunk, chunks
from gateway.cli.output import Sheet, yuan
from gateway.cli.progress import bar
from gateway.cli.usage import statement_sheets
from gateway.demo.account import Section, Step
from gateway.demo.invented import COMPANIES
from gateway.demo.stage import CHECK, Player, Stage, outcome
from sdk.request_ids import new_request_id

_MOST_SUBJECTS: Final = 50_000
# A statement has a line for each source and region; the checks look at all of them.
_LINES_SHOWN: Final = 10
_REASONS_SHOWN: Final = 3
_EXPLAINED: Final = "explained, in Chinese and English"
# What the invented companies still have by then: three registrations, and the corrected
# penalty; the others are repaired, expired or need a consent.
_INVENTED_CURRENT: Final = 4


@dataclass(slots=True)
class _Taken:
    """What a batch brought; ``faulty`` counts records that are not as they say."""

    subjects: int = 0
    records: int = 0
    faulty: int = 0
    charged_entries: int = 0
    charged_micro_yuan: int = 0

    def add(self, chunk: Chunk) -> None:
        """Count a chunk in and check its records."""
        served_at = chunk.receipt.serve_time.seconds
        self.subjects += chunk.subjects
        self.records += len(chunk.records)
        self.charged_entries += chunk.receipt.charged_entries
        self.charged_micro_yuan += chunk.receipt.charged_micro_yuan
        self.faulty += sum(
            sha256(record.content).digest() != record.content_digest
            or served_at < record.disclosed_from.seconds
            or (record.HasField("disclosed_until") and record.disclosed_until.seconds <= served_at)
            for record in chunk.records
        )


async def batch(stage: Stage) -> Section:
    """Ask for every subject of the files and every invented company."""
    subjects = [*COMPANIES, *stage.loaded.subjects]
    taken = _Taken()
    with bar("subjects") as advance:
        for start in range(0, len(subjects), _MOST_SUBJECTS):
            request = pb.BatchGetSubjectRecordsRequest(
                subjects=subjects[start : start + _MOST_SUBJECTS],
                purpose=CHECK,
                request_id=new_request_id(),
            )
            async for chunk in chunks(stage.alpha.gateway, request):
                stage.alpha.charges.add(chunk.receipt)
                taken.add(chunk)
                advance(taken.subjects, len(subjects))
    expected = len(stage.loaded.current) + _INVENTED_CURRENT
    steps = (
        Step(
            "alpha",
            "asks for all subjects in one batch",
            f"{expected} records of {len(subjects)} subjects",
            f"{taken.records} records of {taken.subjects} subjects",
        ),
        Step(
            "alpha",
            "checks digest and period of each record",
            "0 at fault",
            f"{taken.faulty} at fault",
        ),
        Step(
            "alpha",
            f"is charged {yuan(taken.charged_micro_yuan)} yuan",
            f"{taken.records} usage entries",
            f"{taken.charged_entries} usage entries",
        ),
    )
    return Section("A batch over all subjects", steps)


async def billed(stage: Stage) -> tuple[Section, tuple[Statement, ...]]:
    """Compare the statements of both operators with their receipts, and add up the shares."""
    steps: list[Step] = []
    statements: list[Statement] = []
    for name, player in (("alpha", stage.alpha), ("beta", stage.beta)):
        for month in sorted(player.charges.entries):
            statement = await _statement(player, month)
            statements.append(statement)
            steps += _checks(name, player, statement)
    steps.append(await _closed_too_early(stage, max(stage.alpha.charges.entries)))
    sheets = (
        *(sheet for each in statements for sheet in statement_sheets(each, _LINES_SHOWN)),
        _reasons(statements[0]),
    )
    section = Section("Statements and revenue shares, to the micro-yuan", tuple(steps), sheets)
    return section, tuple(statements)


def _checks(name: str, player: Player, statement: Statement) -> list[Step]:
    month = statement.month
    lines = statement.lines
    return [
        Step(
            name,
            f"compares the statement of {month} with its receipts",
            _sum(player.charges.entries[month], player.charges.micro_yuan[month]),
            _sum(statement.total_entries, statement.total_micro_yuan),
        ),
        Step(
            name,
            "adds up the lines",
            _sum(statement.total_entries, statement.total_micro_yuan),
            _sum(sum(line.entries for line in lines), sum(line.fee_micro_yuan for line in lines)),
        ),
        Step(
            name,
            "adds up the shares",
            f"{yuan(statement.total_micro_yuan)} yuan",
            f"{yuan(sum(share.amount_micro_yuan for share in statement.shares))} yuan",
        ),
        Step(
            name,
            "adds up the shares of each line",
            "each is its line's fee",
            "each is its line's fee"
            if all(
                sum(share.amount_micro_yuan for share in line.shares) == line.fee_micro_yuan
                for line in lines
            )
            else "some are not",
        ),
        Step(
            name,
            "reads why, charge by charge and share by share",
            _EXPLAINED,
            _EXPLAINED
            if all(
                each.explanation_zh and each.explanation_en
                for each in (*statement.charges, *statement.sharing)
            )
            else "some are not explained",
        ),
    ]


async def _closed_too_early(stage: Stage, month: str) -> Step:
    request = ClosePeriodRequest(month=month, request_id=new_request_id())
    return Step(
        "administrator",
        "wants to close the month while it runs",
        "INVALID_REQUEST",
        await outcome(stage.administrator.ask(request, ClosePeriodResponse)),
    )


def _reasons(statement: Statement) -> Sheet:
    return Sheet(
        f"Why the shares of {statement.operator_id} are what they are",
        ("rule", "item", "source", "why"),
        [
            (each.rule_id, each.item, each.source, each.explanation_en)
            for each in statement.sharing[:_REASONS_SHOWN]
        ],
    )


async def _statement(player: Player, month: str) -> Statement:
    answer = await player.gateway.ask(GetStatementRequest(month=month), GetStatementResponse)
    return answer.statement


def _sum(entries: int, micro_yuan: int) -> str:
    return f"{entries} entries, {yuan(micro_yuan)} yuan"
