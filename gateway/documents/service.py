"""UsageService, its methods about documents: statements in their forms, and the uses they come
from."""

from collections.abc import AsyncGenerator
from hashlib import sha256
from typing import Final

from creditgate.refusal import Refused
from creditgate.v1 import statement_document_pb2 as pb
from creditgate.v1 import usage_service_pb2 as usage_pb
from creditgate.v1.operator_service_pb2 import ClientRole
from creditgate.v1.refusal_pb2 import RefusalReason
from gateway.authenticate.caller import Caller
from gateway.clock import Clock
from gateway.documents.charged import ChargedUses
from gateway.documents.extract import Extract, Wanted
from gateway.documents.request import DocumentAsk, document_ask, filters, uses_wanted
from gateway.documents.signed import StatementSigner
from gateway.documents.tabular import csv_of, parquet_of
from gateway.documents.uses import ClosedUpTo, StatementUses, UsesPage, UsesWanted
from gateway.settle.paging import page_token
from gateway.settle.views import SettlementFeed
from gateway.settle.whose import operator_asked
from gateway.settlement.books import Books
from gateway.settlement.closing import Closer
from gateway.settlement.store import SqlClosings
from gateway.shares import Shares

MOST_STATEMENTS: Final = 5_000
"""Statements of one document."""
_PART_BYTES: Final = 256 << 10
_FORMS: Final = {
    pb.StatementForm.STATEMENT_FORM_SIGNED_JSON: (".jws", "application/jose"),
    pb.StatementForm.STATEMENT_FORM_CSV: (".csv", "text/csv; charset=utf-8; header=present"),
    pb.StatementForm.STATEMENT_FORM_PARQUET: (".parquet", "application/vnd.apache.parquet"),
    pb.StatementForm.STATEMENT_FORM_PDF: (".pdf", "application/pdf"),
}


class StatementDocuments:
    """Gives statements as documents, and the uses behind them."""

    def __init__(
        self,
        closer: Closer,
        closings: SqlClosings,
        uses: StatementUses,
        signer: StatementSigner,
        issuer: str,
        feed: SettlementFeed,
        clock: Clock,
        shares: Shares,
    ) -> None:
        self._closer = closer
        self._closings = closings
        self._uses = uses
        self._signer = signer
        self._issuer = issuer
        self._feed = feed
        self._clock = clock
        self._shares = shares

    async def get_statement_document(
        self, request: pb.GetStatementDocumentRequest, caller: Caller
    ) -> AsyncGenerator[pb.GetStatementDocumentResponse]:
        """Answer GetStatementDocument.

        Raises Refused: as `operator_asked`; INVALID_REQUEST; STATE_CONFLICT where a sharing
        rule lacks, or none of the months is closed that all operators' are asked of;
        RATE_EXCEEDED where too many of the caller's are under way. Raises KeyOver where the
        document is to be signed and this process signs no more.
        """
        view, now = self._feed.current(), self._clock.now()
        everybody = caller.role == ClientRole.CLIENT_ROLE_ADMINISTRATOR and not request.operator_id
        operator_id = (
            "" if everybody else operator_asked(request.operator_id, caller, view.authority)
        )
        ask = document_ask(request, now)
        extract = await self._shares.run(caller.asker, self._extract, operator_id, ask, view)
        content = await self._shares.run(caller.asker, self._made, extract, ask, now)
        suffix, media_type = _FORMS[ask.form]
        part = pb.GetStatementDocumentResponse(
            file_name=f"{extract.file_stem}{suffix}",
            media_type=media_type,
            sha256=sha256(content).digest(),
        )
        for start in range(0, len(content), _PART_BYTES):
            part.content = content[start : start + _PART_BYTES]
            yield part
            part = pb.GetStatementDocumentResponse()

    async def list_statement_uses(
        self, request: usage_pb.ListStatementUsesRequest, caller: Caller
    ) -> usage_pb.ListStatementUsesResponse:
        """Answer ListStatementUses.

        Raises Refused: as `operator_asked`; INVALID_REQUEST; RATE_EXCEEDED where too many of
        the caller's are under way.
        """
        view = self._feed.current()
        operator_id = operator_asked(request.operator_id, caller, view.authority)
        wanted = uses_wanted(request, operator_id, self._clock.now())
        page = await self._shares.run(caller.asker, self._page, wanted, view)
        token = (
            ""
            if page.end is None
            else page_token(f"{page.end.sequence}.{page.end.number}", filters(request, operator_id))
        )
        return usage_pb.ListStatementUsesResponse(uses=page.uses, next_page_token=token)

    def _extract(self, operator_id: str, ask: DocumentAsk, books: Books) -> Extract:
        statements: list[usage_pb.Statement] = []
        # Months are settled in order, and asked of before what is closed of them is read.
        complete = bool(operator_id) or ask.months[-1].name <= self._closings.last_settled()
        for month in ask.months:
            if operator_id:
                statements.append(self._closer.present(operator_id, month, books))
            else:
                closed = self._closings.of_month(month.name)
                statements += (each.statement for each in closed)
            if len(statements) > MOST_STATEMENTS:
                raise Refused(
                    RefusalReason.REFUSAL_REASON_INVALID_REQUEST,
                    f"A document has {MOST_STATEMENTS} statements at most: ask for fewer months.",
                )
        if not statements:
            raise Refused(
                RefusalReason.REFUSAL_REASON_STATE_CONFLICT,
                "None of the months is closed: close it first (SettlementService.ClosePeriod),"
                " or name an operator.",
            )
        months = ask.months[0].name, ask.months[-1].name
        wanted = Wanted(operator_id, *months, ask.source, ask.region)
        return Extract(self._issuer, wanted, statements, complete)

    def _made(self, extract: Extract, ask: DocumentAsk, now: int) -> bytes:
        if ask.form == pb.StatementForm.STATEMENT_FORM_SIGNED_JSON:
            return self._signer.sign(extract, now)
        if ask.form == pb.StatementForm.STATEMENT_FORM_CSV:
            return csv_of(extract)
        if ask.form == pb.StatementForm.STATEMENT_FORM_PARQUET:
            return parquet_of(extract)
        # Not at start: most processes never print, and the library is large.
        from gateway.documents.pdf import pdf_of

        return pdf_of(extract, ask.language, now)

    def _page(self, wanted: UsesWanted, books: Books) -> UsesPage:
        charged = None
        if wanted.component_id:
            statement = self._closer.present(wanted.operator_id, wanted.month, books)
            charged = ChargedUses(statement, wanted.component_id, wanted.month, books)
        closed = self._closings.from_month(wanted.operator_id, wanted.month.name)
        return self._uses.page(wanted, [ClosedUpTo(*each) for each in closed], charged)
