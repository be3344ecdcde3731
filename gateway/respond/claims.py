"""What an answer claims of the ledger: its request id, its entries, its fee."""

from collections.abc import Callable
from typing import Final

from gateway.authorise.gate import Passage
from gateway.authorise.opening import Opening
from gateway.meter.decisions import DecisionIds
from gateway.meter.model import UsageClaim, pack_entries
from gateway.respond.answer import Selection, records_digest
from gateway.respond.use import Part, Use, rests_on

# How long an answer may wait to be metered before authority, disclosure and period are
# looked at again: so that a store that is slow does not stretch what was true before.
_GOOD_SECONDS: Final = 2


class Claims:
    """Makes claims; ``replay_seconds`` is how long a request id answers retries."""

    def __init__(self, decisions: DecisionIds, replay_seconds: int) -> None:
        self._decisions = decisions
        self._replay_seconds = replay_seconds

    def claim(
        self,
        use: Use,
        part: Part,
        passage: Passage,
        opening: Opening | None,
        head: int,
        selection: Selection,
        now: int,
        stands: Callable[[], bool],
    ) -> UsageClaim:
        """Return the claim of a part of ``use`` with the records of ``selection``, read at ``head``
        and decided at ``now`` (seconds, UTC); ``stands`` as the claim has it."""
        allow = passage.allow
        replay_seconds = self._replay_seconds
        good_until = min(now + _GOOD_SECONDS, selection.usable_until, allow.stands_until)
        relied, asked_items, opened_entries = None, (), 0
        if opening is not None:
            good_until = min(good_until, opening.until)
            relied, asked_items = rests_on(use, passage, opening, selection.lines)
            if relied is not None:
                # What need not be kept any more is not sent again.
                replay_seconds = min(replay_seconds, opening.what.life_seconds)
                closed = passage.consent_lines
                opened_entries = sum([n for no, n, _ in selection.lines if no in closed])
        return UsageClaim(
            operator_id=allow.operator_id,
            client_id=use.ask.client_id,
            request_id=use.request_id,
            chunk=part.chunk,
            payload_digest=use.digest,
            licence=allow.licence,
            purpose=use.purpose,
            decision_id=self._decisions.next(),
            served_at=now,
            disclosure_sequence=head,
            entries=pack_entries(selection.sequences),
            lines=selection.lines,
            daily_quota=allow.daily_record_quota,
            replay_seconds=replay_seconds,
            good_until=good_until,
            may_be_empty=use.answer_may_be_empty,
            stands=stands,
            relies_on=relied,
            # Of whole records the disclosure log has what each revision is: to hash a large
            # chunk anew would cost a twentieth of all that serving it does.
            records_digest=(
                b"" if use.in_parts and opening is None else records_digest(selection.frames)
            ),
            asked_items=asked_items,
            delivery=part.delivery,
            asked_subjects=1 if part.subjects is None else len(part.subjects),
            opened_entries=opened_entries,
        )
