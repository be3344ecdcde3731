"""Statements from an operator's side: worked out again from its usage log, disputed where wrong.

Needs scopes ``usage:read`` and ``prices:read``. What is fetched is verified before it counts: leaves
by the log's checkpoint, plans by the digests in the statement, other statements by their
signatures.
"""

import asyncio
from typing import Final, NamedTuple

import grpc

from creditgate.rating.checking import StatementChecked
from creditgate.rating.grounds import Grounds
from creditgate.rating.months import month_bounds, month_name, months_from
from creditgate.transparency.merkle import ProofInvalid
from creditgate.transparency.statement_evidence import (
    STATEMENT,
    checked_statement,
    lines_given,
    statement_of,
    verify_statement_evidence,
)
from creditgate.v1.settlement_service_pb2 import ListPricePlansRequest
from creditgate.v1.settlement_service_pb2_grpc import SettlementServiceStub
from creditgate.v1.statement_document_pb2 import GetStatementDocumentRequest, StatementForm
from creditgate.v1.usage_evidence_pb2 import StatementEvidence, UsageEvidence
from creditgate.v1.usage_log_pb2 import UsageLeaf
from creditgate.v1.usage_service_pb2 import Statement
from creditgate.v1.usage_service_pb2_grpc import UsageServiceStub
from sdk.usage import Usage
from sdk.usage_book import UsageBook

_DEADLINE_SECONDS: Final = 60
_PAGE: Final = 1_000
_MOST_EARLIER: Final = 12
_MOST_PLANS: Final = 10_000


class _Leaves(NamedTuple):
    """A log's leaves from the first on, and the details of those that have but a digest."""

    leaves: list[bytes]
    details: list[bytes]
    checkpoint: str


class Statements:
    """Statements of an operator, as the channel's client may see them.

    Calls raise grpc.RpcError for refusals, ProofInvalid for what does not verify.
    """

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._usage = Usage(channel)
        self._stub = UsageServiceStub(channel)
        self._settlement = SettlementServiceStub(channel)

    async def signed(self, month: str, operator_id: str = "") -> str:
        """Return the signed document of a month's statement; not verified yet."""
        request = GetStatementDocumentRequest(
            operator_id=operator_id,
            month=month,
            form=StatementForm.STATEMENT_FORM_SIGNED_JSON,
        )
        parts = [
            part.content
            async for part in self._stub.GetStatementDocument(request, timeout=_DEADLINE_SECONDS)
        ]
        return b"".join(parts).decode("ascii", "replace")

    async def check(
        self, statement: Statement, book: UsageBook, *earlier: Statement
    ) -> StatementChecked:
        """Return what of a statement does not follow from the log and the plans.

        The book is followed to where the statement counts. ``earlier`` are other statements of the
        operator that were verified, such as the month's own as it was told before.
        """
        grounds = await self._grounds(statement, book)
        uses = lines_given(grounds.leaves, grounds.details)
        settled = [statement_of(each, book.keys) for each in await self._settled(statement, book)]
        others = [*settled, *earlier]
        told = Grounds(uses, await self._plans(statement, *others), others)
        return await asyncio.to_thread(checked_statement, statement, told)

    async def dispute(
        self, document: str, book: UsageBook, *earlier: str
    ) -> tuple[bytes, StatementChecked]:
        """Return evidence against a signed statement, and what it shows.

        ``earlier`` are other documents of the operator's as they were signed. Raises ProofInvalid
        where there is nothing to dispute.
        """
        statement = statement_of(document, book.keys)
        grounds = await self._grounds(statement, book)
        others = [*await self._settled(statement, book), *earlier]
        told = [statement_of(each, book.keys) for each in others]
        shown = StatementEvidence(
            document=document.strip(),
            leaves=grounds.leaves,
            details=grounds.details,
            checkpoint=grounds.checkpoint,
            plans=await self._plans(statement, *told),
            earlier=others,
        )
        made = UsageEvidence(kind=STATEMENT, statement=shown)
        evidence = made.SerializeToString(deterministic=True)
        return evidence, await asyncio.to_thread(verify_statement_evidence, evidence, book.keys)

    async def _grounds(self, statement: Statement, book: UsageBook) -> _Leaves:
        if statement.operator_id != book.operator_id:
            raise ProofInvalid("the statement is of another operator than the book")
        await self._usage.follow_to(book, statement.usage_size)
        leaves = await asyncio.to_thread(lambda: list(book.leaves()))
        details: list[bytes] = []
        for leaf in leaves:
            use = UsageLeaf.FromString(leaf)
            if use.detail_digest:
                detail = book.detail(use) or await self._usage.detail(use)
                details.append(detail.SerializeToString(deterministic=True))
        note = (await asyncio.to_thread(book.held)).note
        return _Leaves(leaves, details, note)

    async def _plans(self, *statements: Statement) -> list[bytes]:
        """Return the plans that statements name, as the gateway lists them."""
        parts = (part for each in statements for part in (each, *each.adjustments))
        bases = [part.basis for part in parts]
        wanted = {plan.plan_id for basis in bases for plan in basis.plans}
        request, found, seen = ListPricePlansRequest(page_size=_PAGE), list[bytes](), 0
        while True:
            page = await self._settlement.ListPricePlans(request, timeout=_DEADLINE_SECONDS)
            found += (
                plan.SerializeToString(deterministic=True)
                for plan in page.plans
                if plan.plan_id in wanted
            )
            seen += len(page.plans)
            if not page.next_page_token or seen > _MOST_PLANS:
                return found
            request.page_token = page.next_page_token

    async def _settled(self, statement: Statement, book: UsageBook) -> list[str]:
        """Return the documents of what was closed before, as far as the statement goes back."""
        try:
            before = month_name(month_bounds(statement.month)[0] - 1)
            first = min([before, *(each.month for each in statement.adjustments)])
            months = months_from(first, statement.month)[-_MOST_EARLIER:]
        except ValueError:
            raise ProofInvalid("the statement names no month") from None
        documents = [await self.signed(month, book.operator_id) for month in months]
        return [each for each in documents if statement_of(each, book.keys).HasField("close_time")]
