"""A gateway whose time stands, and the clients that act on it in a history of any kind."""

import asyncio
import os
import secrets
from collections.abc import (
    AsyncGenerator,
    AsyncIterator,
    Collection,
    Sequence,
)
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import grpc
import yaml
from google.protobuf.timestamp_pb2 import Timestamp

from creditgate.transparency.note import VerifierKey
from creditgate.transparency.verify import VerifiedAnswer, verify_answer
from creditgate.v1 import conformance_service_pb2 as pb
from creditgate.v1 import credit_record_service_pb2 as records_pb
from creditgate.v1 import disclosure_service_pb2 as disclosure_pb
from creditgate.v1.conformance_service_pb2_grpc import ConformanceServiceStub
from creditgate.v1.disclosure_proof_pb2 import ProofKind
from creditgate.v1.disclosure_service_pb2_grpc import DisclosureServiceStub
from creditgate.v1.operator_service_pb2 import ClientRole
from gateway.authority.view import AuthorityView
from gateway.conformance.policy_file import SHIPPED
from gateway.disclose.store import DisclosureStore
from gateway.oauth.signing import SigningKeys
from operators.roles import scopes_of_role
from sdk.conformance import Conformance
from sdk.connection import connect
from sdk.copies.file import CopiesFile
from sdk.disclosures import SERVED, Disclosures
from sdk.refusals import explain
from tests.clock import StandingClock
from tests.conformance.plain_history import HOURS_TO_REMOVE, Held
from tests.conformance.policies import policy_file
from tests.installation import (
    PUBLIC_ITEM,
    PUBLISHER,
    PURPOSE,
    Gateway,
    Installation,
    eventually,
)
from tests.patience import patiently
from tests.transparency.monitor import files_of

_LONG: Final = "P366D"
_RECORDS: Final = "/creditgate.v1.CreditRecordService/"
_LIFE_OF_TOKENS: Final = 10 * 365 * 86_400
_names = count(1)


def policy_in(folder: Path) -> Path:
    """Write a policy whose removals take hours and everything else a year; return its file."""
    grades = {"NONE": "PT40H", "MINOR": "PT40H", "GENERAL": "PT40H", "SERIOUS": "PT10H"}
    assert sorted(HOURS_TO_REMOVE.values()) == [10, 40]
    sampling = yaml.safe_load(SHIPPED.read_text(encoding="utf-8"))["sampling"]
    return policy_file(
        folder,
        removal=grades,
        rectify=dict.fromkeys(grades, _LONG),
        warned=_LONG,
        throttled=_LONG,
        attestation=_LONG,
        false_attestation=_LONG,
        sampling=sampling | {"answer": _LONG, "unshown": _LONG},
    )


@dataclass(frozen=True)
class MintedToken:
    """A token signed by the gateway's own key: its time runs ahead of the clients'."""

    text: str

    async def token(self) -> str:
        """Return the token."""
        return self.text

    async def keep_fresh(self, renewed: object) -> None:
        """Never renew it."""
        await asyncio.Event().wait()

    async def close(self) -> None:
        """Do nothing: there is nothing to give back."""


@dataclass
class Operator:
    """An operator's client, and the events it is told of all the while."""

    operator_id: str
    channel: grpc.aio.Channel
    told: list[pb.WatchDisclosuresResponse] = field(
        default_factory=list[pb.WatchDisclosuresResponse]
    )

    @property
    def conformance(self) -> Any:
        """The methods of conformance."""
        return ConformanceServiceStub(self.channel)

    async def is_known(self) -> bool:
        """Tell whether the gateway has heard of it."""
        try:
            await self.findings()
        except grpc.aio.AioRpcError as error:
            if explain(error).reason not in ("CLIENT_NOT_ACTIVE", "SCOPE_NOT_GRANTED"):
                raise
            return False
        return True

    async def watch(self, after: int) -> None:
        """Note what is told, until cancelled."""
        async with aclosing(Disclosures(self.channel, pause_seconds=0.1).follow(after)) as told:
            async for response in told:
                self.told.append(response)

    async def told_after(self, position: int, number: int) -> list[pb.WatchDisclosuresResponse]:
        """Return the first events that a new stream tells from a position on."""
        return await patiently(lambda: self._told_after(position, number))

    async def _told_after(self, position: int, number: int) -> list[pb.WatchDisclosuresResponse]:
        request = pb.WatchDisclosuresRequest(coverage=SERVED, after_sequence=position)
        call = self.conformance.WatchDisclosures(request)
        found: list[pb.WatchDisclosuresResponse] = []
        try:
            async with asyncio.timeout(10):
                while len(found) < number:
                    found.append(await anext(aiter(call)))
        finally:
            call.cancel()
        return found

    async def ask(
        self, subject: str, key: VerifierKey, proof: ProofKind.ValueType
    ) -> records_pb.GetSubjectRecordsResponse:
        """Ask for a subject's records; verify what they are proved by."""
        request = records_pb.GetSubjectRecordsRequest(
            subject=subject,
            items=[PUBLIC_ITEM],
            purpose=PURPOSE,
            request_id=str(uuid4()),
            proof=proof,
        ).SerializeToString()
        call: Any = self.channel.unary_unary(_RECORDS + "GetSubjectRecords")
        answer: bytes = await patiently(lambda: call(request, timeout=10))
        if proof:
            verified: VerifiedAnswer = verify_answer(request, answer, key)
            assert verified.kind == proof
        return records_pb.GetSubjectRecordsResponse.FromString(answer)

    async def attest(self, copies: Collection[Held], reflects: int) -> pb.Attestation:
        """Show the digests of all copies."""

        request_id = str(uuid4())

        async def parts() -> AsyncIterator[pb.AttestCopiesRequest]:
            opening = pb.AttestationOpening(
                request_id=request_id,
                disclosure_sequence=reflects,
                copies=len(copies),
                format_version=1,
            )
            yield pb.AttestCopiesRequest(opening=opening)
            shown = [
                pb.CopyDigest(
                    record=f"records/{each.record_id}",
                    content_digest=each.digest,
                    disclosed_from=Timestamp(seconds=each.disclosed_from),
                    disclosed_until=Timestamp(seconds=each.disclosed_until),
                )
                for each in copies
            ]
            if shown:
                yield pb.AttestCopiesRequest(copies=pb.CopyDigests(copies=shown))

        answer = await patiently(lambda: self.conformance.AttestCopies(parts(), timeout=10))
        return answer.attestation

    async def reconcile(
        self, copies: Collection[Held], reflects: int, folder: Path, now: int
    ) -> pb.Attestation:
        """Say the same by symbols, from a file that was written at ``now`` (seconds, UTC)."""
        file = folder / f"{self.operator_id}.csv"
        lines = [
            f"{each.record_id},{each.digest.hex()},{each.disclosed_from},{each.disclosed_until}"
            for each in copies
        ]
        header = "record_id,content_digest,disclosed_from,disclosed_until"
        file.write_text("\n".join((header, *lines, "")), encoding="utf-8")
        os.utime(file, (now, now))
        request_id = str(uuid4())
        own = Conformance(self.channel)
        done = await patiently(
            lambda: own.reconcile(CopiesFile(file), reflects, request_id=request_id)
        )
        assert done.attestation is not None
        return done.attestation

    async def findings(self) -> Sequence[pb.Finding]:
        """Return the findings that stand against it."""
        request = pb.ListFindingsRequest(state=pb.FINDING_STATE_OPEN, page_size=1_000)
        return (await patiently(lambda: self.conformance.ListFindings(request))).findings


