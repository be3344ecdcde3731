"""The disclosure map: for each subject what is disclosed of it at one instant, and its roots.

It holds the revisions that no event up to the head's has ended and whose period holds at the
head's time; two trees commit to them (`creditgate.transparency.prefix_tree`). Of items of
openness PUBLIC a subject has one leaf for all; every other item is protected, with a leaf for
each subject, salted anew by each head that changes it: who once was told a salt cannot
recognise what the leaf becomes.
"""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from itertools import islice
from typing import Final, NamedTuple

from sqlalchemy import Connection, Engine, select

from creditgate.transparency.completeness import LONGEST_SECONDS
from creditgate.transparency.facts import (
    protected_commitment,
    protected_items_digest,
    protected_value,
    public_key,
    public_value,
    set_digest,
)
from creditgate.transparency.prefix_tree import EMPTY
from creditgate.v1.disclosed_record_pb2 import DisclosureEventKind
from creditgate.v1.disclosure_proof_pb2 import MapHead
from creditgate.v1.vocabulary_pb2 import Openness as Kind
from gateway.catalogue.model import CatalogueItem
from gateway.disclose.frame import unframe
from gateway.disclose.tables import REVISIONS
from gateway.storage.engines import reading
from gateway.transparency.events import DisclosedEvent
from gateway.transparency.map_openness import Openness, keep_openness, read_openness
from gateway.transparency.map_rows import (
    FORM,
    PROTECTED,
    PUBLIC,
    HeadRow,
    MemberRow,
    SetRow,
    rows_of,
)
from gateway.transparency.map_tree import changed
from gateway.transparency.members import Members, stated
from gateway.transparency.salts import Salts

_FIXING: Final = frozenset(
    (
        DisclosureEventKind.DISCLOSURE_EVENT_KIND_PUBLISHED,
        DisclosureEventKind.DISCLOSURE_EVENT_KIND_CORRECTED,
    )
)
_PUBLIC_ITEM: Final = Kind.OPENNESS_PUBLIC
_RENEWED_AFTER: Final = LONGEST_SECONDS // 2
"""How old a head becomes where nothing changes: the next is there before it is too old."""
_SUBJECTS_AT_ONCE: Final = 5_000
_LEAVES_AT_ONCE: Final = 20_000
_REVISIONS_A_QUERY: Final = 500


class ItemUnknown(LookupError):
    """An event is of an item that the catalogue at hand does not have yet."""


class _Leaves(NamedTuple):
    """What becomes of leaves, by key: a value, or None where there is none any more."""

    public: dict[bytes, bytes | None]
    protected: dict[bytes, bytes | None]


_Own = tuple[str, str]
"""A subject and an item."""


