"""Notes for the history: why something was changed, or by which decision."""

from creditgate.plain_text import is_hidden_in
from creditgate.refusal import Violation


def note_faults(field: str, note: str, most: int) -> list[Violation]:
    """Return what is wrong with a note of at most ``most`` characters that must be given."""
    if not note.strip() or len(note) > most:
        return [Violation(field, f"required: 1 to {most} characters of text")]
    if is_hidden_in(note):
        return [Violation(field, "use characters that are seen where they stand, tabs, line feeds")]
    return []
