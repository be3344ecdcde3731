"""Use from an operator's side: its log followed into a receipt book, agreed with, proved.

Over a channel of `sdk.connection.connect`. What each answer was charged is kept by
`sdk.usage_book.UsageBook.keep`, right when it comes.
"""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Final, TypeVar

import grpc

from creditgate.transparency.linked import LinkedKeys, Pinned, UnknownKey
from creditgate.transparency.merkle import ProofInvalid
from creditgate.transparency.note import VerifierKey
from creditgate.transparency.receipts import COSIGNATURE_TYPE
from creditgate.transparency.usage import detail_of, verify_logged
from creditgate.transparency.usage_evidence import USE
from creditgate.v1 import usage_service_pb2 as pb
from creditgate.v1.usage_evidence_pb2 import (
    LoggedLeaf,
    ShownLeaf,
    UsageAgreement,
    UsageEvidence,
)
from creditgate.v1.usage_log_pb2 import UsageDetail, UsageLeaf
from creditgate.v1.usage_service_pb2_grpc import UsageServiceStub
from sdk.refusals import charged, explain
from sdk.signing import SigningKey
from sdk.usage_agreements import checkpoint_digest
from sdk.usage_book import Held, UsageBook

_DEADLINE_SECONDS: Final = 30
_PAGE: Final = 1_000
_ATTEMPTS: Final = 5
_LOGGED_ATTEMPTS: Final = 20
_LOGGED_SECONDS: Final = 1.0
_Kept = TypeVar("_Kept")


