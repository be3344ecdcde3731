"""What the map tells of subjects: their sets, all members, and the paths that prove them."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

from creditgate.transparency.facts import (
    protected_value,
    public_key,
    public_value,
    set_digest,
)
from creditgate.v1.disclosure_proof_pb2 import MapHeadProof, MapPath, OtherItem
from gateway.transparency.log import SignedCheckpoint
from gateway.transparency.map_openness import Openness
from gateway.transparency.map_rows import PROTECTED, PUBLIC, HeadRow, MemberRow, SetRow
from gateway.transparency.map_tiles import MapDamaged, Tile
from gateway.transparency.map_tree import find
from gateway.transparency.salts import Salts


class SubjectAsk(NamedTuple):
    """What to prove of a subject.

    ``public_items`` are the public items asked about: None for no public part; with
    ``all_public`` every one. ``protected_items`` are the others, in the order wanted.
    """

    subject: str
    public_items: frozenset[str] | None
    all_public: bool
    protected_items: Sequence[str]


class MapMember(NamedTuple):
    """A member of a set. ``sequence`` names its revision, times are seconds UTC,
    ``disclosed_until`` is `facts.NO_END` without end."""

    sequence: int
    item: str
    digest: bytes
    disclosed_from: int
    disclosed_until: int


class PublicSet(NamedTuple):
    """A subject's public items: the path of its leaf, the digests of items that have records
    and were not asked about, and every member of those asked about, by item and sequence."""

    path: MapPath
    other_items: Sequence[OtherItem]
    members: Sequence[MapMember]


class ProtectedSet(NamedTuple):
    """A subject's protected item: key, salt (empty without members) and path of its leaf, and
    every member, by sequence."""

    item: str
    key: bytes
    salt: bytes
    path: MapPath
    members: Sequence[MapMember]


class SubjectSets(NamedTuple):
    """All that was asked of one subject; ``public`` is None where nothing public was."""

    subject: str
    public: PublicSet | None
    protected: Sequence[ProtectedSet]


class MapProofs(NamedTuple):
    """What the map tells, at one checkpoint.

    ``head`` proves its map head; the map holds all that was disclosed after event
    ``head_event_sequence`` at ``map_time``, and of public items until before ``holds_until``
    unless a later event changed it (seconds UTC). ``protected_head`` opens the tree of
    protected items besides, which holds until before ``protected_holds_until``: only for who
    is given a proof about such an item.
    """

    checkpoint: SignedCheckpoint
    head: MapHeadProof
    head_event_sequence: int
    map_time: int
    holds_until: int
    protected_head: MapHeadProof
    protected_holds_until: int
    subjects: Sequence[SubjectSets]


class MapDiffers(LookupError):
    """An item was asked about as public that is protected in the map, or the other way: the
    catalogue has just changed, and the map has not followed or the asker has not."""


Tiles = Callable[[int, int], Tile | None]
"""Gives the tile of a tree, `map_rows.PUBLIC` or `map_rows.PROTECTED`, at a place."""


class Rows(NamedTuple):
    """What was read of the subjects asked about, at ``head``; ``openness`` tells of each item
    whether it is protected."""

    head: HeadRow
    openness: Openness
    sets: Sequence[SetRow]
    members: Sequence[MemberRow]


def keys_of(asks: Iterable[SubjectAsk], salts: Salts) -> dict[int, list[bytes]]:
    """Return the keys of all leaves asked about, by tree."""
    keys: dict[int, list[bytes]] = {PUBLIC: [], PROTECTED: []}
    for ask in asks:
        if ask.all_public or ask.public_items is not None:
            keys[PUBLIC].append(public_key(ask.subject))
        keys[PROTECTED] += [salts.protected_key(ask.subject, item) for item in ask.protected_items]
    return keys


def sets_of(
    asks: Iterable[SubjectAsk], rows: Rows, tiles: Tiles, salts: Salts
) -> list[SubjectSets]:
    """Return what the map tells of each subject asked about.

    Everything is checked against the head's roots: raises MapDamaged where it does not lead
    there, MapDiffers.
    """
    sets: defaultdict[str, dict[str, SetRow]] = defaultdict(dict)
    for row in rows.sets:
        sets[row[0]][row[1]] = row
    members: defaultdict[tuple[str, str], list[MapMember]] = defaultdict(list)
    for subject, item, sequence, digest, from_, until, *_ in rows.members:
        members[subject, item].append(MapMember(sequence, item, digest, from_, until))
    return [
        SubjectSets(
            ask.subject,
            _public_set(ask, rows, sets[ask.subject], members, tiles)
            if ask.all_public or ask.public_items is not None
            else None,
            [
                _protected_set(ask.subject, item, rows, sets[ask.subject], members, tiles, salts)
                for item in ask.protected_items
            ],
        )
        for ask in asks
    ]


_Members = Mapping[tuple[str, str], list[MapMember]]


def _public_set(
    ask: SubjectAsk, rows: Rows, sets: Mapping[str, SetRow], members: _Members, tiles: Tiles
) -> PublicSet:
    asked = ask.public_items or frozenset[str]()
    for item in asked:
        if rows.openness.protected(item):
            raise MapDiffers(item)
    found_members: list[MapMember] = []
    others: list[OtherItem] = []
    digests: list[tuple[str, bytes]] = []
    for item in sorted(sets):
        row = sets[item]
        if row.salted_by:
            continue
        if ask.all_public or item in asked:
            own = members.get((ask.subject, item), [])
            digests.append((item, set_digest(item, [member.digest for member in own])))
            found_members += own
        else:
            digests.append((item, row.digest))
            others.append(OtherItem(item=item, set_digest=row.digest))
    value = public_value(digests) if digests else None
    key = public_key(ask.subject)
    found = find(lambda place: tiles(PUBLIC, place), key, rows.head.public_root)
    if found.value != value:
        raise MapDamaged
    return PublicSet(found.path, others, found_members)


def _protected_set(
    subject: str,
    item: str,
    rows: Rows,
    sets: Mapping[str, SetRow],
    members: _Members,
    tiles: Tiles,
    salts: Salts,
) -> ProtectedSet:
    if rows.openness.protected(item) is False:
        raise MapDiffers(item)
    key = salts.protected_key(subject, item)
    row = sets.get(item)
    own: list[MapMember] = []
    salt, value = b"", None
    if row is not None:
        own = members.get((subject, item), [])
        salt = salts.leaf(subject, item, row.salted_by)
        value = protected_value(salt, subject, set_digest(item, [member.digest for member in own]))
    found = find(lambda place: tiles(PROTECTED, place), key, rows.head.protected_root)
    if found.value != value:
        raise MapDamaged
    return ProtectedSet(item, key, salt, found.path, own)
