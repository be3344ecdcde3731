"""Keys of logs are changed while no gateway runs, and a gateway whose keys are over signs nothing."""

import asyncio
from collections.abc import Awaitable, Mapping
from pathlib import Path
from typing import Any
from uuid import uuid4

import grpc
import httpx
import pytest
from grpc_health.v1 import health_pb2
from grpc_health.v1.health_pb2_grpc import HealthStub
from pydantic import SecretStr
from sqlalchemy import select, text
from sqlalchemy.exc import OperationalError

from creditgate.transparency.linked import LinkedKeys
from creditgate.v1 import credit_record_service_pb2_grpc as records_grpc
from creditgate.v1.credit_record_service_pb2 import GetSubjectRecordsRequest
from creditgate.v1.disclosure_proof_pb2 import ProofKind
from creditgate.v1.statement_document_pb2 import GetStatementDocumentRequest, StatementForm
from creditgate.v1.usage_service_pb2_grpc import UsageServiceStub
from gateway.clock import SystemClock
from gateway.server import grounds
from gateway.server.log_keys import LogKeys
from gateway.settle.month import month_of
from gateway.storage.at_work import KeysChanging, StillAtWork, alone
from gateway.storage.engines import reading
from gateway.transparency.beginning import DISCLOSURE_TABLES
from gateway.transparency.identity import known_key
from gateway.transparency.keys import new_key
from gateway.transparency.last_signed import LastSigned
from gateway.transparency.succeeding import succeed
from gateway.transparency.tables import CHECKPOINTS, LOGS, LogId
from gateway.usage.agreed import LINKED_USAGE_TABLES
from sdk.refusals import explain
from tests.cli.commands import Done, creditgate_here
from tests.examples import rarely_on_postgresql
from tests.installation import PUBLISHER, Installation, company, eventually
from tests.server.calls import PURPOSE, draft, publish, query
from tests.server.supervising import lives, supervised
from tests.server.test_keeper import beside_no_keeper

_FIRST = "stop the gateway first"


def _command(installation: Installation, *words: str) -> Done:
    return creditgate_here(installation.folder, *words, DATABASE=installation.database)


def _heads(installation: Installation) -> Mapping[int, Any]:
    """Return the origin and key of each log, and what is signed of it."""
    columns = (LOGS.c.log, LOGS.c.origin, LOGS.c.public_key)
    with reading(installation.engines.evidence) as connection:
        return {
            row.log: (
                *row[1:],
                set(
                    connection.execute(select(CHECKPOINTS.c.note).filter_by(log=row.log)).scalars()
                ),
            )
            for row in connection.execute(select(*columns))
        }


async def _refused(installation: Installation) -> None:
    """Check that no command changes a key, and that each says what to do."""
    note = installation.folder / "checkpoint"
    note.write_text((await asyncio.to_thread(_command, installation, "log", "checkpoint")).out)
    installation.home.log_key("witness").write_bytes(new_key())
    before = _heads(installation)
    kept = {file: file.read_bytes() for file in installation.home.keys.iterdir()}
    for words in (
        *(("log", "rotate", "--at-once", "--log", log.path) for log in LogId),
        ("log", "rotate", "--stolen"),
        ("log", "begin"),
        ("witness", "begin"),
        ("log", "resume", "--checkpoint", str(note)),
    ):
        done = await asyncio.to_thread(_command, installation, *words)
        assert done.status == 1 and not done.out and _FIRST in done.told, words
        done = await asyncio.to_thread(_command, installation, *words, "--json")
        assert done.status == 1 and _FIRST in done.json["error"]["message"], words
    for log, (*key, signed) in _heads(installation).items():
        assert [*before[log][:2]] == key and before[log][2] <= signed
    assert {file: file.read_bytes() for file in kept if file.suffix == ".pem"} == {
        file: text for file, text in kept.items() if file.suffix == ".pem"
    }


@rarely_on_postgresql
async def test_no_key_is_changed_beside_a_gateway_and_each_once_it_is_stopped(
    installation: Installation,
) -> None:
    async with (
        supervised(installation) as served,
        served.gateway.channel(PUBLISHER) as publisher,
    ):
        await publish(publisher, [draft("r-1", company(1))])
        await _refused(installation)
        keeper = served.present_keeper()
        keeper.kill()
        await _refused(installation)
        served.terminate()
        assert await asyncio.wait_for(served.process.ended_in_order(), 20)
        assert not lives(keeper)
    for log in LogId:
        words = ("log", "rotate", "--at-once", "--log", log.path)
        done = await asyncio.to_thread(_command, installation, *words)
        assert done.status == 0, done.told


async def test_no_key_is_changed_beside_a_process_that_serves_without_a_keeper(
    installation: Installation,
) -> None:
    async with beside_no_keeper(installation):
        with pytest.raises(StillAtWork), alone(installation.engines.evidence):
            pass
    evidence = installation.engines.evidence
    # Nor beside another command.
    with alone(evidence), pytest.raises(StillAtWork), alone(evidence):
        pass


