"""One attestation from its opening to its outcome, whichever way the copies are told. Its steps
block, and follow one another."""

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from typing import Final, Protocol

import numpy as np
from sqlalchemy import Engine

from creditgate.reconcile.decode import Decoder, SymbolsInconsistent
from creditgate.reconcile.symbols import SYMBOL_BYTES
from creditgate.refusal import Violation, invalid
from creditgate.v1 import conformance_service_pb2 as pb
from gateway.clock import Clock
from gateway.conformance.answered import Reading
from gateway.conformance.basis import Basis
from gateway.conformance.blocks import with_more
from gateway.conformance.classify import Grace
from gateway.conformance.covering import covered
from gateway.conformance.entitlement import Entitlement
from gateway.conformance.held import Held
from gateway.conformance.judging import Judge
from gateway.conformance.matching import Matching, Repeated
from gateway.conformance.model import Attestation, Difference
from gateway.conformance.shown import copies_in, opening_digest, symbols_in
from gateway.conformance.spoken import Spoken
from gateway.conformance.uptime import Awake
from gateway.respond.under_way import UNDER_WAY_SECONDS

FIRST_SYMBOLS: Final = 64
MOST_DIFFERENCES: Final = 200_000
"""Most differences told by symbols: to find more takes longer than to look at all copies."""
_MOST_SYMBOLS: Final = 2 * MOST_DIFFERENCES
_MOST_SYMBOLS_AT_ONCE: Final = 50_000
# Of a copy in a message, about.
_COPY_BYTES: Final = 80


class Attesting(Protocol):
    """What is needed of `gateway.conformance.attested.Attested`."""

    def earlier(self, operator_id: str, request_id: str, opening: bytes) -> Attestation | None:
        """Return what an operator attested by a request before; None where it did not. Raises
        Refused REQUEST_ID_REUSED where that was opened otherwise."""
        ...

    def record(
        self,
        operator_id: str,
        request_id: str,
        copies: int,
        disclosure_sequence: int,
        differences: Sequence[Difference],
        now: int,
        client_id: str,
        basis: Basis,
    ) -> Attestation:
        """Keep an attestation and what follows from it."""
        ...

    def require_turn(self, operator_id: str, copies: int, read_at: int, now: int) -> None:
        """Raise Refused RATE_EXCEEDED where an operator may not attest yet, INVALID_REQUEST where
        its copies were read before those it attested last."""
        ...


class Removing(Protocol):
    """What is needed of the conformance policy."""

    def removal_seconds(self, severity: int) -> int:
        """Return how long after its event a void copy must be gone."""
        ...

    @property
    def file_age_seconds(self) -> int:
        """How long a void copy that was read before its event is excused, whatever its deadline."""
        ...


