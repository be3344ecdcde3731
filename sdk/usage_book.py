"""The receipt book: a local file of all receipts of use, and of the usage log they are compared to.

One SQLite file for several threads and processes, bound to one operator and the pinned key of
receipts when it is made, or those that are linked to that (`sdk.usage_keys`). Receipts are only ever added. Leaves of the log count once they are
verified, with all before them, by a checkpoint of the gateway's.
"""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Final, NamedTuple, Self

from sqlalchemy import Engine, func, select
from sqlalchemy.dialects.sqlite import insert as insert_new
from sqlalchemy.exc import SQLAlchemyError

from creditgate.federated_query import region_request_id
from creditgate.transparency.linked import UnknownKey
from creditgate.transparency.merkle import ProofInvalid
from creditgate.transparency.note import VerifierKey
from creditgate.transparency.region_use import verify_question, verify_region_use
from creditgate.transparency.strict import strictly
from creditgate.transparency.usage import (
    Answer,
    detail_of,
    is_of_other_region,
    verify_receipt,
    verify_served,
)
from creditgate.v1.credit_record_service_pb2 import Receipt
from creditgate.v1.federated_record_service_pb2 import RegionPart
from creditgate.v1.usage_log_pb2 import UsageDetail, UsageKind, UsageLeaf, UsageReceipt
from sdk.usage_keys import BookKeys
from sdk.usage_log import BookLog, newest_held
from sdk.usage_receipts import KeptReceipts
from sdk.usage_sent import SentRequests, require_signed_again
from sdk.usage_tables import (
    AGREED,
    LATER,
    METADATA,
    OWNER,
    RECEIPTS,
    open_file,
)

_AT_ONCE: Final = 1_000


class BookRefused(ValueError):
    """A file is no receipt book, or that of another operator or key; the message says which."""


class Held(NamedTuple):
    """What a book holds: receipts; leaves of the log that are verified; the checkpoint they are
    verified by as it was signed, "" before the first."""

    receipts: int
    leaves: int
    note: str


class HasAgreed(NamedTuple):
    """How many uses the operator has agreed with, by this book, and when it last did, or tried to
    (seconds, UTC)."""

    size: int
    at: int


