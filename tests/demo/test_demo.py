"""The demo runs the main job from nothing, checks each step, and ends by itself."""

import asyncio
import fcntl
import json
import re
import shutil
import signal
import socket
import subprocess
from contextlib import suppress
from pathlib import Path

import pytest
from rich.cells import cell_len

from gateway.cli.output import yuan
from gateway.demo.account import Account, Section
from gateway.demo.cast import invented_code
from gateway.demo.gateway_process import GatewayDidNotStart, gateway_process
from gateway.demo.run import unless_cancelled
from gateway.demo.seed import SAMPLE
from gateway.installation.home import Home
from tests.cli.commands import PROGRAM, SECONDS, creditgate, creditgate_here, environment

REFUSALS = {
    "NO_LICENCE",
    "ITEM_NOT_ALLOWED",
    "PURPOSE_NOT_ALLOWED",
    "CONSENT_REQUIRED",
    "CONSENT_NOT_GRANTED",
    "CONSENT_EXCEEDED",
    "CONSENT_EXHAUSTED",
    "CONSENT_REVOKED",
    "TOKEN_REVOKED",
    "SCOPE_NOT_GRANTED",
    "RECORD_NOT_DISCLOSED",
    "TOKEN_MISSING",
    "TOKEN_INVALID",
    "TOKEN_NOT_YOURS",
    "OPERATOR_SUSPENDED",
    "REQUEST_ID_REUSED",
    "STATE_CONFLICT",
    "STEP_UP_REQUIRED",
    "EMERGENCY_BRAKE",
    "INVALID_REQUEST",
}
SUSPENDED = "A suspension acts within a second, on tokens already given"
CONSENTED = "A company consents on its own page, to a part, for a purpose (授权)"
PAUSED = "A suspension pauses an operator's consents, and each company is told"
TOLD = "A correction and a repair reach who holds copies"
HELD = "What is held too long is found, at a cost that grows with the differences"
PROVED = "An answer proves that it is all there is"
REPORTED = "A credit report is verified anywhere, and says when it is overtaken"
DEPUTISED = "A representative appoints a deputy, and is told what it did (委托代办)"
ENDED = "An operator that is revoked loses every consent, and each company is told"
CHECKED = "Both logs are what was disclosed and decided, to the last byte"
BRAKED = "The emergency brake stops all record answers within a second (刹车)"
COUNTED = "Each use is promised by a signed receipt, and logged where both sides can prove it"
DISPUTED = "An overcharge is proved by the gateway's own signatures, and given back"
TRIED = "A price plan is tried on past use before it is in force (试算)"
LOOKED = "Firms and administrators look at it in a browser"
CLOSED = "The month is over, by a clock set forward: it is closed for good (结算)"
TAKEN_BACK = "A company takes its consent back, and is told what became of the copies"


