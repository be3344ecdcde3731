"""Proofs that go with answers, made before anything is charged.

Log and map follow the disclosure a little behind; what is to be proved waits for them, for a
second at most. What is not proved then is refused.
"""

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from sqlalchemy import Engine

from creditgate.refusal import Refused, Violation, invalid
from creditgate.transparency.note import Signer
from creditgate.v1.disclosure_proof_pb2 import DisclosureProof, ProtectedOpening
from creditgate.v1.refusal_pb2 import RefusalReason
from gateway.authorise.bounds import Bounds
from gateway.authorise.gate import Passage
from gateway.authorise.opening import Opening
from gateway.disclose.frame import field, unframe
from gateway.disclose.lookup import Found
from gateway.respond.answer import Selection
from gateway.respond.kept_proofs import KeptHead, KeptProofs, opened
from gateway.respond.map_turns import MapTurns
from gateway.respond.proof_asks import ProofAsks
from gateway.respond.proof_sets import Serving, SetsDiffer, subject_proofs
from gateway.respond.request import INCLUSION
from gateway.respond.signing import AnswerSigner
from gateway.respond.use import Use
from gateway.storage.engines import reading
from gateway.telemetry.traces import step
from gateway.transparency.event_proofs import EventProofs, ProvenEvents
from gateway.transparency.map_openness import Openness, read_openness
from gateway.transparency.map_reader import FEW, MapNotReady, MapReader
from gateway.transparency.map_sets import MapDiffers, MapProofs, SubjectAsk
from gateway.transparency.members import Members
from gateway.transparency.progress import LogProgress
from gateway.transparency.salts import Salts

PATIENCE_SECONDS: Final = 1.0
"""How long an answer waits to be provable."""

_LOOK_SECONDS: Final = 0.02
# Clocks of hosts that keep time are not further apart.
_CLOCKS_APART_SECONDS: Final = 2
_THREADS: Final = 2
_SUBJECTS: Final = DisclosureProof.SUBJECTS_FIELD_NUMBER


class ProofLate(Exception):
    """The map is of a later instant or another state than what was read: decide anew."""


