"""Gives another region, as an operator here, back what this one conceded to it in clearing. Calls
block.

What both signed is in the store, and so is each credit note: whoever has the turn makes those that
are missing, whatever broke off before.
"""

import logging
from collections.abc import Callable
from hashlib import sha256
from time import monotonic
from typing import Final

from creditgate.refusal import Refused, reason_name
from gateway.federation.clearing.conceded import ConcededUse, ConcededUses
from gateway.federation.clearing.handing_back import signed
from gateway.federation.clearing.store import ClearingRow, SqlClearings
from gateway.settlement.books import Books
from gateway.settlement.crediting import Crediting, NoteAsked

_AGAIN_SECONDS: Final = 60.0
_AT_ONCE_SECONDS: Final = 10.0
_log = logging.getLogger(__name__)


class GivingBack:
    """Makes credit notes of what was conceded; one process's at a time. ``books`` gives what is
    rated by."""

    def __init__(
        self,
        clearings: SqlClearings,
        conceded: ConcededUses,
        crediting: Crediting,
        books: Callable[[], Books],
    ) -> None:
        self._clearings = clearings
        self._conceded = conceded
        self._crediting = crediting
        self._books = books
        # Ends of the last clearings of which all is given back, by region: found once a process.
        self._through: dict[str, int] = {}
        # When those that failed are tried again, by note.
        self._not_before: dict[str, float] = {}

    def give_back(self, region: str, operator_id: str) -> bool:
        """Make notes that are missing of clearings with ``region``, the operator ``operator_id`` here;
        tell whether there are more to make at once. What fails is told in the log, and tried again a
        minute later."""
        whole, until = True, float("inf")
        for clearing in self._clearings.since(region, self._through.get(region, 0)):
            for each in self._conceded.of(clearing):
                asked = _asked(clearing, each.dispute_id, operator_id)
                if self._crediting.is_made(asked):
                    continue
                now = monotonic()
                if now < self._not_before.get(asked.note_id, 0.0):
                    whole = False
                    continue
                # A month with much use takes a minute to rate: others are cleared with meanwhile.
                if now > until:
                    return True
                until = min(until, now + _AT_ONCE_SECONDS)
                whole &= self._noted(region, asked, each)
            if whole:
                self._through[region] = clearing.until
        return False

    def _noted(self, region: str, asked: NoteAsked, conceded: ConcededUse) -> bool:
        """Make a note; tell whether it could be made."""
        try:
            self._crediting.agreed(asked, conceded.use, conceded.dispute_id, self._books())
        except (Refused, LookupError) as error:
            why = type(error).__name__
            if isinstance(error, Refused):
                why = reason_name(error.reason)
            told = "what was conceded to %s in %s is not given back yet: %s"
            _log.error(told, region, conceded.dispute_id, why)
            self._not_before[asked.note_id] = monotonic() + _AGAIN_SECONDS
            return False
        self._not_before.pop(asked.note_id, None)
        return True


def _asked(clearing: ClearingRow, dispute: str, operator_id: str) -> NoteAsked:
    # One that was closed may come again, and be closed by a later clearing.
    named = "\n".join(("agreed in clearing", operator_id, dispute, str(clearing.until)))
    digest = sha256(named.encode())
    return NoteAsked(
        operator_id=operator_id,
        note_id=digest.hexdigest()[:32],
        digest=digest.digest(),
        evidence=signed(clearing).SerializeToString(deterministic=True),
        reason=dispute,
        by="",
    )
