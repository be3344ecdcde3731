"""Notes for the history: why something was changed, or by which decision."""

from creditgate.refusal import Violation


def note_faults(field: str, note: str, most: int) -> list[Violation]:
    """Return what is wrong with a note of at most ``most`` characters that must be given."""
    # PostgreSQL's texts cannot hold a zero byte.
    if note.strip() and len(note) <= most and "\0" not in note:
        return []
    return [Violation(field, f"required: 1 to {most} characters of text")]
