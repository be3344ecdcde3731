"""Split views: two histories signed by one key are told apart by anyone, with the evidence."""

import json
import socket
import threading
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
import uvicorn
from starlette.applications import Starlette

from creditgate.transparency.merkle import ProofInvalid
from creditgate.transparency.note import Checkpoint, checkpoint_body, signed
from gateway.shares import Shares
from gateway.transparency.log import LogReader
from gateway.transparency.routes import log_routes
from gateway.transparency.tables import LogId
from sdk.answers import KeptAnswer
from sdk.histories import HistoryUnknown, PublishedLog, SplitView, compared, kept_checkpoint
from tests.cli.commands import Done, creditgate_here
from tests.stores import SqliteStores, engines_of
from tests.transparency.keys import key_of
from tests.transparency.mapped import LICENCE, PENALTY, SUBJECTS, Mapped
from tests.transparency.scenario import HONEST, disclosure

KEY = key_of().verifier
VKEY = str(KEY)


@contextmanager
def served(log: LogReader) -> Generator[str]:
    """Serve a log's files; give their URL."""
    listening = socket.create_server(("127.0.0.1", 0))
    app = Starlette(routes=log_routes(log, Shares("log", 100), entries=True))
    server = uvicorn.Server(uvicorn.Config(app, log_level="error", lifespan="off"))
    thread = threading.Thread(target=server.run, args=([listening],))
    thread.start()
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/log/{LogId.DISCLOSURE.path}"
    finally:
        server.should_exit = True
        thread.join()
        listening.close()


def grown(mapped: Mapped, item: str, events: int) -> list[str]:
    """Disclose records one after the other; return the checkpoint signed after each."""
    notes: list[str] = []
    for number in range(events):
        mapped.publish(SUBJECTS[number % 2], item)
        mapped.follow()
        latest = mapped.log.latest()
        assert latest is not None
        notes.append(latest.note)
    return notes


class Histories:
    """Two real logs of one key: alike at first, then with another event each."""

    def __init__(self, first: Mapped, second: Mapped) -> None:
        alike, self.first = grown(first, PENALTY, 3), first
        assert grown(second, PENALTY, 3) == alike
        self.alike = alike
        self.told = grown(first, PENALTY, 5)
        self.hidden = grown(second, LICENCE, 7)


@pytest.fixture(scope="module")
def histories(sqlite_stores: SqliteStores) -> Generator[Histories]:
    """Both, and the first still to be asked."""
    with ExitStack() as stack:
        opened = [
            stack.enter_context(engines_of(*stack.enter_context(sqlite_stores.database())))
            for _ in range(2)
        ]
        yield Histories(*map(Mapped, opened))


@pytest.fixture(scope="module")
def url(histories: Histories) -> Generator[str]:
    """Where the first history is served."""
    with served(histories.first.log) as address:
        yield address


def compare(folder: Path, *arguments: str | Path) -> Done:
    """Run ``creditgate log compare`` where there is no profile."""
    return creditgate_here(folder / "no-home", "log", "compare", *arguments, "--key", VKEY)


def kept(folder: Path, name: str, note: str) -> Path:
    """Keep a checkpoint in a file."""
    file = folder / name
    file.write_text(note, encoding="utf-8")
    return file


def test_states_of_one_history_are_found_to_be(histories: Histories, url: str) -> None:
    log = PublishedLog(url, KEY)
    for first in (*histories.alike, *histories.told):
        for second in (*histories.alike, *histories.told):
            assert compared(first, second, KEY, log) == []
    assert compared(histories.told[0], histories.told[0], KEY) == []


def test_states_of_two_histories_are_evidence_against_the_key(
    histories: Histories, url: str
) -> None:
    log = PublishedLog(url, KEY)
    for hidden in histories.hidden[:5]:
        for told in (*histories.alike, *histories.told):
            found = compared(hidden, told, KEY, log)
            assert hidden in {each.first for each in found} | {each.second for each in found}
            for each in found:
                each.require(KEY)
                again = SplitView.of_json(json.loads(json.dumps(each.as_json())))
                assert again == each
    # Of one size they contradict each other, and nobody need be asked.
    (split,) = compared(histories.hidden[1], histories.told[1], KEY)
    assert {split.first, split.second} == {histories.hidden[1], histories.told[1]}
    assert split.proof == ()


