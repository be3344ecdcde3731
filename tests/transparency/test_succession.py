"""A log goes over to another key, and whoever pinned the former learns it from the former."""

from pathlib import Path
from typing import Any

import pytest

from creditgate.credit_report_proof import is_log_of
from creditgate.transparency.linked import LinkedKeys
from creditgate.transparency.merkle import ProofInvalid
from creditgate.transparency.note import VerifierKey, open_checkpoint
from creditgate.transparency.succession import open_succession
from creditgate.v1.credit_record_service_pb2 import GetSubjectRecordsRequest
from creditgate.v1.credit_record_service_pb2_grpc import CreditRecordServiceStub
from creditgate.v1.disclosure_proof_pb2 import ProofKind
from gateway.disclose.store import DisclosureStore
from gateway.selfcheck.check import check_stores
from gateway.storage.engines import reading
from gateway.transparency.entries import last_head
from gateway.transparency.identity import AnotherLog
from gateway.transparency.salts import Salts
from sdk.answers import KeptAnswer
from tests.cli.commands import creditgate_here
from tests.installation import PUBLIC_ITEM, PUBLISHER, PURPOSE, Installation, company, eventually
from tests.server.calls import draft, publish, query

_LOGS = ("disclosure", "decisions", "usage")


def _key(home: Path, log: str) -> str:
    return creditgate_here(home, "log", "key", "--log", log).out.strip()


async def _serve(installation: Installation, record: str) -> None:
    async with (
        installation.running() as gateway,
        gateway.channel(PUBLISHER) as publisher,
        gateway.channel() as operator,
    ):
        await publish(publisher, [draft(record, company(1))])
        await query(operator)
        # Who is stopped sooner logs the rest at the next start.
        await eventually(lambda: _is_logged(installation))


async def _is_logged(installation: Installation) -> bool:
    engines = installation.engines
    with reading(engines.evidence) as connection:
        head = last_head(connection)
    return head is not None and head.event_sequence >= DisclosureStore(engines.records).head()


async def test_each_log_goes_over_to_a_key_that_its_former_key_names(
    embedded: Installation, tmp_path: Path
) -> None:
    home = embedded.folder
    for round_ in range(2):
        await _serve(embedded, f"r-{round_}")
        pinned = {log: _key(home, log) for log in _LOGS}
        notes = {log: tmp_path / f"{log}-{round_}" for log in _LOGS}
        for log, file in notes.items():
            done = creditgate_here(home, "log", "rotate", "--log", log, "--at-once")
            assert done.status == 0, done.told
            file.write_text(done.out)
        await _serve(embedded, f"s-{round_}")
        for log, file in notes.items():
            found = creditgate_here(home, "log", "successor", file, "--key", pinned[log])
            assert found.out.strip() == _key(home, log) != pinned[log], found.told
            assert VerifierKey.parse(found.out.strip()).name.endswith(f"/log/{log}/{round_ + 2}")
    note = creditgate_here(home, "log", "checkpoint").out
    assert open_checkpoint(note, VerifierKey.parse(_key(home, "disclosure"))).size >= 4
    checked = check_stores(embedded.engines, Salts.kept_in(embedded.home.salts), 2**31)
    assert not checked.faults


async def test_a_succession_is_believed_of_the_former_key_alone_and_to_the_letter(
    embedded: Installation, tmp_path: Path
) -> None:
    home = embedded.folder
    await _serve(embedded, "r-1")
    pinned, another = (VerifierKey.parse(_key(home, log)) for log in _LOGS[:2])
    note = creditgate_here(home, "log", "rotate", "--at-once").out
    assert open_succession(note, pinned).next_key.name == f"{pinned.name}/2"
    with pytest.raises(ProofInvalid):
        open_succession(note, another)
    checkpoint = creditgate_here(home, "log", "checkpoint", "--log", "decisions").out
    with pytest.raises(ProofInvalid, match="no succession"):
        open_succession(checkpoint, another)
    # Up to the end of the former key's signature: the next key's is behind it.
    for place in range(0, len(note.rpartition("\n— ")[0]) - 90, 7):
        altered = note[:place] + ("A" if note[place] != "A" else "B") + note[place + 1 :]
        with pytest.raises(ProofInvalid):
            open_succession(altered, pinned)
    (tmp_path / "note").write_text(note)
    done = creditgate_here(home, "log", "successor", tmp_path / "note", "--key", str(another))
    assert done.status == 1
    # The former key cannot vouch for a log that has not begun again.
    assert creditgate_here(home, "log", "rotate", "--at-once").status == 1


async def test_what_the_former_key_proved_is_proved_by_the_next_and_its_note(
    embedded: Installation,
) -> None:
    subject = company(1)
    request = GetSubjectRecordsRequest(
        subject=subject,
        items=[PUBLIC_ITEM],
        purpose=PURPOSE,
        request_id="r-1",
        proof=ProofKind.PROOF_KIND_COMPLETE,
    )
    async with (
        embedded.running() as gateway,
        gateway.channel(PUBLISHER) as publisher,
        gateway.channel() as operator,
    ):
        await publish(publisher, [draft("r-1", subject)])
        stub: Any = CreditRecordServiceStub(operator)
        kept = KeptAnswer.of(request, await stub.GetSubjectRecords(request))
    former = VerifierKey.parse(_key(embedded.folder, "disclosure"))
    note = creditgate_here(embedded.folder, "log", "rotate", "--at-once").out
    await _serve(embedded, "s-1")
    present = VerifierKey.parse(_key(embedded.folder, "disclosure"))
    linked = LinkedKeys.of(present, [note])
    found = kept.verified(linked)
    assert found.checkpoint.origin == former.name
    with pytest.raises(ProofInvalid):
        kept.verified(present)


async def test_a_log_whose_salts_are_lost_is_made_anew_as_the_message_says(
    embedded: Installation,
) -> None:
    await _serve(embedded, "r-1")
    pinned = _key(embedded.folder, "disclosure")
    embedded.home.salts.unlink()
    with pytest.raises(AnotherLog, match="log rotate --log disclosure --at-once"):
        await _serve(embedded, "r-2")
    note = creditgate_here(embedded.folder, "log", "rotate", "--at-once").out
    await _serve(embedded, "r-2")
    told = open_succession(note, VerifierKey.parse(pinned)).next_key
    assert str(told) == _key(embedded.folder, "disclosure")
    checked = check_stores(embedded.engines, Salts.kept_in(embedded.home.salts), 2**31)
    assert not checked.faults


def test_a_log_is_of_its_gateway_under_each_of_its_keys() -> None:
    issuer = "https://gateway.invalid/base"
    own = "gateway.invalid/base/log/disclosure"
    assert all(is_log_of(name, issuer) for name in (own, f"{own}/2", f"{own}/14"))
    for name in (
        f"q{own[1:]}/2",
        f"{own}/1",
        f"{own}/02",
        f"{own}/2/3",
        f"{own}/x",
        f"{own}2",
        f"x{own}",
        "/2",
    ):
        assert not is_log_of(name, issuer)
