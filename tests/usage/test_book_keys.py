"""A receipt book follows the key of receipts where the key before says so, and nowhere else."""

from collections.abc import Generator
from pathlib import Path

import pytest

from creditgate.transparency.linked import LinkedKeys, UnknownKey
from creditgate.transparency.merkle import ProofInvalid
from creditgate.transparency.statement_evidence import statement_of
from creditgate.transparency.succession import announcement_note, succession_note
from creditgate.transparency.usage_evidence import CONFLICT, verify_evidence
from creditgate.v1.credit_record_service_pb2 import GetSubjectRecordsResponse
from creditgate.v1.usage_evidence_pb2 import UsageEvidence
from creditgate.v1.usage_log_pb2 import UsageReceipt
from creditgate.v1.usage_service_pb2 import Statement
from gateway.documents.extract import Extract, Wanted
from gateway.documents.signed import FormerSigner, StatementSigner
from gateway.meter.receipts import ReceiptSigner
from gateway.transparency.keys import LogKey
from sdk.usage_book import BookRefused, UsageBook
from sdk.usage_disputes import dispute
from sdk.usage_tables import ASIDE, DOUBTED, LINKS, PINS, open_file
from sdk.verifying import main
from tests.receipts import KEY
from tests.transparency.keys import key_of
from tests.usage.promises import OPERATOR, Log, answer, record, use