class DisclosureMap:
    """The map of one installation. Calls block, and are parts of a transaction of the
    caller's on the store of evidence; one writer at a time."""

    def __init__(self, records: Engine, salts: Salts) -> None:
        self._records = records
        self._salts = salts
        self._members = Members(salts)
        self._rows = rows_of(records.dialect)

    def due(
        self, connection: Connection, now: int, catalogue: Mapping[str, CatalogueItem] | None = None
    ) -> bool:
        """Tell whether the map is another at ``now``, or under ``catalogue``, or its head is to
        be renewed, or its leaves are of a former form, without that anything was disclosed
        since."""
        head = self._rows.head(connection)
        if head.form != FORM:
            return True
        if min(head.holds_until, head.protected_holds_until, head.map_time + _RENEWED_AFTER) <= now:
            return True
        return catalogue is not None and bool(
            _moves(read_openness(connection), catalogue, known_only=True)
        )

    def digests(
        self, events: Sequence[DisclosedEvent], catalogue: Mapping[str, CatalogueItem]
    ) -> list[bytes]:
        """Return for each event the digest of the member that it fixed or ended.

        Raises ItemUnknown.
        """
        items = {event.item for event in events}
        protected = {item: _is_protected(catalogue, item) for item in items}
        return [self._members.digest(event, protected[event.item]) for event in events]

    def advance(
        self,
        connection: Connection,
        events: Sequence[DisclosedEvent],
        catalogue: Mapping[str, CatalogueItem],
        now: int,
        digests: Sequence[bytes] | None = None,
    ) -> MapHead:
        """Bring the map to the last of ``events``, which follow its head in order, and to
        ``now`` (seconds UTC); return its new head.

        ``digests`` are those of the events (`digests`), where they are known already. Raises
        ItemUnknown, and MapDamaged where what is kept of the map is damaged.
        """
        rows, head = self._rows, self._rows.head(connection)
        # A clock set back takes nothing out of the map that was in it for good.
        at = max(now, head.map_time)
        touched = self._move(connection, catalogue, head.event_sequence + 1)
        touched |= self._apply(
            connection, events, catalogue, digests or self.digests(events, catalogue), at
        )
        touched |= self._pass_time(connection, at)
        if head.form != FORM:
            touched |= rows.empty_protected(connection)
            head = head._replace(protected_root=EMPTY)
        number = head.number + 1
        openness = read_openness(connection)
        leaves = _Leaves({}, {})
        subjects = iter(sorted({subject for subject, _ in touched}))
        while some := list(islice(subjects, _SUBJECTS_AT_ONCE)):
            self._settle(connection, some, touched, openness, at, number, leaves)
        head = HeadRow(
            number,
            events[-1].sequence if events else head.event_sequence,
            at,
            min(rows.next_change(connection, protected=False), at + LONGEST_SECONDS),
            min(rows.next_change(connection, protected=True), at + LONGEST_SECONDS),
            self._grow(connection, PUBLIC, head.public_root, leaves.public),
            self._grow(connection, PROTECTED, head.protected_root, leaves.protected),
            FORM,
        )
        rows.keep_head(connection, head)
        return head_message(head, openness, self._salts)

    def _move(
        self, connection: Connection, catalogue: Mapping[str, CatalogueItem], from_event: int
    ) -> set[_Own]:
        """Move the members of items whose openness is another now."""
        touched: set[_Own] = set()
        openness = read_openness(connection)
        for item, protected in _moves(openness, catalogue).items():
            keep_openness(connection, item, from_event, protected=protected)
            if openness.protected(item) is None:
                continue
            members = iter(self._rows.members_of_item(connection, item))
            while some := list(islice(members, _REVISIONS_A_QUERY)):
                self._rows.change_members(connection, self._made_anew(some, protected))
                touched.update((row.subject, row.item) for row in some)
        return touched

    def _made_anew(self, rows: Collection[MemberRow], protected: bool) -> list[MemberRow]:
        """Return members with digests of the other kind."""
        query = select(REVISIONS.c.sequence, REVISIONS.c.frame).where(
            REVISIONS.c.sequence.in_([row.sequence for row in rows])
        )
        with reading(self._records) as connection:
            frames = {row.sequence: row.frame for row in connection.execute(query)}
        return [
            row._replace(
                digest=self._members.digest(stated(unframe(frames[row.sequence])), protected),
                protected=protected,
            )
            for row in rows
        ]

    def _apply(
        self,
        connection: Connection,
        events: Sequence[DisclosedEvent],
        catalogue: Mapping[str, CatalogueItem],
        digests: Sequence[bytes],
        at: int,
    ) -> set[_Own]:
        ended: set[tuple[str, str, int]] = set()
        fixed: dict[tuple[str, str, int], MemberRow] = {}
        touched: set[_Own] = set()
        for event, digest in zip(events, digests, strict=True):
            own = event.subject, event.item
            touched.add(own)
            if event.voided_sequence:
                former = *own, event.voided_sequence
                if fixed.pop(former, None) is None:
                    ended.add(former)
            if event.kind in _FIXING and event.disclosed_until > at:
                begun = event.disclosed_from <= at
                fixed[*own, event.revision_sequence] = MemberRow(
                    *own,
                    event.revision_sequence,
                    digest,
                    event.disclosed_from,
                    event.disclosed_until,
                    event.disclosed_until if begun else event.disclosed_from,
                    _is_protected(catalogue, event.item),
                )
        self._rows.end_members(connection, sorted(ended))
        self._rows.add_members(connection, sorted(fixed.values()))
        return touched

    def _pass_time(self, connection: Connection, at: int) -> set[_Own]:
        rows = self._rows.changing(connection, at)
        over = [row[:3] for row in rows if row.disclosed_until <= at]
        begun = [
            row._replace(changes_at=row.disclosed_until) for row in rows if row.disclosed_until > at
        ]
        self._rows.end_members(connection, over)
        self._rows.change_members(connection, begun)
        return {(row.subject, row.item) for row in rows}

    def _settle(
        self,
        connection: Connection,
        subjects: Sequence[str],
        touched: Collection[_Own],
        openness: Openness,
        at: int,
        number: int,
        leaves: _Leaves,
    ) -> None:
        """Bring the sets of some subjects up to date, and tell what becomes of their leaves."""
        members: defaultdict[_Own, list[bytes]] = defaultdict(list)
        for subject, item, digest in self._rows.members(connection, subjects, at):
            members[subject, item].append(digest)
        sets = self._rows.sets(connection, subjects)
        kept: list[SetRow] = []
        dropped: list[_Own] = []
        of_subject: defaultdict[str, dict[str, bytes]] = defaultdict(dict)
        changed_subjects: set[str] = set()
        for own in sets.keys() | members.keys():
            subject, item = own
            before = sets.get(own)
            protected = openness.protected(item)
            after = before
            if own in touched:
                after = _set_of(own, members.get(own), number if protected else 0)
                if _same(before, after):
                    after = before
            if after is not None and not protected:
                of_subject[subject][item] = after.digest
            if after is before:
                continue
            if after is None:
                dropped.append(own)
            else:
                kept.append(after)
            if protected or (before is not None and before.salted_by):
                leaves.protected[self._salts.protected_key(*own)] = self._value(after)
            if not protected or (before is not None and not before.salted_by):
                changed_subjects.add(subject)
        for subject in changed_subjects:
            own_sets = of_subject.get(subject)
            value = public_value(own_sets.items()) if own_sets else None
            leaves.public[public_key(subject)] = value
        self._rows.drop_sets(connection, sorted(dropped))
        self._rows.keep_sets(connection, sorted(kept))

    def _value(self, after: SetRow | None) -> bytes | None:
        if after is None or not after.salted_by:
            return None
        salt = self._salts.leaf(after.subject, after.item, after.salted_by)
        return protected_value(salt, after.subject, after.digest)

    def _grow(
        self,
        connection: Connection,
        tree: int,
        root: bytes,
        leaves: Mapping[bytes, bytes | None],
    ) -> bytes:
        """Change a tree's leaves and keep its tiles; return its root."""
        # In order, so that each part works on tiles of its own.
        ordered = iter(sorted(leaves.items()))
        while some := dict(islice(ordered, _LEAVES_AT_ONCE)):
            after = changed(lambda places: self._rows.tiles(connection, tree, places), root, some)
            self._rows.keep_tiles(connection, tree, after.tiles)
            root = after.root
        return root