class Attester:
    """The attestation that ``opening`` began: ``held`` are the copies that the operator should
    hold, ``entitlement`` is why; they were read at ``read``.

    Raises Refused INVALID_REQUEST for a position to come.
    """

    def __init__(
        self,
        operator_id: str,
        client_id: str,
        opening: pb.AttestationOpening,
        held: Held,
        entitlement: Entitlement,
        read: Reading,
    ) -> None:
        if opening.disclosure_sequence > entitlement.position:
            raise invalid(
                Violation("opening.disclosure_sequence", "use the position of an event, or 0")
            )
        self._operator_id = operator_id
        self._client_id = client_id
        self._opening = opening
        self._held = held
        self._read = read
        self._position = entitlement.position
        self._decoder = Decoder(held.key, opening.copies - held.copies)
        self._matching = Matching(held, entitlement.cut)
        self._wanted = 0

    @property
    def entitled(self) -> int:
        """How many copies the operator should hold."""
        return self._held.copies

    def terms(self) -> pb.ReconciliationTerms:
        """Return the terms of a reconciliation."""
        return pb.ReconciliationTerms(
            checksum_key=self._held.key, disclosure_sequence=self._position
        )

    def symbols_wanted(self) -> int:
        """Return how many more symbols are wanted: 0 where the differences are so many that
        all copies are."""
        decoder = self._decoder
        wanted = decoder.wanted() if decoder.taken else FIRST_SYMBOLS
        all_copies = FIRST_SYMBOLS + self._opening.copies * _COPY_BYTES // SYMBOL_BYTES
        if decoder.taken and (
            decoder.exhausted
            or decoder.expected() > MOST_DIFFERENCES
            or decoder.taken + wanted > min(_MOST_SYMBOLS, all_copies)
        ):
            return 0
        self._wanted = min(wanted, _MOST_SYMBOLS_AT_ONCE)
        return self._wanted

    def take_symbols(self, message: pb.CodedSymbols) -> bool:
        """Take the symbols that were wanted; return whether they tell all. Raises Refused
        INVALID_REQUEST."""
        decoder, first = self._decoder, self._decoder.taken
        theirs = symbols_in(message, first, self._wanted)
        with _faults():
            decoder.take(theirs, self._held.symbols(first, self._wanted))
        return decoder.decoded

    def copies_wanted(self) -> Sequence[bytes]:
        """Return the elements of the copies that the operator has to show, now that the
        symbols have told all. Raises Refused INVALID_REQUEST."""
        with _faults():
            wanted = self._matching.take_differences(self._decoder.theirs, self._decoder.ours)
        self._require_copies(self._matching.copies + len(wanted))
        return wanted

    def take_shown(self, message: pb.CopyDigests) -> None:
        """Take copies that had to be shown. Raises Refused INVALID_REQUEST."""
        with _faults():
            self._matching.show(copies_in(message.copies))

    def take_copies(self, message: pb.CopyDigests) -> None:
        """Take some of all copies. Raises Refused INVALID_REQUEST."""
        with _faults():
            self._matching.take_copies(copies_in(message.copies))
        if self._matching.copies > self._opening.copies:
            self._require_copies(self._matching.copies)

    def require_all(self) -> None:
        """Raise Refused INVALID_REQUEST unless all copies have come."""
        self._require_copies(self._matching.copies)

    def finish(
        self,
        records: Engine,
        judge: Judge,
        attested: Attesting,
        policy: Removing,
        clock: Clock,
        awake: Awake,
    ) -> Attestation:
        """Judge what differs, and keep the attestation. Raises Refused as these do."""
        after = self._opening.disclosure_sequence
        grace = Grace(
            after,
            policy.removal_seconds,
            self._held.now,
            read_at=self._read.at,
            file_age=policy.file_age_seconds,
        )
        spoken_of = covered(records, self._operator_id, self._matching.differing(), self._read)
        judged = judge.judge(self._operator_id, spoken_of.differing, grace)
        now = clock.now()
        awake.wake(now)
        return attested.record(
            self._operator_id,
            self._opening.request_id,
            self._matching.copies,
            # Void copies that are only not held against it yet are not attested to be right.
            after if judged.excused else self._position,
            judged.differences,
            now,
            self._client_id,
            Basis(
                self._held.copies - spoken_of.copies + len(judged.right),
                self._read.arrived,
                judged.excused,
                self._position,
                opening_digest(self._opening),
                with_more(self._matching.whole_right(), np.array(sorted(judged.right), np.int64)),
                self._read.at - UNDER_WAY_SECONDS,
                judged.beyond,
                self._read.at,
                judged.void_elsewhere,
                np.union1d(spoken_of.later, np.array(sorted(judged.unsaid), np.int64)),
                judged.right,
                Spoken(max(after, self._read.events), judged.excused_for),
            ),
        )

    def _require_copies(self, copies: int) -> None:
        if copies != self._opening.copies:
            raise invalid(
                Violation("opening.copies", "must be the number of copies that are then told")
            )


@contextmanager
def _faults() -> Generator[None]:
    """Turn what is wrong with what was told into the refusal of the call."""
    try:
        yield
    except SymbolsInconsistent:
        raise invalid(
            Violation("symbols", "must be those of one set, under the key of the terms")
        ) from None
    except Repeated:
        raise invalid(
            Violation("copies.copies", "show each copy once, and only what was asked for")
        ) from None