def test_what_is_no_evidence_is_refused(histories: Histories, url: str) -> None:
    log = PublishedLog(url, KEY)
    first, latest = histories.told[0], log.checkpoint.size
    size = 2 * 4
    honest = SplitView(first, log.note, log.root(size), log.consistency(size, latest))
    with pytest.raises(ProofInvalid, match="one history"):
        honest.require(KEY)
    for forged in (
        SplitView(first, log.note, b"x" * 32, honest.proof),
        SplitView(first, log.note, honest.root, ()),
        SplitView(first.replace("A", "B"), log.note, honest.root, honest.proof),
    ):
        with pytest.raises(ProofInvalid):
            forged.require(KEY)
    with pytest.raises(ValueError, match="no evidence"):
        SplitView.of_json({"first": first})


def test_what_cannot_be_told_is_not_taken_for_one_history(histories: Histories, url: str) -> None:
    log = PublishedLog(url, KEY)
    with pytest.raises(HistoryUnknown, match="two sizes"):
        compared(histories.alike[0], histories.told[0], KEY)
    with pytest.raises(HistoryUnknown, match="set back"):
        compared(histories.alike[0], histories.hidden[-1], KEY, log)
    with pytest.raises(HistoryUnknown, match="cannot be read"):
        PublishedLog(url.replace("/log/", "/none/"), KEY)
    other = signed(checkpoint_body(Checkpoint("other.example", 1, b"r" * 32)), key_of())
    with pytest.raises(ProofInvalid):
        compared(other, histories.told[0], KEY, log)


def test_the_command_tells_by_its_exit_status_and_writes_the_evidence(
    histories: Histories, url: str, tmp_path: Path
) -> None:
    one = kept(tmp_path, "one", histories.alike[-1])
    other = kept(tmp_path, "other", histories.told[-1])
    hidden = kept(tmp_path, "hidden", histories.hidden[2])
    assert compare(tmp_path, one, other, "--log", url).status == 0
    assert compare(tmp_path, one, url).status == 0
    assert "One history" in compare(tmp_path, url, other).out

    evidence = tmp_path / "evidence.json"
    done = compare(tmp_path, hidden, one, "--log", url, "--evidence", evidence)
    assert done.status == 3
    assert "TWO HISTORIES" in done.out
    document = json.loads(evidence.read_text())
    assert document["key"] == VKEY
    (split,) = map(SplitView.of_json, document["split"])
    split.require(KEY)
    assert compare(tmp_path, hidden, url, "--json").json["split"] == document["split"]

    # What cannot be told has a status of its own.
    assert compare(tmp_path, one, other).status == 1
    assert compare(tmp_path, one, tmp_path / "none", "--log", url).status == 1
    assert compare(tmp_path, one, other, "--log", "nowhere").status == 1
    assert compare(tmp_path, url, url + "/other").status == 1


def test_the_checkpoint_of_a_kept_answer_is_compared_once_the_answer_verifies(
    tmp_path: Path,
) -> None:
    made = disclosure()
    exchange = HONEST["complete: two records of an item"](made)
    request = exchange.request.SerializeToString(deterministic=True)
    answer = KeptAnswer(request, tuple(made.signed(exchange.request, *exchange.answers)))
    file = tmp_path / "answer.bin"
    answer.write(file)
    note = kept_checkpoint(file, made.key.verifier)
    assert note == exchange.answers[-1].proof.checkpoint
    changed = bytearray(file.read_bytes())
    changed[5] ^= 1
    file.write_bytes(bytes(changed))
    with pytest.raises(ProofInvalid):
        kept_checkpoint(file, made.key.verifier)


def test_tiles_that_are_not_those_of_the_checkpoint_are_refused(histories: Histories) -> None:
    class Lying(LogReader):
        def tile(self, level: int, number: int, width: int = 256) -> bytes:
            return bytes(len(super().tile(level, number, width)))

    log = histories.first.log
    lying = Lying(histories.first.engines.evidence, LogId.DISCLOSURE, log.key)
    with served(lying) as address, pytest.raises(HistoryUnknown, match="not those"):
        PublishedLog(address, KEY)