def _set_of(own: _Own, members: Sequence[bytes] | None, salted_by: int) -> SetRow | None:
    return SetRow(*own, set_digest(own[1], members), salted_by) if members else None


def _same(before: SetRow | None, after: SetRow | None) -> bool:
    if before is None or after is None:
        return before is after
    return before.digest == after.digest and bool(before.salted_by) == bool(after.salted_by)


def _moves(
    openness: Openness,
    catalogue: Mapping[str, CatalogueItem],
    *,
    known_only: bool = False,
) -> dict[str, bool]:
    """Return the items that are protected, or public, since: also those that are new."""
    return {
        item: protected
        for item in catalogue
        if (protected := _is_protected(catalogue, item)) != (kept := openness.protected(item))
        and (kept is not None or not known_only)
    }


def _is_protected(catalogue: Mapping[str, CatalogueItem], item: str) -> bool:
    known = catalogue.get(item)
    if known is None:
        raise ItemUnknown(item)
    return known.openness != _PUBLIC_ITEM


def head_message(head: HeadRow, openness: Openness, salts: Salts) -> MapHead:
    """Return a head as it is logged."""
    message = MapHead(
        event_sequence=head.event_sequence,
        public_root=head.public_root,
        protected_commitment=protected_commitment(
            salts.head(head.number), head.protected_root, head.protected_holds_until
        ),
        protected_items_digest=protected_items_digest(openness.protected_items()),
    )
    message.map_time.seconds = head.map_time
    message.holds_until.seconds = head.holds_until
    return message
