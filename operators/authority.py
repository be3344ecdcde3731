"""Authority: the fold of the log into one immutable state, indexed for decisions."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from operators.administration_policy import (
    ADMINISTRATION_POLICY,
    POLICY_ID,
    AdministrationPolicy,
)
from operators.administrators import ADMINISTRATOR, Administrator
from operators.brakes import BRAKE, Brake, Brakes
from operators.decision import Allow, Ask, Call, DecisionMemory, Refuse
from operators.item_mappings import ITEM_MAPPING, ItemMapping, ItemMappings
from operators.kept import Kept
from operators.limits import LIMIT, Limit, Limits
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
from operators.proposal import PROPOSAL, Proposal
from operators.recognition import (
    CROSS_BORDER_PROFILE,
    CROSS_BORDER_TRANSFER,
    RECOGNITION_RULE,
    CrossBorderProfile,
    CrossBorderTransfer,
    RecognitionRule,
    Recognitions,
)
from operators.regions import REGION, REGION_ADMISSION, KnownRegion, RegionAdmission, Regions
from operators.registration import (
    CLIENT_REGISTRATION,
    SOFTWARE_STATEMENT,
    ClientRegistration,
    SoftwareStatement,
)
from operators.scope_definition import SCOPE_DEFINITION, ScopeDefinition

_Thing = TypeVar("_Thing", bound=Kept)


@dataclass(frozen=True, slots=True, eq=False)
class Authority:
    """Every operator, licence, client and grant at one point of the log.

    ``operators``, ``licences``, ``clients`` and ``grants`` go by id; ``licences_of`` by
    operator id and ``grants_of`` by grantee, each in order of id; ``definitions`` of
    managed scopes by name, software ``statements`` and ``registrations`` of clients by id;
    ``brakes`` tell what is stopped for the time being, ``limits`` how fast answers may follow;
    ``regions`` which other regions are known and admitted: their clients are in ``clients``;
    ``item_mappings`` what items of theirs stand for, ``recognitions`` what documents do.
    ``sequence`` is that of the newest change seen. The state never
    changes; ``decisions`` and ``calls`` only remember what follows from it.
    """

    sequence: int
    operators: Mapping[str, Operator]
    licences: Mapping[str, Licence]
    clients: Mapping[str, Client]
    grants: Mapping[str, ScopeGrant]
    licences_of: Mapping[str, tuple[Licence, ...]]
    grants_of: Mapping[str, tuple[ScopeGrant, ...]]
    definitions: Mapping[str, ScopeDefinition] = field(default_factory=dict[str, ScopeDefinition])
    proposals: Mapping[str, Proposal] = field(default_factory=dict[str, Proposal])
    policy: AdministrationPolicy = field(default_factory=AdministrationPolicy)
    administrators: Mapping[str, Administrator] = field(default_factory=dict[str, Administrator])
    statements: Mapping[str, SoftwareStatement] = field(
        default_factory=dict[str, SoftwareStatement]
    )
    registrations: Mapping[str, ClientRegistration] = field(
        default_factory=dict[str, ClientRegistration]
    )
    brakes: Brakes = field(default_factory=Brakes)
    limits: Limits = field(default_factory=Limits)
    regions: Regions = field(default_factory=Regions)
    item_mappings: ItemMappings = field(default_factory=ItemMappings)
    recognitions: Recognitions = field(default_factory=Recognitions)
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
        policies = _read(newest, ADMINISTRATION_POLICY, AdministrationPolicy)
        regions = self.regions.advanced(
            _read(newest, REGION, KnownRegion),
            _read(newest, REGION_ADMISSION, RegionAdmission),
        )
        registered = _read(newest, CLIENT, Client)
        # The client of a region that was admitted is that of its chain, whatever else has its id.
        own = {id_: each for id_, each in registered.items() if id_ not in regions.admissions}
        clients = {**self.clients, **own}
        if regions is not self.regions:
            clients |= regions.clients()
        return Authority(
            changes[-1].sequence,
            {**self.operators, **_read(newest, OPERATOR, Operator)},
            {**self.licences, **licences},
            clients,
            {**self.grants, **grants},
            _indexed(self.licences_of, self.licences, licences, _holder, _number),
            _indexed(self.grants_of, self.grants, grants, _grantee, _grant_id),
            {**self.definitions, **_read(newest, SCOPE_DEFINITION, ScopeDefinition)},
            {**self.proposals, **_read(newest, PROPOSAL, Proposal)},
            policies.get(POLICY_ID, self.policy),
            {**self.administrators, **_read(newest, ADMINISTRATOR, Administrator)},
            {**self.statements, **_read(newest, SOFTWARE_STATEMENT, SoftwareStatement)},
            {**self.registrations, **_read(newest, CLIENT_REGISTRATION, ClientRegistration)},
            self.brakes.advanced(_read(newest, BRAKE, Brake)),
            self.limits.advanced(_read(newest, LIMIT, Limit)),
            regions,
            self.item_mappings.advanced(_read(newest, ITEM_MAPPING, ItemMapping)),
            self.recognitions.advanced(
                _read(newest, RECOGNITION_RULE, RecognitionRule),
                _read(newest, CROSS_BORDER_PROFILE, CrossBorderProfile),
                _read(newest, CROSS_BORDER_TRANSFER, CrossBorderTransfer),
            ),
        )

    def version_of(self, kind: str, id_: str) -> int:
        """Return the present version of a thing of this package, 0 where there is none."""
        if kind == ADMINISTRATION_POLICY:
            return self.policy.version
        kept: Mapping[str, Mapping[str, Kept]] = {
            OPERATOR: self.operators,
            LICENCE: self.licences,
            CLIENT: self.clients,
            SCOPE_GRANT: self.grants,
            SCOPE_DEFINITION: self.definitions,
            PROPOSAL: self.proposals,
            ADMINISTRATOR: self.administrators,
            SOFTWARE_STATEMENT: self.statements,
            CLIENT_REGISTRATION: self.registrations,
            BRAKE: self.brakes.by_id,
            LIMIT: self.limits.by_id,
            REGION: self.regions.known,
            REGION_ADMISSION: self.regions.admissions,
            ITEM_MAPPING: self.item_mappings.by_id,
            RECOGNITION_RULE: self.recognitions.rules,
            CROSS_BORDER_PROFILE: self.recognitions.profiles,
            CROSS_BORDER_TRANSFER: self.recognitions.transfers,
        }
        thing = kept.get(kind, {}).get(id_)
        return 0 if thing is None else thing.version


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
