"""DisclosureService.GetSubjectProof: all public records of a subject, or that there are none.

It tells digests and periods alone, of what is disclosed now: a record that was ended is named no
more (G9), even while log and map have yet to follow. Who asks may be shown a part by name.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Final

from sqlalchemy import Engine, select

from creditgate.refusal import Refused, Violation, invalid
from creditgate.uscc import fault
from creditgate.v1 import disclosure_service_pb2 as pb
from creditgate.v1.disclosure_proof_pb2 import (
    PublicSetProof,
    SubjectProof,
    UnservedRecord,
    WithheldRecord,
)
from creditgate.v1.refusal_pb2 import RefusalReason
from gateway.clock import Clock
from gateway.disclose.frame import unframe
from gateway.disclose.tables import REVISIONS
from gateway.storage.engines import reading
from gateway.transparency.map_reader import MapNotReady, MapReader
from gateway.transparency.map_sets import MapMember, MapProofs, SubjectAsk
from gateway.transparency.members import Members
from gateway.transparency.progress import LogProgress
from gateway.transparency.salts import Salts

PATIENCE_SECONDS: Final = 1.0
"""How long an answer waits for the map to follow the disclosure."""
_LOOK_SECONDS: Final = 0.05
_SEQUENCES_A_QUERY: Final = 500

Shown = Callable[[str, str], bool]
"""Tells of an item and a region whether records of both may be shown by name."""


class SubjectProofService:
    """Proves the sets of a subject's public items, in answers of at most ``most_bytes``."""

    def __init__(
        self,
        disclosure_map: MapReader,
        records: Engine,
        salts: Salts,
        progress: LogProgress,
        clock: Clock,
        most_bytes: int,
    ) -> None:
        self._map = disclosure_map
        self._records = records
        self._members = Members(salts)
        self._progress = progress
        self._clock = clock
        self._most_bytes = most_bytes

    async def get_subject_proof(
        self, request: pb.GetSubjectProofRequest, shown: Shown | None
    ) -> pb.GetSubjectProofResponse:
        """Answer GetSubjectProof: what is not ``shown`` by item and digest alone; None shows all.

        Raises Refused INVALID_REQUEST, ANSWER_TOO_LARGE, and TEMPORARILY_UNAVAILABLE while the map
        is behind what has ended or expired.
        """
        _require_valid(request)
        ask = SubjectAsk(request.subject, None, True, ())
        loop = asyncio.get_running_loop()
        patience = loop.time() + PATIENCE_SECONDS
        while (answer := await self._answer(ask, shown)) is None:
            if loop.time() >= patience:
                raise Refused(
                    RefusalReason.REFUSAL_REASON_TEMPORARILY_UNAVAILABLE,
                    "The log that proves the disclosure is behind; try again.",
                    retry_after=1,
                )
            self._progress.nudge()
            await asyncio.sleep(_LOOK_SECONDS)
        if answer.ByteSize() > self._most_bytes:
            raise Refused(
                RefusalReason.REFUSAL_REASON_ANSWER_TOO_LARGE,
                "What proves all the subject's records would pass the size of one message;"
                " GetSubjectRecords proves those of the items that you name.",
            )
        return answer

    async def _answer(
        self, ask: SubjectAsk, shown: Shown | None
    ) -> pb.GetSubjectProofResponse | None:
        """Return the proof, None while the map is behind."""
        try:
            proofs = await self._map.proofs([ask])
        except MapNotReady:
            return None
        if self._clock.now() >= proofs.holds_until:
            return None
        found = proofs.subjects[0].public
        assert found is not None
        told = await asyncio.to_thread(self._told, found.members, shown)
        if told is None:
            return None
        unserved, withheld = told
        public_set = PublicSetProof(path=found.path, unserved=unserved, withheld=withheld)
        return _response(
            proofs, SubjectProof(subject=ask.subject, all_public=True, public_set=public_set)
        )

    def _told(
        self, members: Sequence[MapMember], shown: Shown | None
    ) -> tuple[list[UnservedRecord], list[WithheldRecord]] | None:
        """Return the members by name and those by digest, None where one of them has ended."""
        sequences = [member.sequence for member in members]
        frames: dict[int, bytes] = {}
        with reading(self._records) as connection:
            for start in range(0, len(sequences), _SEQUENCES_A_QUERY):
                some = sequences[start : start + _SEQUENCES_A_QUERY]
                live = REVISIONS.c.sequence.in_(some), REVISIONS.c.ended_by == 0
                rows = connection.execute(
                    select(REVISIONS.c.sequence, REVISIONS.c.frame).where(*live)
                )
                frames.update((row.sequence, row.frame) for row in rows)
        if len(frames) < len(sequences):
            return None
        named: list[UnservedRecord] = []
        withheld: list[WithheldRecord] = []
        for member in members:
            frame = frames[member.sequence]
            if shown is None or shown(member.item, unframe(frame).region):
                named.append(self._members.unserved(frame, protected=False))
            else:
                withheld.append(WithheldRecord(item=member.item, digest=member.digest))
        return named, withheld


def _require_valid(request: pb.GetSubjectProofRequest) -> None:
    faults: list[Violation] = []
    if fault(request.subject):
        faults.append(
            Violation("subject", "a unified social credit code of 18 characters (GB 32100-2015)")
        )
    if request.tree_size:
        faults.append(Violation("tree_size", "must be 0: only what is disclosed now is told"))
    if faults:
        raise invalid(*faults)


def _response(proofs: MapProofs, subject: SubjectProof) -> pb.GetSubjectProofResponse:
    return pb.GetSubjectProofResponse(
        checkpoint=proofs.checkpoint.note,
        proof=subject.SerializeToString(deterministic=True),
        map_head=proofs.head,
    )
