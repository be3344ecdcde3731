"""A real disclosure, its log and map, and what the map should hold by the records alone."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from hashlib import sha256

from sqlalchemy import select

from creditgate.transparency import facts
from creditgate.transparency.completeness import Head, ProvedSubject, verified_head, verify_subject
from creditgate.v1.disclosed_record_pb2 import DisclosedRecord, DisclosureEventKind
from creditgate.v1.disclosure_proof_pb2 import SubjectProof
from creditgate.v1.vocabulary_pb2 import Openness, Severity
from gateway.catalogue.admission import Admitted
from gateway.catalogue.model import CatalogueItem
from gateway.disclose.frame import unframe
from gateway.disclose.model import Batch, Correction
from gateway.disclose.store import DisclosureStore
from gateway.disclose.tables import NO_END, REVISIONS
from gateway.storage.engines import Engines, reading
from gateway.transparency.disclosure_map import DisclosureMap
from gateway.transparency.log import MerkleLog
from gateway.transparency.map_reader import MapReader, open_map
from gateway.transparency.map_rows import PROTECTED, PUBLIC, MapRows
from gateway.transparency.map_sets import MapProofs, SubjectAsk, SubjectSets
from gateway.transparency.map_tables import MAP_MEMBERS, MAP_SETS, MAP_TILES
from gateway.transparency.map_tiles import Bucket, decoded
from gateway.transparency.members import Members
from gateway.transparency.salts import Salts
from gateway.transparency.tables import LogId
from gateway.transparency.writer import DisclosureWriter
from tests.catalogue.drafts import credit_code, national
from tests.clock import NOW
from tests.transparency import proving
from tests.transparency.keys import key_of

SALTS = Salts(sha256(b"salts of tests").digest())
PENALTY = "penalty.administrative"
LICENCE = "licence.administrative"
RATING = "evaluation.public-credit"
ITEMS = (PENALTY, LICENCE, RATING)
SUBJECTS = tuple(credit_code(number) for number in range(1, 7))
OPENNESS = {True: Openness.OPENNESS_CONSENT, False: Openness.OPENNESS_PUBLIC}


def admitted(
    record_id: str, subject: str, item: str, from_: int, until: int | None, text: str
) -> Admitted:
    """Return a record ready to be disclosed."""
    content = f'{{"grade":"{text}","name":"虚构有限公司","score":7}}'.encode()
    return Admitted(
        record_id,
        subject,
        item,
        "虚构市监管局",
        "000000",
        Severity.SEVERITY_GENERAL,
        content,
        sha256(content).digest(),
        from_,
        until,
    )


@dataclass
class Mapped:
    """The disclosure of one store, and its writer and reader of proofs."""

    engines: Engines
    catalogue: dict[str, CatalogueItem] = field(default_factory=national)
    now: int = NOW

    def __post_init__(self) -> None:
        evidence = self.engines.evidence
        self.store = DisclosureStore(self.engines.records)
        self.map = DisclosureMap(self.engines.records, SALTS)
        self.log = MerkleLog(evidence, LogId.DISCLOSURE, key_of())
        self.writer = DisclosureWriter(
            self.engines.records,
            evidence,
            self.log,
            SALTS,
            self.map,
            lambda: self.catalogue,  # pyright: ignore
        )
        self.reader: MapReader = open_map(evidence, self.log, SALTS)
        self.rows = MapRows(evidence.dialect)
        self.count = 0

    def publish(
        self, subject: str, item: str, from_: int = NOW, until: int | None = None, text: str = "A"
    ) -> str:
        """Disclose a record; return its id."""
        self.count += 1
        record_id = f"record-{self.count}"
        self.publish_all([admitted(record_id, subject, item, from_, until, text)])
        return record_id

    def publish_all(self, records: Sequence[Admitted]) -> None:
        """Disclose records."""
        self.count += 1
        batch = Batch("site", f"batch-{self.count}", b"", tuple(enumerate(records)), ())
        self.store.commit_batch(batch, self.now)

    def correct(self, record_id: str, until: int | None, text: str) -> None:
        """Correct a record that is disclosed."""
        present = self.store.record(record_id).record
        record = admitted(
            record_id,
            present.subject,
            present.item,
            present.disclosed_from.seconds,
            until,
            text,
        )
        self.store.correct(Correction(record, present.revision, "typo"), "site", self.now)

    def end(self, record_id: str) -> None:
        """Repair a record's subject's credit."""
        self.store.end(
            record_id,
            self.store.record(record_id).record.revision,
            DisclosureEventKind.DISCLOSURE_EVENT_KIND_REPAIRED,
            "decision",
            "site",
            self.now,
        )

    def protect(self, item: str, protected: bool) -> None:
        """Change the openness of an item."""
        former = self.catalogue[item]
        self.catalogue[item] = former.model_copy(update={"openness": OPENNESS[protected]})

    def is_protected(self, item: str) -> bool:
        """Tell whether the catalogue protects an item."""
        return self.catalogue[item].openness != Openness.OPENNESS_PUBLIC

    def follow(self) -> None:
        """Bring log and map up to all there is."""
        while self.writer.step(self.now):
            pass

    def disclosed(self) -> list[DisclosedRecord]:
        """Return what is disclosed now, by the store of records."""
        with reading(self.engines.records) as connection:
            frames = connection.execute(
                select(REVISIONS.c.frame)
                .where(REVISIONS.c.ended_by == 0)
                .order_by(REVISIONS.c.sequence)
            ).scalars()
            records = [unframe(stored) for stored in frames]
        return [
            record
            for record in records
            if record.disclosed_from.seconds
            <= self.now
            < (record.disclosed_until.seconds or NO_END)
        ]

    def require_map_of_the_disclosure(self) -> None:
        """Check everything kept of the map against what is disclosed."""
        sets: dict[tuple[str, str], list[bytes]] = {}
        for record in self.disclosed():
            member = digest_of(record, self.is_protected(record.item))
            sets.setdefault((record.subject, record.item), []).append(member)
        with reading(self.engines.evidence) as connection:
            head = self.rows.head(connection)
            kept_sets = {
                (row.subject, row.item): row for row in connection.execute(select(MAP_SETS))
            }
            members = connection.execute(select(MAP_MEMBERS)).all()
            tiles = {
                row.place: decoded(bytes(row.tile)) for row in connection.execute(select(MAP_TILES))
            }
        public: dict[str, list[tuple[str, bytes]]] = {}
        protected: dict[bytes, bytes] = {}
        for (subject, item), digests in sets.items():
            digest = facts.set_digest(item, digests)
            salted_by = kept_sets[subject, item].salted_by
            assert bytes(kept_sets[subject, item].digest) == digest
            assert bool(salted_by) == self.is_protected(item)
            if salted_by:
                key = SALTS.protected_key(subject, item)
                salt = SALTS.leaf(subject, item, salted_by)
                protected[key] = facts.protected_value(salt, subject, digest)
            else:
                public.setdefault(subject, []).append((item, digest))
        public_leaves = {
            facts.public_key(subject): facts.public_value(own) for subject, own in public.items()
        }
        assert kept_sets.keys() == sets.keys()
        assert head.public_root == proving.root(public_leaves)
        assert head.protected_root == proving.root(protected)
        for tree, leaves in ((PUBLIC, public_leaves), (PROTECTED, protected)):
            kept = [
                leaf
                for place, tile in tiles.items()
                if place & 1 == tree and isinstance(tile, Bucket)
                for leaf in tile.leaves
            ]
            assert sorted(kept) == sorted(leaves.items())
        for is_protected, until in (
            (False, head.holds_until),
            (True, head.protected_holds_until),
        ):
            bounds = [
                bound
                for row in members
                if self.is_protected(row.item) == is_protected
                for bound in (row.disclosed_from, row.disclosed_until)
                if bound > self.now
            ]
            assert until == min(*bounds, NO_END, head.map_time + 3_600)
        assert head.event_sequence == self.store.head()
        assert all(row.disclosed_until > self.now for row in members)

    async def proved(
        self, subject: str, items: Iterable[str] = (), *, all_public: bool = False
    ) -> tuple[Head, ProvedSubject, MapProofs]:
        """Ask for a proof of a subject, and check it as who is given it does."""
        named = sorted(items)
        protected = [item for item in named if self.is_protected(item)]
        public = frozenset(named).difference(protected)
        ask = SubjectAsk(subject, public if public or all_public else None, all_public, protected)
        proofs = await self.reader.proofs([ask])
        head, proved = self.verified(proofs, proofs.subjects[0], named, all_public=all_public)
        return head, proved, proofs

    def verified(
        self, proofs: MapProofs, sets: SubjectSets, items: Iterable[str], *, all_public: bool
    ) -> tuple[Head, ProvedSubject]:
        """Check what the map tells of a subject against the records disclosed."""
        opening = proofs.protected_head if sets.protected else proofs.head
        head = verified_head(proofs.checkpoint.note, opening, self.log.key)
        proof = SubjectProof(subject=sets.subject, items=items, all_public=all_public)
        sequences: set[int] = set()
        if sets.public is not None:
            proof.public_set.path.CopyFrom(sets.public.path)
            proof.public_set.other_items.extend(sets.public.other_items)
            sequences.update(member.sequence for member in sets.public.members)
        for each in sets.protected:
            sequences.update(member.sequence for member in each.members)
        records = self.revisions(sequences)
        members = Members(SALTS)
        for each in sets.protected:
            proof.protected_sets.add(
                item=each.item,
                key=each.key,
                salt=each.salt,
                path=each.path,
                openings=[
                    members.opening(record.event_sequence, record, stored)
                    for record, stored in records
                    if record.item == each.item
                ],
            )
        served = [record for record, _ in records]
        return head, verify_subject(proof, served, head, head.since)

    def revisions(self, sequences: Iterable[int]) -> list[tuple[DisclosedRecord, bytes]]:
        """Return revisions by their sequences, and their frames."""
        query = select(REVISIONS.c.frame).where(REVISIONS.c.sequence.in_(sorted(sequences)))
        with reading(self.engines.records) as connection:
            frames = connection.execute(query.order_by(REVISIONS.c.sequence)).scalars().all()
        return [(unframe(stored), stored) for stored in frames]


def digest_of(record: DisclosedRecord, protected: bool) -> bytes:
    """Return the digest of a record as a member, worked out from `facts` alone."""
    until = record.disclosed_until.seconds or NO_END
    copy = facts.Copy(
        record.name.removeprefix("records/"),
        record.content_digest,
        record.disclosed_from.seconds,
        until,
    )
    particulars = facts.particulars_digest(
        record.revision, record.event_sequence, record.source, record.region, record.severity
    )
    if not protected:
        return facts.public_digest(copy, particulars)
    sequence = record.event_sequence
    text = record.content.decode().strip("{}")
    fields = [member.split(":", 1) for member in text.split(",")]
    return facts.protected_digest(
        copy,
        particulars,
        facts.content_commitment(SALTS.content(sequence), record.content_digest),
        [
            facts.field_digest(
                SALTS.field(sequence, name.strip('"')), name.strip('"'), value.encode()
            )
            for name, value in fields
        ],
    )
