"""What was credited of answers, beside what they charge. Pure."""

from typing import NamedTuple


class Reversed(NamedTuple):
    """What was credited of an answer: by the row of ``sequence``, of the answer's own lines
    and entries those reversed."""

    sequence: int
    served_at: int
    purpose: int
    lines: str
    reversed_lines: str
    reversed_entries: bytes
