"""Checking the disclosure map: it is made anew from the disclosure, and its trees from their
leaves."""

from collections import defaultdict
from typing import Final, NamedTuple

from sqlalchemy import Connection, func, select

from creditgate.transparency.completeness import LONGEST_SECONDS
from creditgate.transparency.facts import (
    NO_END,
    protected_value,
    public_key,
    public_value,
    set_digest,
)
from creditgate.transparency.prefix_tree import EMPTY
from creditgate.v1.disclosed_record_pb2 import DisclosureEventKind
from gateway.transparency.events import DisclosedEvent
from gateway.transparency.faults import Faults
from gateway.transparency.map_openness import Openness
from gateway.transparency.map_rows import FORM, PROTECTED, PUBLIC, HeadRow, MemberRow
from gateway.transparency.map_tables import MAP_MEMBERS, MAP_SETS, MAP_TILES
from gateway.transparency.map_tiles import (
    LEVELS,
    NOTHING,
    ROOT,
    WIDTH,
    Branch,
    Leaf,
    MapDamaged,
    Top,
    decoded,
    nibble,
)
from gateway.transparency.members import Members
from gateway.transparency.salts import Salts

_FIXING: Final = frozenset(
    (
        DisclosureEventKind.DISCLOSURE_EVENT_KIND_PUBLISHED,
        DisclosureEventKind.DISCLOSURE_EVENT_KIND_CORRECTED,
    )
)
_TREES: Final = {PUBLIC: "public", PROTECTED: "protected"}
_Own = tuple[str, str]


class _Trees(NamedTuple):
    """The leaves that the trees should have, by key."""

    public: dict[bytes, bytes]
    protected: dict[bytes, bytes]


class CheckedMap:
    """The map at one head. Events are shown to it in order, by `saw`, then it is checked."""

    def __init__(self, head: HeadRow, openness: Openness, salts: Salts, faults: Faults) -> None:
        self._head = head
        self._openness = openness
        self._salts = salts
        self._digests = Members(salts)
        self._faults = faults
        self._members: dict[int, MemberRow] = {}

    def saw(self, event: DisclosedEvent) -> None:
        """Take an event into what the map should hold."""
        if event.voided_sequence:
            self._members.pop(event.voided_sequence, None)
        at = self._head.map_time
        if event.kind in _FIXING and event.disclosed_until > at:
            protected = bool(self._openness.protected(event.item))
            try:
                digest = self._digests.digest(event, protected)
            except ValueError:
                # Content that was never admitted: its event is told of already.
                return
            begun = event.disclosed_from <= at
            self._members[event.revision_sequence] = MemberRow(
                event.subject,
                event.item,
                event.revision_sequence,
                digest,
                event.disclosed_from,
                event.disclosed_until,
                event.disclosed_until if begun else event.disclosed_from,
                protected,
            )

    def check(self, connection: Connection) -> None:
        """Note what is otherwise in the store of evidence. Raises EnoughFaults."""
        if self._head.form != FORM:
            self._faults.note("map_head", "leaves of a former form: a gateway that starts mends it")
        self._check_members(connection)
        trees, tiles = self._leaves(connection), 0
        for tree, leaves, root in (
            (PUBLIC, trees.public, self._head.public_root),
            (PROTECTED, trees.protected, self._head.protected_root),
        ):
            checked = _CheckedTree(connection, tree, self._faults)
            top = checked.top()
            tiles += checked.tiles
            place = f"map_tiles, {_TREES[tree]}"
            self._faults.require(checked.leaves == leaves, place, "its leaves are others")
            self._faults.require(top.digest == root, place, "its root is not that of the head")
        kept = connection.execute(select(func.count()).select_from(MAP_TILES)).scalar_one()
        self._faults.require(kept == tiles, "map_tiles", "there are tiles of no tree")
        self._faults.require(
            (self._head.holds_until, self._head.protected_holds_until)
            == (self._holds_until(False), self._holds_until(True)),
            "map_head",
            "it holds until another instant",
        )

    def _holds_until(self, protected: bool) -> int:
        """Return until when time alone leaves a tree as it is, as far as a head may tell."""
        if not self._head.number:
            return 0
        changes = (row.changes_at for row in self._members.values() if row.protected == protected)
        return min(*changes, NO_END, self._head.map_time + LONGEST_SECONDS)

    def _check_members(self, connection: Connection) -> None:
        kept = 0
        for row in connection.execute(select(MAP_MEMBERS)).yield_per(10_000):
            kept += 1
            self._faults.require(
                self._members.get(row.sequence) == (*row[:3], bytes(row.digest), *row[4:]),
                f"map_members, sequence {row.sequence}",
                "it is not a member, or is another one",
            )
        self._faults.require(kept == len(self._members), "map_members", "members are missing")

    def _leaves(self, connection: Connection) -> _Trees:
        """Return the leaves that the members ask for, once the sets are seen to be theirs."""
        members: defaultdict[_Own, list[bytes]] = defaultdict(list)
        for row in self._members.values():
            if row.disclosed_from <= self._head.map_time:
                members[row.subject, row.item].append(row.digest)
        trees = _Trees({}, {})
        public: defaultdict[str, dict[str, bytes]] = defaultdict(dict)
        kept = 0
        for row in connection.execute(select(MAP_SETS)).yield_per(10_000):
            kept += 1
            own, digest = (row.subject, row.item), bytes(row.digest)
            protected = bool(self._openness.protected(row.item))
            self._faults.require(
                own in members
                and digest == set_digest(row.item, members[own])
                and bool(row.salted_by) == protected,
                "map_sets",
                f"a set of the item {row.item} is not that of its members",
            )
            if protected:
                salt = self._salts.leaf(*own, row.salted_by)
                value = protected_value(salt, row.subject, digest)
                trees.protected[self._salts.protected_key(*own)] = value
            else:
                public[row.subject][row.item] = digest
        self._faults.require(kept == len(members), "map_sets", "sets are missing")
        for subject, sets in public.items():
            trees.public[public_key(subject)] = public_value(sets.items())
        return trees