class AnswerProofs:
    """Proves what is about to be served, and signs it; one event loop's own.

    ``evidence`` is the store of log and map, ``key`` that of the log.
    """

    def __init__(
        self,
        evidence: Engine,
        map_reader: MapReader,
        events: EventProofs,
        salts: Salts,
        progress: LogProgress,
        key: Signer,
    ) -> None:
        self._evidence = evidence
        self._map = MapTurns(map_reader)
        self._events = events
        self._salts = salts
        self._members = Members(salts)
        self._progress = progress
        self._signer = AnswerSigner(key)
        self._asks = ProofAsks()
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="proofs")
        self._kept = KeptProofs()

    def close(self) -> None:
        """Stop the threads."""
        self._threads.shutdown()

    def patience(self) -> float:
        """Return until when an answer that is begun now waits, by the event loop's clock."""
        return asyncio.get_running_loop().time() + PATIENCE_SECONDS

    def begin(
        self,
        use: Use,
        subjects: Sequence[str] | None,
        passage: Passage,
        bounds: Bounds | None,
        opening: Opening | None,
    ) -> list[SubjectAsk]:
        """Return what is to be proved of each subject, nothing for INCLUSION.

        Before anything is looked up; raises as `ProofAsks.of`.
        """
        if use.proof == INCLUSION or subjects is None:
            return []
        return self._asks.of(subjects, passage, bounds, opening)

    async def proved(
        self,
        use: Use,
        asks: Sequence[SubjectAsk],
        found: Found,
        selection: Selection,
        at: int,
        patience: float,
    ) -> Selection:
        """Return ``selection``, which is served at ``at`` (seconds UTC) of all that was
        ``found``, with its proof.

        Raises ProofLate, and Refused: TEMPORARILY_UNAVAILABLE where log or map stay behind;
        INVALID_REQUEST where INCLUSION is asked of a record cut to some fields that was
        public when its event was logged.
        """
        frames = dict(zip(selection.sequences, selection.frames, strict=True))
        serving = Serving(found.head, found.revisions, frames)
        if use.proof == INCLUSION:
            proof = await self._included(serving, patience)
        else:
            proof = await self.complete(asks, serving, at, patience)
        step("proved")
        return selection._replace(proof=proof)

    async def signed(self, use: Use, answer: bytes, number: int) -> bytes:
        """Return ``answer`` with the signature behind it, as the field of this number."""
        return await self._signer.signed(use.request_digest, answer, number)

    async def complete(
        self, asks: Sequence[SubjectAsk], serving: Serving, at: int, patience: float
    ) -> bytes:
        """Return the serialised DisclosureProof that what is served at ``at`` (seconds UTC) is
        all there is of what is asked.

        Raises ProofLate, and Refused TEMPORARILY_UNAVAILABLE where the map stays behind, or is
        of a time that is still to come by this host's clock: one of the two was set back.
        """
        sequences = tuple(serving.frames)
        if len(asks) == 1 and self._kept.head.holds(serving.head, at):
            known = self._kept.recall(asks[0], sequences)
            if known is not None:
                return self._kept.head.proof + field(_SUBJECTS, known)
        proofs, head = await self._proofs(asks, serving.head, at, patience)
        subjects: list[bytes] = []
        try:
            for made in subject_proofs(asks, proofs.subjects, serving, self._opened):
                subjects.append(made.SerializeToString(deterministic=True))
                if len(subjects) % FEW == 0:
                    # A batch's chunk takes long: other calls get their turn.
                    await asyncio.sleep(0)
        except SetsDiffer:
            raise ProofLate from None
        if len(asks) == 1 and head is self._kept.head:
            self._kept.keep(asks[0], sequences, subjects[0])
        return head.proof + b"".join(field(_SUBJECTS, subject) for subject in subjects)

    async def _included(self, serving: Serving, patience: float) -> bytes:
        sequences = list(serving.frames)
        proven, openness = await self._proven(sequences, patience)
        stored = {row[1]: row[5] for row in serving.found}
        proof = DisclosureProof(checkpoint=proven.checkpoint.note)
        for number, (sequence, event) in enumerate(zip(sequences, proven.proofs, strict=True), 1):
            if number % FEW == 0:
                await asyncio.sleep(0)
            record = unframe(serving.frames[sequence])
            opening = None
            if openness.protected_at(record.item, sequence):
                opening = self._members.opening(sequence, record, stored[sequence])
            elif record.served_fields:
                raise invalid(_WAS_PUBLIC)
            proof.records.add(
                record=record.name,
                event=event,
                salt=self._salts.event(sequence),
                opening=opening,
            )
        return proof.SerializeToString(deterministic=True)

    def _opened(self, sequence: int, served: bytes, stored: bytes) -> ProtectedOpening:
        return self._members.opening(sequence, unframe(served), stored)

    async def _proofs(
        self, asks: Sequence[SubjectAsk], head: int, at: int, patience: float
    ) -> tuple[MapProofs, KeptHead]:
        while True:
            await self._covered(head, patience)
            try:
                proofs = await self._map.proofs(asks)
            except (MapNotReady, MapDiffers):
                pass
            else:
                kept = self._kept.at(proofs)
                if any(ask.protected_items for ask in asks):
                    kept = opened(proofs)
                if kept.holds(head, at):
                    return proofs, kept
                if kept.map_time > at + _CLOCKS_APART_SECONDS:
                    raise _ahead(kept.map_time - at)
                if kept.map_time > at:
                    # Another process's clock is ahead of this one's.
                    await self._pause(patience)
                    raise ProofLate
            # Time is what the map is behind, or the catalogue.
            await self._pause(patience)

    async def _proven(
        self, sequences: Sequence[int], patience: float
    ) -> tuple[ProvenEvents, Openness]:
        loop = asyncio.get_running_loop()
        while True:
            await self._covered(max(sequences, default=0), patience)
            try:
                return await loop.run_in_executor(self._threads, self._read_events, sequences)
            except LookupError:
                # Nothing at all was logged yet.
                await self._pause(patience)

    def _read_events(self, sequences: Sequence[int]) -> tuple[ProvenEvents, Openness]:
        proven = self._events.latest(sequences)
        with reading(self._evidence) as connection:
            return proven, read_openness(connection)

    async def _covered(self, head: int, patience: float) -> None:
        """Wait until the log has come to an event. Raises Refused past ``patience``."""
        if self._kept.head.event_sequence < head and not await self._progress.covers(
            head, _left(patience)
        ):
            raise _behind()

    async def _pause(self, patience: float) -> None:
        """Wait a little for the log's next checkpoint. Raises Refused past ``patience``."""
        self._progress.nudge()
        await asyncio.sleep(min(_LOOK_SECONDS, _left(patience)))


_WAS_PUBLIC: Final = Violation(
    "proof",
    "a record cut to some fields was disclosed while its item was public, and cannot be proved"
    " by itself; ask for COMPLETE",
)


def _left(patience: float) -> float:
    """Return for how many seconds more there is patience. Raises Refused where there is none."""
    left = patience - asyncio.get_running_loop().time()
    if left <= 0:
        raise _behind()
    return left


def _behind() -> Refused:
    return Refused(
        RefusalReason.REFUSAL_REASON_TEMPORARILY_UNAVAILABLE,
        "The log that proves the disclosure is behind; try again, or ask without a proof.",
        retry_after=1,
    )


def _ahead(seconds: int) -> Refused:
    return Refused(
        RefusalReason.REFUSAL_REASON_TEMPORARILY_UNAVAILABLE,
        f"The log that proves the disclosure has been told a time {seconds} s ahead of this host's"
        " clock. What holds now can be proved from then on; ask without a proof until then.",
        retry_after=seconds,
    )