RECORDS = [record(3), record(5)]
SECOND, THIRD, STRANGER = (
    key_of(f"{KEY.verifier.name}/{number}") for number in ("2", "3", "elsewhere")
)
FOLLOWS = succession_note(9, bytes(32), SECOND, KEY)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Where the book is."""
    return tmp_path / "receipts.book"


@pytest.fixture
def book(file: Path) -> Generator[UsageBook]:
    """An empty book."""
    made = UsageBook.begin(file, OPERATOR, KEY.verifier)
    yield made
    made.close()


def log_by(key: LogKey, size: int) -> Log:
    """Return the log of the first uses, as a key signs it."""
    return Log(*(use(place, RECORDS) for place in range(size)), signed_by=key)


def answer_by(key: LogKey, place: int) -> GetSubjectRecordsResponse:
    """Return an answer whose receipt a key has signed."""
    leaf = use(place, RECORDS)
    (receipt,) = ReceiptSigner(key).receipts([leaf.SerializeToString(deterministic=True)])
    return answer(leaf, RECORDS, UsageReceipt.FromString(receipt))


def follow(book: UsageBook, log: Log) -> int:
    """Take the log on."""
    place = book.held().leaves
    book.take(place, log.leaves[place:])
    return book.verify(log.note)


def test_a_book_takes_on_what_the_next_key_signs_once_the_former_says_so(
    book: UsageBook, file: Path
) -> None:
    assert follow(book, log_by(KEY, 3)) == 3
    given = answer_by(SECOND, 3)
    for forged in ([], [succession_note(9, bytes(32), SECOND, STRANGER)], ["no note"]):
        assert not book.learn(forged)
        with pytest.raises(UnknownKey):
            book.keep(given)
        with pytest.raises(ProofInvalid):
            book.verify(log_by(SECOND, 3).note)
    assert book.learn([FOLLOWS]) and not book.learn([FOLLOWS])
    book.keep(given)
    # The same log: shorter it was never, and its head is the new one's.
    assert follow(book, log_by(SECOND, 3)) == 3
    assert book.checkpoint().origin.startswith(SECOND.verifier.name)
    assert follow(book, log_by(SECOND, 4)) == 4
    with pytest.raises(ProofInvalid, match="former key"):
        follow(book, log_by(KEY, 4))
    with pytest.raises(ProofInvalid, match="shorter"):
        book.verify(log_by(SECOND, 2).note)
    again = UsageBook.open(file)
    assert again.keys.chain == (KEY.verifier, SECOND.verifier)
    assert [each.kind for each in again.differences()] == [each.kind for each in book.differences()]
    again.close()


def test_what_is_announced_is_known_before_it_signs_until_another_follows(book: UsageBook) -> None:
    assert book.learn([announcement_note(SECOND.verifier, KEY)])
    book.keep(answer_by(SECOND, 0))
    other = LogKey(SECOND.verifier.name, STRANGER._private)  # pyright: ignore[reportPrivateUsage]
    assert book.learn([succession_note(9, bytes(32), other, KEY)])
    assert book.keys == LinkedKeys((KEY.verifier, other.verifier))
    with pytest.raises(UnknownKey):
        book.keep(answer_by(SECOND, 1))


def test_a_second_successor_unsays_nothing_that_is_known(book: UsageBook, file: Path) -> None:
    book.learn([FOLLOWS])
    contrary = succession_note(9, bytes(32), LogKey(SECOND.verifier.name, STRANGER._private), KEY)  # pyright: ignore[reportPrivateUsage]
    assert not book.learn([contrary])
    after = succession_note(9, bytes(32), THIRD, SECOND)
    assert book.learn([contrary, FOLLOWS, after])
    again = UsageBook.open(file)
    assert again.keys.chain == (KEY.verifier, SECOND.verifier, THIRD.verifier)
    again.close()


def test_a_key_that_its_owner_compared_follows_without_a_note(book: UsageBook, file: Path) -> None:
    follow(book, log_by(KEY, 2))
    book.pin(STRANGER.verifier)
    book.pin(STRANGER.verifier)
    assert follow(book, log_by(STRANGER, 3)) == 3
    with pytest.raises(ProofInvalid):
        book.verify(log_by(SECOND, 3).note)
    again = UsageBook.begin(file, OPERATOR, STRANGER.verifier)
    assert again.keys.chain == (KEY.verifier, STRANGER.verifier)
    again.close()
    with pytest.raises(BookRefused):
        UsageBook.begin(file, OPERATOR, SECOND.verifier)


def test_a_book_of_before_takes_on_keys_too(book: UsageBook, file: Path) -> None:
    book.close()
    engine = open_file(file)
    for table in (LINKS, PINS, ASIDE, DOUBTED):
        table.drop(engine)
    engine.dispose()
    again = UsageBook.open(file)
    assert again.learn([FOLLOWS])
    again.keep(answer_by(SECOND, 0))
    again.close()


def test_a_promise_of_the_former_key_convicts_what_the_next_one_logs(book: UsageBook) -> None:
    book.keep(answer(use(0, RECORDS[:1]), RECORDS[:1]))
    book.learn([FOLLOWS])
    follow(book, log_by(SECOND, 1))
    evidence, found = dispute(book, 0)
    assert found.kind == CONFLICT and found.convicts
    for known in (KEY, SECOND):
        with pytest.raises(ProofInvalid):
            verify_evidence(evidence, known.verifier)
        assert verify_evidence(evidence, LinkedKeys.of(known.verifier, [FOLLOWS])).convicts
    # Both states logged, the newer key's comes second however much longer the other is.
    former, later = log_by(KEY, 3), Log(use(0, RECORDS[:1]), signed_by=SECOND)
    both = [log.shown(0) for log in (former, later)]
    keys = LinkedKeys.of(KEY.verifier, [FOLLOWS])
    shown = UsageEvidence(kind=CONFLICT, leaves=both)
    assert verify_evidence(shown.SerializeToString(deterministic=True), keys).convicts
    shown = UsageEvidence(kind=CONFLICT, leaves=reversed(both))
    with pytest.raises(ProofInvalid, match="newer"):
        verify_evidence(shown.SerializeToString(deterministic=True), keys)


def test_evidence_is_verified_offline_by_either_key_and_the_note(
    book: UsageBook, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    book.keep(answer(use(0, RECORDS[:1]), RECORDS[:1]))
    book.learn([FOLLOWS])
    follow(book, log_by(SECOND, 1))
    evidence, note = tmp_path / "a.evidence", tmp_path / "note"
    evidence.write_bytes(dispute(book, 0)[0])
    note.write_text(FOLLOWS)
    for key in (KEY, SECOND):
        asked = ["evidence", str(evidence), "--key", str(key.verifier)]
        assert main(asked) == 1
        assert main([*asked, "--succession", str(note)]) == 0
    assert (
        main(
            ["evidence", str(evidence), "--key", str(STRANGER.verifier), "--succession", str(note)]
        )
        == 1
    )
    assert '"convicts": true' in capsys.readouterr().out


def test_a_closed_month_is_the_same_bytes_under_the_next_key() -> None:
    def closed(at: int) -> Extract:
        statement = Statement(operator_id=OPERATOR, month="2026-03")
        statement.close_time.seconds = at
        return Extract(
            "https://gateway.invalid", Wanted(OPERATOR, "2026-03", "2026-03", "", ""), [statement]
        )

    first = StatementSigner(KEY)
    second = StatementSigner(SECOND, [FormerSigner(KEY, 100)])
    third = StatementSigner(THIRD, [FormerSigner(KEY, 100), FormerSigner(SECOND, 200)])
    keys = LinkedKeys.of(THIRD.verifier, [FOLLOWS, succession_note(9, bytes(32), THIRD, SECOND)])
    for at, signers in ((50, (first, second, third)), (150, (second, third)), (250, (third,))):
        documents = {signer.sign(closed(at), 1_000) for signer in signers}
        assert len(documents) == 1
        assert statement_of(documents.pop().decode(), keys).month == "2026-03"
    untouched = third.sign(closed(50), 1_000).decode()
    with pytest.raises(ProofInvalid):
        statement_of(untouched, THIRD.verifier)
    opened = Extract("https://gateway.invalid", closed(50).wanted, [Statement(month="2026-03")])
    assert statement_of(third.sign(opened, 1_000).decode(), THIRD.verifier).month == "2026-03"


def test_a_receipt_of_a_key_that_is_not_known_yet_is_not_lost(book: UsageBook, file: Path) -> None:
    for place, key in enumerate((KEY, SECOND, STRANGER, SECOND)):
        try:
            book.keep(answer_by(key, place))
        except UnknownKey:
            assert key is not KEY
    assert book.held().receipts == 1
    again = UsageBook.open(file)
    assert again.learn([FOLLOWS])
    # By a key that nothing leads to there is none, until its owner says otherwise.
    assert [*again.gaps()] == [range(2, 3)] and again.held().receipts == 3
    again.pin(STRANGER.verifier)
    assert not [*again.gaps()] and again.held().receipts == 4
    again.close()


def test_receipts_of_keys_that_nobody_knows_fill_no_disk(
    book: UsageBook, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sdk.usage_keys.MOST_ASIDE", 2)
    for place in range(4):
        with pytest.raises(UnknownKey):
            book.keep(answer_by(SECOND, place))
    book.learn([FOLLOWS])
    assert book.held().receipts == 2
