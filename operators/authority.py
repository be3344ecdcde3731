"""Authority: the fold of the log into one immutable state, indexed for decisions."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from operators.decision import Allow, Ask, Call, DecisionMemory, Refuse
from operators.log import Change
from operators.model import (
    CLIENT,
    LICENCE,
    OPERATOR,
    SCOPE_GRANT,
    Client,
    Licence,
    Operator,
    ScopeGrant,
)

_Thing = TypeVar("_Thing", Operator, Licence, Client, ScopeGrant)


@dataclass(frozen=True, slots=True, eq=False)
class Authority:
    """Every operator, licence, client and grant at one point of the log.

    ``operators``, ``licences``, ``clients`` and ``grants`` go by id; ``licences_of`` by
    operator id and ``grants_of`` by grantee, each in order of id. ``sequence`` is that of
    the newest change seen. The state never changes; ``decisions`` and ``calls`` only
    remember what follows from it.
    """

    sequence: int
    operators: Mapping[str, Operator]
    licences: Mapping[str, Licence]
    clients: Mapping[str, Client]
    grants: Mapping[str, ScopeGrant]
    licences_of: Mapping[str, tuple[Licence, ...]]
    grants_of: Mapping[str, tuple[ScopeGrant, ...]]
    decisions: DecisionMemory[Ask, Allow | Refuse] = field(
        default_factory=DecisionMemory[Ask, Allow | Refuse]
    )
    calls: DecisionMemory[Call, Refuse | None] = field(
        default_factory=DecisionMemory[Call, Refuse | None]
    )

    @classmethod
    def empty(cls) -> "Authority":
        """Return the state before the first change."""
        return cls(0, {}, {}, {}, {}, {}, {})

    def advanced(self, changes: Sequence[Change]) -> "Authority":
        """Return the state after ``changes``, which follow in order of sequence.

        Changes of kinds that are not of this package are passed over. Raises
        pydantic.ValidationError for a document this version does not understand, so
        that the feed stops and its lease lapses rather than act on half of it.
        """
        if not changes:
            return self
        newest = {(change.kind, change.id): change for change in changes}
        licences = _read(newest, LICENCE, Licence)
        grants = _read(newest, SCOPE_GRANT, ScopeGrant)
        return Authority(
            changes[-1].sequence,
            {**self.operators, **_read(newest, OPERATOR, Operator)},
            {**self.licences, **licences},
            {**self.clients, **_read(newest, CLIENT, Client)},
            {**self.grants, **grants},
            _indexed(self.licences_of, self.licences, licences, _holder, _number),
            _indexed(self.grants_of, self.grants, grants, _grantee, _grant_id),
        )


def _read(
    newest: Mapping[tuple[str, str], Change], kind: str, model: type[_Thing]
) -> dict[str, _Thing]:
    return {
        id_: model.from_document(
            change.document, version=change.version, changed_at=change.changed_at
        )
        for (kind_, id_), change in newest.items()
        if kind_ == kind
    }


def _indexed(
    index: Mapping[str, tuple[_Thing, ...]],
    known: Mapping[str, _Thing],
    news: Mapping[str, _Thing],
    owner_of: Callable[[_Thing], str],
    id_of: Callable[[_Thing], str],
) -> Mapping[str, tuple[_Thing, ...]]:
    # A version may name another owner: the one before must not keep the thing.
    before = {id_: known[id_] for id_ in news if id_ in known}
    touched = {
        owner: {id_of(owned): owned for owned in index.get(owner, ())}
        for owner in map(owner_of, (*before.values(), *news.values()))
    }
    for id_, thing in before.items():
        del touched[owner_of(thing)][id_]
    for id_, thing in news.items():
        touched[owner_of(thing)][id_] = thing
    return {
        **index,
        **{owner: tuple(owned[id_] for id_ in sorted(owned)) for owner, owned in touched.items()},
    }


def _holder(licence: Licence) -> str:
    return licence.operator_id


def _number(licence: Licence) -> str:
    return licence.number


def _grantee(grant: ScopeGrant) -> str:
    return grant.grantee


def _grant_id(grant: ScopeGrant) -> str:
    return grant.grant_id
