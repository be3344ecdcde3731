"""Findings and what follows from them, on a real installation whose clock stands."""

from collections.abc import Generator, Iterable, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest

from creditgate.transparency.linked import LinkedKeys
from creditgate.v1.conformance_service_pb2 import FindingKind
from creditgate.v1.operator_service_pb2 import OperatorState
from creditgate.v1.vocabulary_pb2 import Severity
from gateway.authority.view import AuthorityView
from gateway.conformance.answered import last_answer
from gateway.conformance.attested import Attested
from gateway.conformance.basis import Basis
from gateway.conformance.blocks import Sequences
from gateway.conformance.certificate import Certificates
from gateway.conformance.certified import Certified
from gateway.conformance.challenges import Answer, Challenges, Judged
from gateway.conformance.contest import Contests
from gateway.conformance.drawing import Drawing
from gateway.conformance.due import DueAttestations, HeldByWord
from gateway.conformance.entitlement import Entitlements
from gateway.conformance.findings import Findings
from gateway.conformance.holdings import Holdings
from gateway.conformance.model import NONE, Attestation, Difference, Finding, Stage
from gateway.conformance.policy import ConformancePolicy
from gateway.conformance.policy_file import read_policy
from gateway.conformance.removals import RemovalDuties
from gateway.conformance.settling import Settling
from gateway.conformance.spoken import Spoken
from gateway.conformance.standings import Standings
from gateway.conformance.suspension import Suspensions
from gateway.federation.asking.removals import RegionRemovals
from gateway.oauth.signing import SigningKeys
from gateway.storage.engines import Engines, reading
from gateway.transparency.entries import note_head
from gateway.transparency.keys import LogKey
from gateway.transparency.log import MerkleLog
from gateway.transparency.tables import LogId
from operators.log import Draft
from operators.model import OPERATOR, Operator
from tests.clock import NOW, StandingClock
from tests.conformance.disclosing import Disclosing
from tests.installation import Installation, company
from tests.meter.world import admitted
from tests.stores import PostgresStores, SqliteStores

DAY = 86_400
ISSUER = "https://gateway.example"

CONTENT_ALTERED = FindingKind.FINDING_KIND_CONTENT_ALTERED
EXPIRED_HELD = FindingKind.FINDING_KIND_EXPIRED_HELD
MISSING = FindingKind.FINDING_KIND_MISSING
NEVER_SERVED = FindingKind.FINDING_KIND_NEVER_SERVED
REPAIRED_HELD = FindingKind.FINDING_KIND_REPAIRED_HELD


def difference(
    record_id: str,
    kind: FindingKind.ValueType = CONTENT_ALTERED,
    severity: Severity.ValueType = Severity.SEVERITY_GENERAL,
    event_sequence: int = 0,
    revision_sequence: int = 0,
    copy: bytes = b"\x01",
) -> Difference:
    """Return a difference of a copy of a record, one of several by ``copy``."""
    held = b"" if kind == MISSING else copy * 32
    return Difference(kind, record_id, severity, held, event_sequence, revision_sequence, held)


def all_right(
    engines: Engines, operator_id: str, differences: Iterable[Difference], now: int
) -> Sequences:
    """Return what an operator should hold whole, but what it tells missing."""
    entitlements = Entitlements(engines)
    held = entitlements.whole_held(entitlements.of(operator_id, now), now)
    missing = [each.revision_sequence for each in differences if each.kind == MISSING]
    return np.setdiff1d(held, missing)


def attested_on(installation: Installation, policy: ConformancePolicy, issuer: str) -> Attested:
    """Return the attestations of an installation as another process on its store keeps them."""
    engines = installation.engines
    # Checkpoints are read; whose key signed them the running gateway looks after.
    reader = LogKey.kept_in(installation.folder / "reader.pem", "reader")
    certificates = Certificates(
        policy,
        MerkleLog(engines.evidence, LogId.DISCLOSURE, reader),
        engines.evidence,
        SigningKeys(installation.home.keys),
        lambda: AuthorityView().advanced(installation.log.since(0)),
        issuer,
    )
    holdings = Holdings(engines)
    drawing = Drawing(engines, policy, Random(1))
    duties = RemovalDuties(engines, holdings, policy)
    elsewhere = RegionRemovals(engines, policy)
    return Attested(engines, policy, certificates, drawing, duties, elsewhere)