class UsageBook(BookLog):
    """A receipt book; make it by `begin` or `open`. Calls block; any thread.

    ``key`` is the key of receipts that was pinned first. All raise what SQLAlchemy raises where the
    file cannot be used.
    """

    def __init__(self, engine: Engine, operator_id: str, key: VerifierKey) -> None:
        super().__init__(engine, operator_id, BookKeys(engine, key))
        self.key = key
        self._sent = SentRequests(engine)
        self._receipts = KeptReceipts(engine)

    def learn(self, notes: Sequence[str]) -> bool:
        """Take on the keys of receipts that ``notes`` of the gateway lead to from those known; tell
        whether there are others than before."""
        learnt = self._keys.learn(notes)
        if learnt:
            self._keep_aside()
        return learnt

    def pin(self, key: VerifierKey) -> None:
        """Pin another key of receipts, which was compared, where no note leads to it."""
        self._keys.pin(key)
        self._keep_aside()

    def _keep_aside(self) -> None:
        """Keep the receipts that were put aside, as far as their keys are known by now."""
        for receipt in self._keys.taken_back():
            with contextlib.suppress(ProofInvalid):
                kept = UsageReceipt.FromString(receipt)
                self._receipts.add(self._signed(kept), kept)

    @classmethod
    def begin(cls, file: Path, operator_id: str, key: VerifierKey) -> Self:
        """Make a book, or open the one that is there. Raises BookRefused where that is another's."""
        engine = open_file(file)
        try:
            METADATA.create_all(engine)
            owner = {"id": 1, "operator_id": operator_id, "key": str(key)}
            with engine.begin() as connection:
                connection.execute(insert_new(OWNER).values(owner).on_conflict_do_nothing())
        finally:
            engine.dispose()
        book = cls.open(file)
        if book.operator_id != operator_id or key not in book.keys.chain:
            book.close()
            raise BookRefused(f"{file} is the book of another operator, or by another key")
        return book

    @classmethod
    def open(cls, file: Path) -> Self:
        """Open a book. Raises BookRefused."""
        if not file.is_file():
            raise BookRefused(f"There is no book {file}.")
        engine = open_file(file)
        try:
            METADATA.create_all(engine, LATER)
            with engine.connect() as connection:
                owner = connection.execute(select(OWNER.c.operator_id, OWNER.c.key)).one()
            return cls(engine, owner.operator_id, VerifierKey.parse(owner.key))
        except (SQLAlchemyError, ValueError):
            engine.dispose()
            raise BookRefused(f"{file} is no receipt book.") from None

    def close(self) -> None:
        """Close the file."""
        self._engine.dispose()

    def sending(self, request_id: str, now: int, *, new: bool = False) -> None:
        """Note that a request is about to be sent, at ``now`` (seconds, UTC); before each time.

        ``new`` tells that its id was made for it, and that nobody has sent it. Of a request that was
        sent once, what calls itself a retry and what is told of a charge before are refused.
        """
        self._sent.note(request_id, now, new=new)

    def keep(self, *answer: Answer, request_id: str = "") -> UsageLeaf:
        """Keep the receipt of an answer, or of all parts of a chunk in order; return its use.

        ``request_id`` is that of the request, where it is to be the one that is charged. A receipt
        that the gateway signed is kept even where it is not of what was received: it is evidence
        then, and no promise. Raises ProofInvalid, and UnknownKey where it is signed by a key that
        the book does not know: it is put aside until the book learns that, for which
        `sdk.usage.keeping` asks the gateway.
        """
        receipt = answer[-1].receipt
        verify = partial(verify_served, answer, self.keys)
        return self._keep(receipt.usage, partial(self._answered, receipt, request_id, verify))

    def keep_charged(self, receipt: UsageReceipt, request_id: str, region: str = "") -> UsageLeaf:
        """Keep the receipt of what the request ``request_id`` was charged when it was answered first,
        and which does not come any more; return its use.

        With ``region``, the entity identifier of another region, it is of a chunk of that region's
        answer. Raises ProofInvalid, and keeps nothing, where it is of another request or this one
        cannot have been charged before; otherwise as `keep`.
        """
        leaf = strictly(UsageLeaf, receipt.leaf)
        charged_as = request_id
        if region:
            charged_as = region_request_id(self.operator_id, request_id, region)
        if (leaf.kind, leaf.request_id, is_of_other_region(leaf)) != (
            UsageKind.USAGE_KIND_ANSWER,
            charged_as,
            bool(region),
        ):
            raise ProofInvalid("the receipt is of another request")
        self._sent.require_charged_before(leaf, request_id)
        return self._keep(receipt, partial(verify_receipt, receipt, self.keys))

    def keep_question(self, receipt: Receipt, request_id: str = "") -> UsageLeaf:
        """Keep the receipt of a question to other regions; return its use. Otherwise as `keep`."""
        verify = partial(verify_question, receipt, self.keys)
        return self._keep(receipt.usage, partial(self._answered, receipt, request_id, verify))

    def keep_region(self, *chunk: RegionPart, request_id: str = "", new: bool = False) -> UsageLeaf:
        """Keep the receipt of a chunk of another region, given all its parts in order; return its
        use. ``request_id`` is that of its question, and ``new`` tells that this was answered for the
        first time. Otherwise as `keep`."""
        receipt, judge = chunk[-1].receipt.usage, partial(self._came, chunk, request_id, new=new)
        return self._keep(receipt, judge)

    def _answered(
        self, receipt: Receipt, request_id: str, verify: Callable[[], UsageLeaf]
    ) -> UsageLeaf:
        """Return the use of an answer once ``verify`` finds it in order. Raises ProofInvalid."""
        leaf = verify()
        if request_id and leaf.request_id != request_id:
            raise ProofInvalid("the receipt is of another request")
        if receipt.replayed:
            require_signed_again(receipt)
            self._sent.require_charged_before(leaf, leaf.request_id)
        return leaf

    def _came(self, chunk: Sequence[RegionPart], request_id: str, *, new: bool) -> UsageLeaf:
        """Return the use of a chunk of another region that is in order. Raises ProofInvalid."""
        leaf = verify_region_use(chunk, self.keys)
        receipt = chunk[-1].receipt
        if receipt.replayed:
            require_signed_again(receipt)
            if new:
                raise ProofInvalid("a chunk is marked as a retry, and its question is none")
            self._sent.require_charged_before(leaf, request_id)
        return leaf

    def _keep(self, receipt: UsageReceipt, judge: Callable[[], UsageLeaf]) -> UsageLeaf:
        """Keep a receipt, and return the use that ``judge`` finds it a promise of; where that raises
        ProofInvalid it is kept as evidence alone."""
        use = self._signed(receipt)
        try:
            leaf = judge()
        except ProofInvalid:
            self._receipts.doubt(use, receipt)
            raise
        self._receipts.promise(use, receipt)
        return leaf

    def _signed(self, receipt: UsageReceipt) -> UsageLeaf:
        """Return the use that a receipt is signed for, which is put aside where its key is not known.
        Raises ProofInvalid."""
        try:
            use = verify_receipt(receipt, self.keys)
        except UnknownKey:
            self._keys.put_aside(receipt.SerializeToString(deterministic=True))
            raise
        if use.operator_id != self.operator_id:
            raise ProofInvalid("the receipt is of another operator")
        return use

    def receipts_of(self, usage_index: int) -> list[UsageReceipt]:
        """Return the receipts of a place: several only where the gateway contradicts itself."""
        return self._receipts.of(usage_index)

    def detail(self, use: UsageLeaf) -> UsageDetail | None:
        """Return lines and revisions of a use, None where neither leaf nor receipt has them."""
        told = detail_of(use)
        if told is not None:
            return told
        return detail_of(use, self.detail_told(use.SerializeToString(deterministic=True)))

    def detail_told(self, leaf: bytes) -> bytes:
        """Return the serialised UsageDetail that came with the receipt of a leaf, b"" for none."""
        promised = self.receipts_of(UsageLeaf.FromString(leaf).usage_index)
        return next((each.detail for each in promised if each.leaf == leaf), b"")

    def gaps(self) -> Iterator[range]:
        """Yield the runs of places before the last receipt that have none.

        `differences` tells which of them are charged: a reversal has no receipt.
        """
        expected = 0
        query = select(RECEIPTS.c.usage_index).distinct().order_by(RECEIPTS.c.usage_index)
        for index in self._streamed(query):
            if index > expected:
                yield range(expected, index)
            expected = index + 1

    def held(self) -> Held:
        """Return what the book holds."""
        with self._engine.connect() as connection:
            receipts = connection.execute(select(func.count()).select_from(RECEIPTS)).scalar_one()
            newest = newest_held(connection)
        return Held(receipts, *newest)

    def agreed(self) -> HasAgreed:
        """Return how far the operator has agreed, as this book knows."""
        with self._engine.connect() as connection:
            row = connection.execute(select(AGREED.c.size, AGREED.c.at)).first()
        return HasAgreed(0, 0) if row is None else HasAgreed(*row)

    def keep_agreed(self, size: int, at: int) -> None:
        """Note that the operator has agreed with ``size`` uses by ``at`` (seconds, UTC), or with 0
        that it tried to."""
        new = insert_new(AGREED).values(id=1, size=size, at=at)
        newer = {"size": func.max(AGREED.c.size, new.excluded.size), "at": new.excluded.at}
        with self._engine.begin() as connection:
            connection.execute(new.on_conflict_do_update(index_elements=["id"], set_=newer))
