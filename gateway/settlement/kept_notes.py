"""Credit notes as they are kept, and what each proves of a use. Pure."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from creditgate.v1.usage_service_pb2 import CreditNote
from gateway.settlement.right_lines import Overcharge


class KeptNote(NamedTuple):
    """A credit note, or one of nothing where nothing was left to give back, and what its evidence
    proved of a use, None where that was not kept.

    ``told`` is what older notes of the month proved, by their ids, of which it was not kept: their
    evidence was judged anew when this one was made.
    """

    note: CreditNote
    proven: Overcharge | None
    told: Mapping[str, Overcharge]


def about_uses(known: Iterable[KeptNote]) -> list[tuple[KeptNote, Overcharge | None]]:
    """Return the notes about uses, each with what it proves as all that are ``known`` tell; None
    where none does."""
    notes = list(known)
    told = {name: proven for each in notes for name, proven in each.told.items()}
    return [
        (each, each.proven or told.get(each.note.credit_note_id))
        for each in notes
        if not each.note.statement_month
    ]
