"""The decision log of a gateway, as who watches it knows it: one pinned key, one checkpoint kept.

Answers of AuditService are verified by it, and that the log only ever grew: a gateway that
changed or left out a decision it once proved can prove no growth any more.
"""

from pathlib import Path

from creditgate.transparency.decisions import AuditAnswer, VerifiedDecisions, verify_decisions
from creditgate.transparency.note import MOST_NOTE_BYTES, Checkpoint, VerifierKey, open_checkpoint


class DecisionLog:
    """A decision log by its pinned ``key``.

    The newest checkpoint is kept in ``held``, if given, from which the next one goes on.
    Raises ProofInvalid where what is there is no checkpoint of the log, OSError where it
    cannot be read.
    """

    def __init__(self, key: VerifierKey, held: Path | None = None) -> None:
        self._key = key
        self._held = held
        self._known: Checkpoint | None = None
        if held is not None and held.exists():
            with held.open(encoding="utf-8", errors="replace", newline="") as file:
                self._known = open_checkpoint(file.read(MOST_NOTE_BYTES + 1), key)

    @property
    def known_tree_size(self) -> int:
        """What to ask with (`known_tree_size` of the request): 0 for none."""
        return 0 if self._known is None else self._known.size

    def verified(self, answer: AuditAnswer) -> VerifiedDecisions:
        """Return what an answer that was asked for with `known_tree_size` proves, and keep its
        checkpoint. Raises ProofInvalid, and OSError where it cannot be kept."""
        found = verify_decisions(answer, self._key, self._known)
        if self._held is not None:
            written = self._held.with_name(f"{self._held.name}.new")
            written.write_bytes(answer.proof.checkpoint.encode())
            written.replace(self._held)
        self._known = found.checkpoint
        return found