def test_the_demo_shows_every_step_as_expected(tmp_path: Path) -> None:
    home = tmp_path / "home"
    done = creditgate(home, "demo", "--json")
    assert done.status == 0, done.out + done.told
    account = done.json
    assert account["ok"]
    assert [step for step in account["steps"] if not step["ok"]] == []
    assert {step["observed"] for step in account["steps"]} >= REFUSALS
    told: dict[str, list[tuple[str, str]]] = {}
    for step in account["steps"]:
        told.setdefault(step["section"], []).append((step["who"], step["observed"]))
    suspension = [what for _, what in told[SUSPENDED]]
    # Served means that something was: an answer without records would show nothing.
    assert suspension == [
        f"1 record for {yuan(20_000)} yuan",
        "OPERATOR_SUSPENDED",
        f"1 record for {yuan(20_000)} yuan",
    ]
    assert told[TOLD] == [
        ("alpha", "corrected, repaired: replaced or gone within 48 hours"),
        ("alpha", "1 acknowledged, 1 owed"),
    ]
    (found, entailed, mended, certified, shown) = [what for _, what in told[HELD]]
    assert found.startswith("repaired-held: records/demo-")
    assert entailed == "stage rectify, no certificate"
    assert (mended, certified) == ("1 rectified, 0 standing", "stage none, certified")
    assert re.fullmatch(r"([1-9]\d*) of \1 as they should be", shown)
    assert told[PROVED] == [
        ("alpha", "2 records, which are all of 3 items"),
        ("alpha's auditor", "the answer's signature is not of the gateway's key"),
        ("alpha", "1 record, which are all of 3 items: no penalty"),
        ("anybody", "it only grew"),
    ]
    assert [what for _, what in told[REPORTED]] == [
        "2 records charged",
        "registration.enterprise: 1, penalty.administrative: 1, list.serious-dishonesty: none,"
        " which is proved",
        "It was altered, or signed by another key.",
        "current",
        "superseded",
    ]
    assert [what for _, what in told[CHECKED]] == ["nothing differs"] * 2
    assert [what for _, what in told[BRAKED]] == ["EMERGENCY_BRAKE"] * 2 + ["served"] * 2
    (kept, dearer, compared, *agreed) = [what for _, what in told[COUNTED]]
    assert kept == "each signed for what was received, no place missing"
    assert dearer == "the answer tells of another charge than its receipt"
    assert re.fullmatch(r"1\d receipts, as many uses, nothing differs", compared)
    assert agreed == [
        f"{compared.split()[0]} uses agreed",
        "use 0, agreed by alpha-client",
        "it does not hold",
    ]
    # All that was paid for the first answer, but a micro-yuan for each of its two records.
    too_much = f"{yuan(153_331)} yuan"
    assert [what for _, what in told[DISPUTED]] == [
        f"{yuan(0)} yuan too much",
        f"{yuan(1_000_000_000)} yuan too much",
        f"proved: {too_much} too much",
        "it does not hold",
        too_much,
        "STATE_CONFLICT",
        f"{too_much} less",
        "they balance",
    ]
    assert told[TRIED][0][1].startswith("no more than the cap instead of ")
    assert [who for who, _ in told[LOOKED]] == ["he-lan", "sun-yue"]
    (closed, again, worked_out, balanced) = [what for _, what in told[CLOSED]][-4:]
    assert re.fullmatch(r"\S+ yuan of fees, \S+ due", closed)
    assert (again, worked_out) == ("the same bytes", "the same bytes")
    # Two statements and a credit note.
    assert balanced == "3 entries balance"
    assert told[CONSENTED] == [
        ("alpha", "requested"),
        ("alpha", "CONSENT_NOT_GRANTED"),
        ("li-ming", "granted"),
        ("alpha", "grade, method alone, for 0.500001 yuan"),
        ("alpha", "signed by the gateway, of this consent"),
        ("alpha", "CONSENT_EXCEEDED"),
        ("li-ming", "1 use"),
    ]
    assert told[PAUSED] == [("li-ming", "paused"), ("li-ming", "granted"), ("alpha", "served")]
    assert told[TAKEN_BACK] == [
        ("li-ming", "revoked"),
        ("alpha", "CONSENT_REVOKED"),
        ("alpha", "paused, granted, revoked: delete copies within a day"),
        ("alpha", "1 acknowledged, in time"),
        ("administrator", "5 changes, 2 uses, 1 removal"),
    ]
    assert told[DEPUTISED] == [
        ("li-ming", "a link"),
        ("liu-yang", "granted"),
        ("li-ming", "told"),
    ]
    assert told[ENDED] == [("li-ming", "revoked"), ("li-ming", "told")]
    reviewed = next(steps for title, steps in told.items() if title.startswith("People sign in"))
    assert reviewed[3:] == [
        ("zhang-li", "STEP_UP_REQUIRED"),
        ("zhang-li", "a proposal, pending"),
        ("beta", "ITEM_NOT_ALLOWED"),
        ("zhang-li", "STATE_CONFLICT"),
        ("wang-jun", "approved"),
        ("beta", f"1 record for {yuan(20_000)} yuan"),
        ("beta", "ITEM_NOT_ALLOWED"),
        ("zhou-an, wu-ping", "open"),
    ]
    load = account["load"]
    assert (load["rows"], load["published"], load["rejected"]) == (40, 29, 11)
    assert load["rejects"] == {"START_MISSING": 8, "END_NOT_A_DATE": 3}
    assert {statement["operator_id"] for statement in account["statements"]} == {
        "alpha-credit",
        "beta-check",
    }
    for statement in account["statements"]:
        shared = sum(int(share["amount_micro_yuan"]) for share in statement["shares"])
        assert shared == int(statement["total_micro_yuan"]) > 0
    assert not answers(
        json.loads((home / "demo" / "clients" / "alpha-client" / "profile.json").read_bytes())[
            "grpc"
        ]
    )


