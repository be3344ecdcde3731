"""Makes credit notes: of what evidence proves, and of what regions agreed on in clearing. Calls block."""

from collections.abc import Iterable, Mapping, Sequence
from hashlib import sha256
from typing import NamedTuple

from creditgate.refusal import Refused
from creditgate.v1.refusal_pb2 import RefusalReason
from creditgate.v1.usage_service_pb2 import CreditNote
from gateway.clock import Clock
from gateway.settle.month import Month, month_of
from gateway.settlement.books import Books
from gateway.settlement.closing import Closer
from gateway.settlement.credit import Verifier, credit_note, nothing_left
from gateway.settlement.credit_store import KnownNotes, SqlCreditNotes
from gateway.settlement.kept_notes import KeptNote, about_uses
from gateway.settlement.month_use import LedgerMonths
from gateway.settlement.right_lines import Overcharge, proves_more, together
from gateway.settlement.statement_credit import WrongStatement, statement_note
from gateway.settlement.store import NotesChanged
from gateway.settlement.truing import place_of


class NoteAsked(NamedTuple):
    """A credit note that is asked for: its id, the digest of what is asked, the evidence it rests on,
    why, and who asks, "" for clearing."""

    operator_id: str
    note_id: str
    digest: bytes
    evidence: bytes
    reason: str
    by: str


class _Made(NamedTuple):
    """A note, what it tells of older ones of the month, as `KeptNote` has it, and whether it is of
    anything that was not given back or known before."""

    note: CreditNote
    told: Mapping[str, Overcharge]
    is_news: bool


class Crediting:
    """Makes and books credit notes, each once; any thread."""

    def __init__(
        self,
        verify: Verifier,
        notes: SqlCreditNotes,
        months: LedgerMonths,
        closer: Closer,
        clock: Clock,
    ) -> None:
        self._verify = verify
        self._notes = notes
        self._months = months
        self._closer = closer
        self._clock = clock

    def proven(self, asked: NoteAsked, books: Books) -> CreditNote:
        """Return the note of what the evidence proves.

        Raises Refused INVALID_REQUEST where that is no overcharge, STATE_CONFLICT where nothing is left
        to give back, though what was proven is kept, and as `SqlCreditNotes.made`.
        """
        operator_id, evidence = asked.operator_id, asked.evidence
        while (note := self._notes.made(asked.note_id, asked.digest)) is None:
            known = self._notes.of_operator(operator_id)
            proven = self._verify(evidence, operator_id)
            if isinstance(proven, WrongStatement):
                made = _Made(self._made_of_statement(proven, known.notes), {}, is_news=True)
            else:
                made = self._made(operator_id, proven, known.notes, books)
            if not made.is_news:
                raise nothing_left()
            keeping = asked
            if not made.note.amount_micro_yuan:
                # What proves something for the first time is kept, by its own name: the request
                # may ask again once something is left.
                shown = sha256(evidence).digest()
                name = _name_of_kept(operator_id, shown)
                keeping = asked._replace(note_id=name, digest=shown)
            note = self._added(keeping, made, known, proven)
            if note is None:
                continue
            if not note.amount_micro_yuan:
                raise nothing_left()
            return note
        return note

    def is_made(self, asked: NoteAsked) -> bool:
        """Tell whether a note is made by now. Raises as `SqlCreditNotes.made`."""
        return self._notes.made(asked.note_id, asked.digest) is not None

    def agreed(self, asked: NoteAsked, use: Overcharge, dispute: str, books: Books) -> CreditNote:
        """Return the note of a use of which another region agreed in a ``dispute`` what it ought to
        count; one of nothing where nothing is left to give back, which is kept all the same.

        Raises Refused STATE_CONFLICT where what else is proven of its month is not known, and what
        rates the month.
        """
        note = self._notes.made(asked.note_id, asked.digest)
        while note is None:
            known = self._notes.of_operator(asked.operator_id)
            made = self._made(asked.operator_id, use, known.notes, books, dispute)
            note = self._added(asked, made, known, use)
        return note

    def _added(
        self,
        asked: NoteAsked,
        made: _Made,
        known: KnownNotes,
        proven: Overcharge | WrongStatement,
    ) -> CreditNote | None:
        """Book a note that was made of what was ``known``, and return it; None where there is more by
        now."""
        note, now = made.note, self._clock.now()
        note.credit_note_id = asked.note_id
        note.evidence_sha256 = sha256(asked.evidence).digest()
        note.reason = asked.reason
        note.create_time.seconds = now
        note.created_by = asked.by
        try:
            return self._notes.add(
                note, asked.digest, asked.evidence, now, known, proven, made.told
            )
        except NotesChanged:
            return None

    def _made(
        self,
        operator_id: str,
        overcharge: Overcharge,
        kept: Sequence[KeptNote],
        books: Books,
        dispute: str = "",
    ) -> _Made:
        judged: dict[str, Overcharge] = {}
        before: list[tuple[CreditNote, Overcharge]] = []
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
        charged, ought = self._closer.as_it_ought(operator_id, month, books, right)
        given = [note for note, _ in alike] + self._closer.trued_up(operator_id, month)
        note = credit_note(overcharge, charged, ought, given, dispute)
        known = together(each for _, each in alike)
        is_news = bool(note.amount_micro_yuan) or proves_more(overcharge, known)
        names = judged.keys() & {note.credit_note_id for note, _ in alike}
        return _Made(note, {name: judged[name] for name in names}, is_news)

    def _judged(self, note: CreditNote, operator_id: str) -> Overcharge | WrongStatement | None:
        """Return what the evidence of a note proves, of which nothing tells what it proved; None
        where it does not hold any more, as by a key that was given up."""
        try:
            return self._verify(self._notes.evidence(note.credit_note_id), operator_id)
        except Refused:
            return None

    def _made_of_statement(self, proven: WrongStatement, kept: Sequence[KeptNote]) -> CreditNote:
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