class Usage:
    """The usage log of an operator, as the channel's client may see it.

    Calls raise grpc.RpcError for refusals, ProofInvalid for what the gateway did not sign so.
    """

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._stub = UsageServiceStub(channel)

    async def follow(self, book: UsageBook) -> int:
        """Take the log into the book up to its newest checkpoint; return how many leaves it has.

        Each leaf is verified, and that the log only grew since. The book learns which keys follow
        those it has.
        """
        place = (await asyncio.to_thread(book.held)).leaves
        while True:
            page = await self._leaves(book.operator_id, place)
            await asyncio.to_thread(book.learn, list(page.successions))
            if not page.checkpoint:
                return place
            if page.leaves:
                await asyncio.to_thread(book.take, place, list(page.leaves))
                place += len(page.leaves)
            if len(page.leaves) < _PAGE:
                return await asyncio.to_thread(book.verify, page.checkpoint)

    async def learn(self, book: UsageBook) -> bool:
        """Ask which keys follow those that the book has; tell whether it has others now."""
        page = await self._leaves(book.operator_id, 0, 1)
        return await asyncio.to_thread(book.learn, list(page.successions))

    async def cosign(
        self, book: UsageBook, compared: Held, client_id: str, key: SigningKey, now: int
    ) -> int:
        """Agree with the log as far as it was compared; return its size.

        Whoever agrees can deny nothing in it later. So take ``compared`` from `UsageBook.held` first,
        and then look at the `UsageBook.differences` of so many leaves: another process may take more
        into the book meanwhile. ``key`` is one of the client's; ``now`` in seconds UTC. Raises
        LookupError where there is nothing to agree with.
        """
        if not compared.note:
            raise LookupError("the book has no checkpoint to agree with")
        claims = {
            "iss": client_id,
            "sub": book.operator_id,
            "iat": now,
            "checkpoint_sha256": checkpoint_digest(compared.note),
        }
        request = pb.CosignUsageRequest(
            checkpoint=compared.note, cosignature=key.sign(claims, typ=COSIGNATURE_TYPE)
        )
        await self._stub.CosignUsage(request, timeout=_DEADLINE_SECONDS)
        await asyncio.to_thread(book.keep_agreed, compared.leaves, now)
        return compared.leaves

    async def linked(self, operator_id: str, pinned: VerifierKey) -> LinkedKeys:
        """Return the pinned key of receipts and those that follow it, as they say themselves."""
        page = await self._leaves(operator_id, 0, 1)
        return LinkedKeys.of(pinned, page.successions)

    async def prove(self, name: str, key: Pinned) -> UsageEvidence:
        """Return the evidence that an answer was used, with the operator's agreement if there is
        one that covers it. ``name`` is that of a usage entry, ``key`` that of receipts, or
        those of `linked`."""
        operator_id = name.removeprefix("operators/").partition("/")[0]
        proof = await self._proof(name)
        found = verify_logged(proof.leaf, proof.audit_path, proof.checkpoint, operator_id, key)
        # The wrong detail would prove nothing later.
        detail_of(found.leaf, proof.detail)
        evidence = UsageEvidence(kind=USE)
        request = pb.GetUsageCosignatureRequest(operator_id=operator_id)
        agreed = await self._stub.GetUsageCosignature(request, timeout=_DEADLINE_SECONDS)
        if agreed.size > found.leaf.usage_index:
            proof, consistency = await self._joined(name, operator_id, agreed.size)
            evidence.agreement.CopyFrom(
                UsageAgreement(
                    checkpoint=agreed.checkpoint,
                    cosignature=agreed.cosignature,
                    jwk=agreed.jwk,
                    consistency_proof=consistency,
                )
            )
        logged = LoggedLeaf(
            leaf=proof.leaf, audit_path=proof.audit_path, checkpoint=proof.checkpoint
        )
        evidence.leaves.append(ShownLeaf(logged=logged, detail=proof.detail))
        return evidence

    async def follow_to(self, book: UsageBook, size: int) -> None:
        """Take the log into the book up to ``size`` leaves at least. Raises ProofInvalid where there
        are fewer."""
        for _ in range(_LOGGED_ATTEMPTS):
            if await self.follow(book) >= size:
                return
            await asyncio.sleep(_LOGGED_SECONDS)
        raise ProofInvalid("the statement counts uses that are not logged")

    async def detail(self, use: UsageLeaf) -> UsageDetail:
        """Return lines and revisions of a use that the log has but the digest of."""
        # A page has one answer, or a part of one that is too large for one message.
        request = pb.ListUsageRequest(
            operator_id=use.operator_id, request_id=use.request_id, page_size=1
        )
        while True:
            page = await self._stub.ListUsage(request, timeout=_DEADLINE_SECONDS)
            for entry in page.entries:
                if entry.decision_id == use.decision_id:
                    found = detail_of(use, (await self._proof(entry.name)).detail)
                    if found is not None:
                        return found
                break
            if not page.next_page_token:
                raise ProofInvalid("the gateway does not tell the lines of a use")
            request.page_token = page.next_page_token

    async def _joined(
        self, name: str, operator_id: str, size: int
    ) -> tuple[pb.GetUsageProofResponse, list[bytes]]:
        """Return a proof of use, and that its checkpoint's log begins with ``size`` leaves."""
        for _ in range(_ATTEMPTS):
            proof = await self._proof(name)
            page = await self._leaves(operator_id, 0, 1, size)
            # The log may have grown between the two.
            if page.checkpoint == proof.checkpoint:
                return proof, list(page.consistency_proof)
        raise ProofInvalid("the log grows too fast to be proved; try again")

    async def _proof(self, name: str) -> pb.GetUsageProofResponse:
        request = pb.GetUsageProofRequest(name=name)
        return await self._stub.GetUsageProof(request, timeout=_DEADLINE_SECONDS)

    async def _leaves(
        self, operator_id: str, start: int, most: int = _PAGE, known: int = 0
    ) -> pb.ListUsageLeavesResponse:
        request = pb.ListUsageLeavesRequest(
            operator_id=operator_id, start_index=start, page_size=most, consistent_with=known
        )
        return await self._stub.ListUsageLeaves(request, timeout=_DEADLINE_SECONDS)


async def keeping(channel: grpc.aio.Channel, book: UsageBook, keep: Callable[[], _Kept]) -> _Kept:
    """Return what ``keep`` returns, which keeps a receipt in ``book``; where that is signed by a key
    that the book does not know, once more when it has learnt which keys follow.

    Raises ProofInvalid.
    """
    try:
        return await asyncio.to_thread(keep)
    except UnknownKey:
        try:
            learnt = await Usage(channel).learn(book)
        except grpc.RpcError:
            learnt = False
        if not learnt:
            raise
        return await asyncio.to_thread(keep)


async def keeping_refused(
    channel: grpc.aio.Channel, book: UsageBook, error: grpc.RpcError, request_id: str
) -> UsageLeaf | None:
    """Keep the receipt that the refusal of the request ``request_id`` has of what it was charged when
    it was answered first; return its use, None where the refusal has none. Raises ProofInvalid."""
    receipt = charged(explain(error))
    if receipt is None:
        return None
    return await keeping(channel, book, partial(book.keep_charged, receipt, request_id))