async def test_a_start_waits_for_who_changes_a_key_and_says_so_where_that_takes_long(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def started() -> None:
        async with installation.running():
            pass

    with alone(installation.engines.evidence):
        starting = asyncio.create_task(started())
        await asyncio.sleep(1)
        assert not starting.done()
    await asyncio.wait_for(starting, 20)
    monkeypatch.setattr(grounds, "PATIENT_SECONDS", 0.5)
    with (
        alone(installation.engines.evidence),
        pytest.raises(KeysChanging, match="start the gateway once that has ended"),
    ):
        await started()
    await started()


async def test_a_start_without_its_store_says_what_the_store_says(
    postgres_stores: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(grounds, "PATIENT_SECONDS", 0.5)
    with postgres_stores.database() as store:
        installation = Installation(*store)
        away = SecretStr("postgresql://127.0.0.1:1/none")
        with pytest.raises(OperationalError):
            async with installation.running(database=away, home=tmp_path):
                pass
        installation.close()


async def test_who_lost_the_session_is_at_work_again(
    postgres_stores: Any,
) -> None:
    with postgres_stores.database() as store:
        installation = Installation(*store)
        installation.furnish()

        async def still_at_work() -> bool:
            try:
                with alone(installation.engines.evidence):
                    return False
            except StillAtWork:
                return True

        async with installation.running():
            assert await still_at_work()
            with installation.engines.authority.connect() as connection:
                connection.execute(
                    text(
                        "SELECT pg_terminate_backend(pid) FROM pg_locks"
                        " WHERE locktype = 'advisory' AND mode = 'ShareLock'"
                    )
                )
            await eventually(still_at_work, 10)
        assert not await still_at_work()
        installation.close()


async def _proved(operator: grpc.aio.Channel) -> None:
    """Ask for a company's records with a proof, which the key of the disclosure log signs."""
    await records_grpc.CreditRecordServiceStub(operator).GetSubjectRecords(
        GetSubjectRecordsRequest(
            subject=company(1),
            purpose=PURPOSE,
            request_id=str(uuid4()),
            proof=ProofKind.PROOF_KIND_COMPLETE,
        ),
        timeout=10,
    )


async def _statement(operator: grpc.aio.Channel, form: StatementForm.ValueType) -> None:
    """Ask for the present month's statement, which the key of usage logs signs in one form."""
    month = month_of(SystemClock().now()).name
    request = GetStatementDocumentRequest(month=month, form=form)
    assert [part async for part in UsageServiceStub(operator).GetStatementDocument(request)]


async def _is_unavailable(call: Awaitable[object]) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await call
    assert explain(refused.value).reason == "TEMPORARILY_UNAVAILABLE"


@rarely_on_postgresql
@pytest.mark.parametrize("log", [LogId.DISCLOSURE, LogId.USAGE])
async def test_a_gateway_whose_key_was_changed_all_the_same_signs_nothing_more(
    installation: Installation, log: LogId, caplog: pytest.LogCaptureFixture
) -> None:
    file, evidence = installation.home.log_key(log.path), installation.engines.evidence
    tables = DISCLOSURE_TABLES if log is LogId.DISCLOSURE else LINKED_USAGE_TABLES

    def present() -> Any:
        with reading(evidence) as connection:
            return known_key(connection, log)

    async with (
        installation.running() as gateway,
        gateway.channel(PUBLISHER) as publisher,
        gateway.channel() as operator,
        httpx.AsyncClient(verify=False) as http,
    ):
        health: Any = HealthStub(operator)

        async def is_over() -> bool:
            told = await health.Check(health_pb2.HealthCheckRequest())
            answer = await http.get(f"{gateway.running.issuer}/healthz")
            not_serving = told.status == health_pb2.HealthCheckResponse.NOT_SERVING
            return not_serving and answer.status_code == 503

        await publish(publisher, [draft("r-1", company(1))])
        await query(operator, company(1))
        await _proved(operator)
        await _statement(operator, StatementForm.STATEMENT_FORM_SIGNED_JSON)
        former = present()
        assert not await is_over()
        # As a command would that did not ask who is at work.
        await asyncio.to_thread(succeed, evidence, log, file, tables)
        await eventually(is_over, 10)
        # Of what is proved already, so that nothing but the signature is wanting.
        await _is_unavailable(_proved(operator))
        await publish(publisher, [draft("r-2", company(1))])
        if log is LogId.USAGE:
            await _is_unavailable(query(operator, company(1)))
            signed = _statement(operator, StatementForm.STATEMENT_FORM_SIGNED_JSON)
            await _is_unavailable(signed)
            await _statement(operator, StatementForm.STATEMENT_FORM_CSV)
        else:
            await query(operator, company(1))
        await asyncio.sleep(1)
        assert present() is None
        kept = LastSigned.read(file)
        assert kept is not None and kept.unused
    assert f"the store's log of {log.path} goes by another key than this process" in caplog.text
    async with (
        installation.running() as gateway,
        gateway.channel() as operator,
    ):
        await query(operator, company(1))
        links = LogKeys(installation.home, installation.engines, "").links(log)
        assert links.keys == LinkedKeys((former, present()))
