"""SettlementService, the method that gives back what was proven to be overcharged."""

from collections.abc import Iterable, Mapping, Sequence
from hashlib import sha256

from creditgate.refusal import Refused
from creditgate.v1 import settlement_service_pb2 as pb
from creditgate.v1 import usage_service_pb2 as usage_pb
from creditgate.v1.refusal_pb2 import RefusalReason
from gateway.authenticate.caller import Caller
from gateway.clock import Clock
from gateway.settle.month import Month, month_of
from gateway.settle.views import SettlementFeed, SettlementView
from gateway.settlement.closing import Closer
from gateway.settlement.credit import Verifier, credit_note, nothing_left
from gateway.settlement.credit_store import SqlCreditNotes
from gateway.settlement.kept_notes import KeptNote, about_uses
from gateway.settlement.month_use import LedgerMonths
from gateway.settlement.request import require_credit
from gateway.settlement.right_lines import Overcharge, proves_more, together
from gateway.settlement.statement_credit import WrongStatement, statement_note
from gateway.settlement.store import NotesChanged
from gateway.settlement.truing import place_of
from gateway.shares import Shares


class CreditService:
    """Gives back what was proven to be overcharged."""

    def __init__(
        self,
        verify: Verifier,
        notes: SqlCreditNotes,
        months: LedgerMonths,
        closer: Closer,
        feed: SettlementFeed,
        clock: Clock,
        shares: Shares,
    ) -> None:
        self._verify = verify
        self._notes = notes
        self._months = months
        self._closer = closer
        self._feed = feed
        self._clock = clock
        self._shares = shares

    async def create_credit_note(
        self, request: pb.CreateCreditNoteRequest, caller: Caller
    ) -> pb.CreateCreditNoteResponse:
        """Answer CreateCreditNote.

        Raises Refused INVALID_REQUEST where the evidence proves no overcharge,
        RESOURCE_NOT_FOUND, STATE_CONFLICT where nothing is left to give back, though what was proven
        is kept, and as `SqlCreditNotes.made`.
        """
        require_credit(request)
        view = await self._feed.refresh()
        if request.operator_id not in view.authority.operators:
            raise Refused(
                RefusalReason.REFUSAL_REASON_RESOURCE_NOT_FOUND,
                "No operator has this operator_id; ListOperators lists them.",
            )
        by = caller.principal or caller.client_id
        note = await self._shares.run(by, self._created, request, by, view)
        return pb.CreateCreditNoteResponse(credit_note=note)

    def _created(
        self, request: pb.CreateCreditNoteRequest, by: str, view: SettlementView
    ) -> usage_pb.CreditNote:
        operator_id, now = request.operator_id, self._clock.now()
        named = "\n".join((by, operator_id, request.request_id))
        note_id = sha256(named.encode()).hexdigest()[:32]
        digest = sha256(request.SerializeToString(deterministic=True)).digest()
        shown = sha256(request.evidence).digest()
        while (note := self._notes.made(note_id, digest)) is None:
            known = self._notes.of_operator(operator_id)
            proven = self._verify(request.evidence, operator_id)
            made, told = self._made(operator_id, proven, known.notes, view)
            made.credit_note_id, asked = note_id, digest
            if not made.amount_micro_yuan:
                # What proves something for the first time is kept, by its own name: the request
                # may ask again once something is left.
                made.credit_note_id, asked = _name_of_kept(operator_id, shown), shown
            made.evidence_sha256 = shown
            made.reason = request.reason
            made.create_time.seconds = now
            made.created_by = by
            try:
                note = self._notes.add(made, asked, request.evidence, now, known, proven, told)
            except NotesChanged:
                continue
            if not note.amount_micro_yuan:
                raise nothing_left()
            return note
        return note

    def _made(
        self,
        operator_id: str,
        overcharge: Overcharge | WrongStatement,
        kept: Sequence[KeptNote],
        view: SettlementView,
    ) -> tuple[usage_pb.CreditNote, Mapping[str, Overcharge]]:
        """Return a note, and what it tells of older ones of the month, as `KeptNote` has it."""
        if isinstance(overcharge, WrongStatement):
            return self._made_of_statement(overcharge, kept), {}
        judged: dict[str, Overcharge] = {}
        before: list[tuple[usage_pb.CreditNote, Overcharge]] = []
        lost: list[int] = []
        for each, known_of in about_uses(kept):
            proven = known_of or self._judged(each.note, operator_id)
            if isinstance(proven, Overcharge):
                before.append((each.note, proven))
                if known_of is None:
                    judged[each.note.credit_note_id] = proven
            elif (place := place_of(each.note, None)) is not None:
                lost.append(place)
        places = [overcharge.usage_index, *lost, *(each.usage_index for _, each in before)]
        month_of_use = self._months_of(operator_id, places)
        month = month_of_use.get(overcharge.usage_index)
        if month is None:
            raise Refused(
                RefusalReason.REFUSAL_REASON_STATE_CONFLICT,
                "The ledger has no answer at this place of the log, so no statement charges it.",
            )
        if month in map(month_of_use.get, lost):
            raise Refused(
                RefusalReason.REFUSAL_REASON_STATE_CONFLICT,
                "A credit note of this month was made by an earlier version, and its evidence does not"
                " hold by the present key: what else is to be given back of the month is not known.",
            )
        alike = [each for each in before if month_of_use.get(each[1].usage_index) == month]
        right = together([overcharge, *(each for _, each in alike)])
        charged, ought = self._closer.as_it_ought(operator_id, month, view, right)
        given = [note for note, _ in alike] + self._closer.trued_up(operator_id, month)
        note = credit_note(overcharge, charged, ought, given)
        known = together(each for _, each in alike)
        if not (note.amount_micro_yuan or proves_more(overcharge, known)):
            raise nothing_left()
        names = judged.keys() & {note.credit_note_id for note, _ in alike}
        return note, {name: judged[name] for name in names}

    def _judged(
        self, note: usage_pb.CreditNote, operator_id: str
    ) -> Overcharge | WrongStatement | None:
        """Return what the evidence of a note proves, of which nothing tells what it proved; None
        where it does not hold any more, as by a key that was given up."""
        try:
            return self._verify(self._notes.evidence(note.credit_note_id), operator_id)
        except Refused:
            return None

    def _made_of_statement(
        self, proven: WrongStatement, kept: Sequence[KeptNote]
    ) -> usage_pb.CreditNote:
        operator_id, month = proven.statement.operator_id, proven.statement.month
        right = self._closer.as_closed(operator_id, month)
        if right is None:
            raise Refused(
                RefusalReason.REFUSAL_REASON_STATE_CONFLICT,
                "No month of this operator was closed that the statement is of.",
            )
        given = [each.note for each in kept if each.note.statement_month == month]
        return statement_note(proven, right, given)

    def _months_of(self, operator_id: str, places: Iterable[int]) -> dict[int, Month]:
        served = self._months.served_at(operator_id, set(places))
        return {place: month_of(at) for place, at in served.items()}


def _name_of_kept(operator_id: str, shown: bytes) -> str:
    """Return the id by which evidence is kept that gives nothing back yet, by its digest."""
    return sha256(b"kept\n%s\n%s" % (operator_id.encode(), shown)).hexdigest()[:32]