@dataclass
class Stage:
    """A running gateway, its publisher, and a folder for files of copies."""

    gateway: Gateway
    clock: StandingClock
    publisher: grpc.aio.Channel
    key: VerifierKey
    folder: Path

    @property
    def disclosure(self) -> Any:
        """The methods of the disclosure, as the publisher calls them."""
        return DisclosureServiceStub(self.publisher)

    async def publish(self, draft: disclosure_pb.RecordDraft) -> int:
        """Publish a record; return the newest position."""

        batch_id = str(uuid4())

        async def batches() -> AsyncIterator[disclosure_pb.PublishRecordsRequest]:
            yield disclosure_pb.PublishRecordsRequest(batch_id=batch_id, records=[draft])

        answer = await patiently(lambda: self.disclosure.PublishRecords(batches()))
        assert answer.published_records + answer.unchanged_records == 1, answer
        return answer.disclosure_sequence

    @asynccontextmanager
    async def operators(self, number: int) -> AsyncGenerator[list[Operator]]:
        """Give operators that nobody knew before, each told of events while they last."""
        names = [f"firm-{next(_names)}" for _ in range(number)]
        await asyncio.to_thread(self._license, names)
        async with AsyncExitStack() as stack:
            found = [
                Operator(name, await stack.enter_async_context(await self.channel(f"{name}-one")))
                for name in names
            ]
            for each in found:
                await eventually(each.is_known)
            after = await self.head()
            watches = [asyncio.create_task(each.watch(after)) for each in found]
            try:
                yield found
            finally:
                for watch in watches:
                    watch.cancel()
                await asyncio.gather(*watches, return_exceptions=True)

    def _license(self, names: Sequence[str]) -> None:
        installation = self.gateway.installation
        for name in names:
            installation.license(name, f"L-{name}")
            installation.enrol(f"{name}-one", ClientRole.CLIENT_ROLE_OPERATOR, name)

    async def head(self) -> int:
        """Return the newest position."""
        store = DisclosureStore(self.gateway.installation.engines.records)
        return await asyncio.to_thread(store.head)

    async def channel(self, client_id: str) -> grpc.aio.Channel:
        """Return a channel whose token stands for ever."""
        token = _minted(self.gateway, client_id, self.clock.now())
        return await connect(self.gateway.credentials(client_id), tokens=MintedToken(token))


@asynccontextmanager
async def staged(installation: Installation, folder: Path) -> AsyncGenerator[Stage]:
    """Run a furnished installation whose clock stands."""
    clock = installation.clock
    assert isinstance(clock, StandingClock)
    async with AsyncExitStack() as stack:
        gateway = await stack.enter_async_context(installation.running(authority_poll_ms=20))
        files = await stack.enter_async_context(files_of(gateway))
        token = MintedToken(_minted(gateway, PUBLISHER, clock.now()))
        publisher = await stack.enter_async_context(
            await connect(gateway.credentials(PUBLISHER), tokens=token)
        )
        key = VerifierKey.parse((await files.get("key")).text)
        yield Stage(gateway, clock, publisher, key, folder)


def _minted(gateway: Gateway, client_id: str, now: int) -> str:
    installation = gateway.installation
    view = AuthorityView().advanced(installation.log.since(0))
    client = view.authority.clients[client_id]
    claims = {
        "iss": gateway.running.issuer,
        "sub": client_id,
        "aud": installation.config.audience,
        "client_id": client_id,
        "scope": " ".join(sorted(scopes_of_role(client.role))),
        "iat": now,
        "exp": now + _LIFE_OF_TOKENS,
        "jti": secrets.token_urlsafe(16),
        "cnf": {"x5t#S256": next(iter(client.certificate_thumbprints))},
        "client_key": next(iter(client.certificate_thumbprints)),
    }
    return SigningKeys(installation.home.keys).sign(view.signing_keys, claims, "at+jwt", now)