class _CheckedTree:
    """One tree, walked from its root down."""

    def __init__(self, connection: Connection, tree: int, faults: Faults) -> None:
        self._connection = connection
        self._tree = tree
        self._faults = faults
        self.tiles = 0
        self.leaves: dict[bytes, bytes] = {}

    def top(self) -> Top:
        """Return what the leaves make of the tree, noting each tile that is otherwise."""
        return self._top(ROOT, 0)

    def _top(self, place: int, level: int) -> Top:
        name = f"map_tiles, {_TREES[self._tree]}, place {place}"
        kept = self._connection.execute(
            select(MAP_TILES.c.tile).where(MAP_TILES.c.place == 2 * place + self._tree)
        ).scalar()
        if kept is None:
            return NOTHING
        self.tiles += 1
        try:
            tile = decoded(bytes(kept))
        except (MapDamaged, IndexError):
            self._faults.note(name, "it cannot be read")
            return NOTHING
        if isinstance(tile, Branch):
            tops = [
                self._top(place * WIDTH + slot, level + 1) if below != EMPTY else NOTHING
                for slot, below in enumerate(tile.slots()[0])
            ]
            below = Branch.above(tops)
            self._faults.require(
                below.slots() == tile.slots(), name, "it is not that of the tiles below"
            )
            return below.top()
        self._faults.require(
            list(tile.leaves) == sorted(tile.leaves)
            and all(_belongs(leaf, place, level) for leaf in tile.leaves),
            name,
            "its leaves are not in their place",
        )
        self.leaves.update(tile.leaves)
        return tile.top(level * LEVELS)


def _belongs(leaf: Leaf, place: int, level: int) -> bool:
    for above in range(level - 1, -1, -1):
        if nibble(leaf[0], above) != place % WIDTH:
            return False
        place //= WIDTH
    return True
