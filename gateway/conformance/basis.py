"""What an attestation is judged by, beside the differences that were found. Pure."""

from typing import NamedTuple

from gateway.conformance.blocks import NO_SEQUENCES, Sequences
from gateway.conformance.spoken import Spoken


class Basis(NamedTuple):
    """What an attestation was compared with: ``entitled``, how many copies the operator should
    hold, as of the disclosure event ``compared``. ``answers`` is the position in the ledger of the
    last answer that it must have had whole when they were read, and what was given again at ``since``
    (seconds, UTC) or later may have been under way then.
    ``excused``: something void is held and only not held against it yet. ``opening`` is the digest
    of what the attestation was opened with (`gateway.conformance.shown.opening_digest`);
    ``right`` are the revisions of which it attested right copies, of a content served whole, in
    order: samples are drawn of these. ``beyond`` are faults there are besides all differences.
    ``void_elsewhere`` is as in `gateway.conformance.judging.Judged`, of copies read at ``read_at``
    (seconds, UTC).
    ``later`` are revisions not held of which nothing is said: served whole only after that, or put right
    before while an older copy of the record is held. ``put_right`` are those of ``right`` that were
    never served so (`gateway.conformance.put_right`). ``spoken`` are the events of which it says
    what is held, and what is not."""

    entitled: int
    answers: int
    excused: bool = False
    compared: int = 0
    opening: bytes = b""
    right: Sequences = NO_SEQUENCES
    since: int = 0
    beyond: int = 0
    read_at: int = 0
    void_elsewhere: frozenset[tuple[str, str]] = frozenset()
    later: Sequences = NO_SEQUENCES
    put_right: frozenset[int] = frozenset()
    spoken: Spoken = Spoken(0)