@contextmanager
def enforced_on(request: pytest.FixtureRequest, **policy: object) -> Generator["Enforced"]:
    """Give an installation on a store of the kind that ``request`` is for; ``policy`` replaces
    parts of the shipped one."""
    name = "sqlite_stores" if request.param == "sqlite" else "postgres_stores"
    with enforced_in(request.getfixturevalue(name), **policy) as enforced:
        yield enforced


@contextmanager
def enforced_in(stores: SqliteStores | PostgresStores, **policy: object) -> Generator["Enforced"]:
    """Give an installation on one of ``stores``; ``policy`` replaces parts of the shipped one."""
    unspaced = {"attestation_spacing": "PT0S"}
    changed = ConformancePolicy.model_validate(read_policy().model_dump() | unspaced | policy)
    with stores.database() as store:
        enforced = Enforced(*store, changed)
        yield enforced
        enforced.close()


@dataclass
class Enforced:
    """Operators before a gateway of which only the time is not real; ``firm`` is the one that
    things are about where nothing is said."""

    database: str
    folder: Path
    policy: ConformancePolicy = field(default_factory=read_policy)
    clock: StandingClock = field(default_factory=StandingClock)
    firm: str = ""

    def __post_init__(self) -> None:
        self.installation = Installation(self.database, self.folder, self.clock)
        self.engines = self.installation.engines
        self.log = self.installation.log
        self.disclosing = Disclosing(self.engines, self.clock)
        self.numbers = count(1)
        self.seen = AuthorityView()
        evidence, policy = self.engines.evidence, self.policy
        keys = SigningKeys(self.installation.home.keys)
        self.log_key = LogKey.kept_in(self.folder / "log.pem", "gateway.example/disclosure")
        self.merkle = MerkleLog(evidence, LogId.DISCLOSURE, self.log_key)
        holdings = Holdings(self.engines)
        certificates = Certificates(policy, self.merkle, evidence, keys, self.view, ISSUER, 0)
        self.findings = Findings(evidence, policy)
        self.challenges = Challenges(self.engines, policy)
        self.drawing = Drawing(self.engines, policy, Random(1))
        self.duties = RemovalDuties(self.engines, holdings, policy)
        self.attested = Attested(
            self.engines,
            policy,
            certificates,
            self.drawing,
            self.duties,
            RegionRemovals(self.engines, policy),
        )
        self.certified = Certified(
            self.attested,
            self.findings,
            LinkedKeys((self.log_key.verifier,)),
            lambda each: (
                self.view().authority.operators[each].state == OperatorState.OPERATOR_STATE_ACTIVE
            ),
        )
        self.contests = Contests(evidence)
        self.standings = Standings(evidence)
        self.due = DueAttestations(
            evidence,
            policy,
            HeldByWord(self.engines),
            lambda: tuple(self.view().authority.operators),
        )
        self.settling = Settling(evidence, policy, Suspensions(self.log))

    def close(self) -> None:
        """Close the store."""
        self.installation.close()

    def view(self) -> AuthorityView:
        """Return authority as the log has it."""
        seen = self.seen
        self.seen = seen.advanced(self.log.since(seen.sequence))
        return self.seen

    def newcomer(self) -> str:
        """Register an operator that may work, of which nothing is known; return its id.

        The clock is set back.
        """
        self.clock.at = NOW
        self.firm = f"firm-{next(self.numbers)}"
        operator = Operator(
            operator_id=self.firm,
            display_name="Invented firm",
            uscc=company(next(self.numbers)),
            state=OperatorState.OPERATOR_STATE_ACTIVE,
        )
        self.installation.keep(OPERATOR, self.firm, operator)
        return self.firm

    def decide(self, state: OperatorState.ValueType) -> None:
        """Have an administrator suspend, reinstate or revoke the operator."""
        self.write(state=state)

    def rename(self) -> None:
        """Have an administrator change something else of the operator."""
        self.write(display_name="Another name")

    def write(self, **changed: Any) -> None:
        """Write an administrator's change of the operator."""
        present = self.view().authority.operators[self.firm]
        document = present.model_copy(update=changed).as_document()
        self.log.append(
            [Draft(OPERATOR, self.firm, present.version, document)],
            changed_by="administrator:wang",
            changed_at=self.clock.now(),
            reason="decision",
        )

    def state(self) -> OperatorState.ValueType:
        """Return whether an operator may work."""
        return self.view().authority.operators[self.firm].state

    def pass_time(self, seconds: int) -> None:
        """Let time pass, and the enforcer do what there is to do."""
        self.clock.at += seconds
        self.step()

    def step(self) -> None:
        """Have the enforcer do what there is to do now."""
        now = self.clock.now()
        self.challenges.expire(now)
        self.challenges.forget(now)
        self.due.step(now)
        self.settling.step(now)

    def attest(
        self,
        *differences: Difference,
        copies: int | None = None,
        sequence: int | None = None,
        request_id: str = "",
        excused: bool = False,
        since: int | None = None,
    ) -> Attestation:
        """Keep an attestation of so many copies, of one that could not be asked for where it is
        None, with these differences; what was given again before ``since`` had
        come by then, as of now where it is None."""
        with reading(self.engines.records) as records:
            answers = last_answer(records, self.firm)
        missing = sum(each.kind == MISSING for each in differences)
        reflects = self.disclosing.store.head() if sequence is None else sequence
        return self.attested.record(
            self.firm,
            request_id or f"attestation-{next(self.numbers)}",
            1 if copies is None else copies,
            reflects,
            differences,
            self.clock.now(),
            "firm-client",
            Basis(
                (copies or 0) + missing,
                answers,
                excused,
                right=all_right(self.engines, self.firm, differences, self.clock.now())[
                    : copies or 0
                ],
                since=self.clock.now() if since is None else since,
                read_at=self.clock.now(),
                spoken=Spoken(reflects),
            ),
        )

    def serve(self, *names: str, **changes: Any) -> list[int]:
        """Publish records and serve them to the operator; return their sequences."""
        records = [admitted(self.record(each), **changes) for each in names]
        sequences = self.disclosing.disclosure.publish(*records)
        self.disclosing.serve(self.firm, *sequences)
        return sequences

    def record(self, name: str) -> str:
        """Return the id of a record of the operator's own."""
        return f"{self.firm}.{name}"

    def checkpoint(self) -> str:
        """Sign a checkpoint that covers all events; return its note."""
        head = self.disclosing.store.head()
        with self.engines.evidence.begin() as connection:
            index = self.merkle.append(connection, [b"entry"])
            note_head(connection, index, head, b"\0" * 32)
            return self.merkle.sign(connection, self.clock.now()).note

    def stage(self) -> Stage:
        """Return the stage the operator has come to."""
        standing = self.standings.of(self.firm)
        return NONE if standing is None else Stage(standing.stage)

    def standing(self) -> dict[tuple[str, int], Finding]:
        """Return the findings that stand, by record and kind."""
        found = self.findings.listed(
            operator_id=self.firm, attestation_id="", state=0, before="", limit=100_000
        )
        return {(each.record_id, each.kind): each for each in found if not each.closed_at}

    def show(self, *answers: tuple[str, bytes]) -> Judged:
        """Answer challenges by record, each by the digest of the copy shown."""
        asked = {each.record_id: each for each in self.asked()}
        given = [
            Answer(asked[record].challenge_id, digest, b"c" * 32) for record, digest in answers
        ]
        return self.challenges.judge(self.firm, given, self.clock.now())

    def asked(self) -> Sequence[Any]:
        """Return the challenges the operator has to answer."""
        return self.challenges.listed(self.firm, "", self.clock.now(), 100_000)