@pytest.fixture
def real_columns(tmp_path: Path) -> Path:
    """A folder of the sample and of a list with the columns of the real one."""
    data = tmp_path / "data"
    shutil.copytree(SAMPLE, data / "debarment")
    (data / "enterprises").mkdir()
    header = (
        "name,uscc,registered_on,enterprise_type,registered_capital,province,city,business_scope"
    )
    rows = [
        f"示例（虚构）{n},{invented_code(n)},2001-02-03,N/A,N/A,北京,N/A,N/A" for n in range(50, 55)
    ]
    bad = "示例（虚构）,91000000DEM0000509,2001-02-03,N/A,N/A,北京,N/A,N/A"
    (data / "enterprises" / "beijing.csv").write_text(
        "\n".join((header, *rows, bad)) + "\n", encoding="utf-8"
    )
    return data


@pytest.mark.soak
def test_the_demo_loads_a_folder_of_real_columns_and_tells_it_plainly(
    tmp_path: Path, real_columns: Path
) -> None:
    home = tmp_path / "home"
    left = home / "demo" / "left-over"
    left.parent.mkdir(parents=True)
    left.write_text("an earlier run", encoding="utf-8")
    done = creditgate(home, "demo", "--data", real_columns)
    assert done.status == 0, done.out + done.told
    assert "\x1b" not in done.out
    assert "46 rows accounted for" in done.out
    assert "rejected, USCC_CHECK_CHARACTER" in done.out
    assert "all as expected" in done.out
    assert "FAILED" not in done.out
    # Names are whole, to be used again; no line is wider than where it is read.
    assert re.search(r"records/debarment-[0-9a-f]{64}\s", done.out)
    assert all(cell_len(line) <= 120 for line in done.out.splitlines()[:-1])
    folder = home / "demo"
    assert f"in {folder}, the rejected rows in {folder / 'rejects.csv'}." in done.out
    assert f"{yuan(0)} yuan, a retry" in done.out
    assert not left.exists()


def test_two_demos_do_not_share_a_folder(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    with (home / "demo.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = creditgate_here(home, "demo")
    assert done.status == 1
    assert "Another demo is running" in done.told


def test_a_demo_that_cannot_write_says_where(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.write_text("a file, not a folder", encoding="utf-8")
    done = creditgate_here(home, "demo")
    assert done.status == 1
    assert str(home) in done.told


async def test_a_demo_whose_cancellation_was_lost_ends_with_its_section() -> None:
    sections: list[Section] = []
    account = Account(unless_cancelled(sections.append))
    waiting = asyncio.Event()

    async def demo() -> None:
        with suppress(asyncio.CancelledError):
            waiting.set()
            await asyncio.Event().wait()
        account.tell(Section("the last", ()))
        account.tell(Section("one too many", ()))

    task = asyncio.create_task(demo())
    await waiting.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert [section.title for section in sections] == ["the last"]


def test_ctrl_c_stops_a_demo_and_its_gateway(tmp_path: Path) -> None:
    home = tmp_path / "home"
    process = subprocess.Popen(
        [*PROGRAM, "demo"],
        env=environment(home),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # Who runs the tests in the background has them ignore it, and what they start.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509  # one call
    )
    assert process.stdout is not None
    line = process.stdout.readline()
    address = line.split()[3].rstrip(",")
    assert answers(address), line
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=SECONDS)
    assert (process.returncode, told) == (130, "")
    assert "\x1b" not in line
    assert not answers(address)


def answers(address: str) -> bool:
    """Tell whether anybody listens at host:port."""
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host, int(port)), timeout=2).close()
    except OSError:
        return False
    return True


async def test_the_demos_gateway_runs_nothing_that_lies_in_the_working_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "grpc.py").write_text("raise SystemExit('run')", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    async with gateway_process(Home.at(tmp_path / "home")) as running:
        assert running.grpc


async def test_a_gateway_that_is_slow_to_start_is_told_of_as_slow(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.demo.gateway_process._READY_SECONDS", 0.01)
    with pytest.raises(GatewayDidNotStart, match="did not answer within"):
        async with gateway_process(Home.at(tmp_path / "home")):
            pass
