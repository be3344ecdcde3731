"""The commands and calls of the pages do what the pages say."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.docs.pages import DOCS, ROOT, script
from tests.docs.spelled import blocks_of, fault_of, mention_fault_of, mentions_of, sources

Reader = Callable[[Path], str]
NAME = "示例甲机械有限公司（虚构）"
PAGES = sorted([*ROOT.glob("*.md"), *DOCS.rglob("*.md")])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_command_of_a_page_is_one_there_is_with_its_options(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    faults = {each: fault_of(each) for each in blocks_of(text)}
    faults |= {each: mention_fault_of(each) for each in mentions_of(text)}
    assert {each: fault for each, fault in faults.items() if fault} == {}


def test_every_command_that_messages_name_is_one_there_is() -> None:
    named = re.findall(r"`+creditgate ([^`]+)`+", sources(ROOT / "gateway"))
    assert len(named) > 50
    faults = {each: mention_fault_of(each) for each in named}
    assert {each: fault for each, fault in faults.items() if fault} == {}


@pytest.mark.parametrize(
    ("command", "fault"),
    [
        ("consent get consents/1", "no command get"),
        ("consent show", "missing"),
        ("consent show a b", "left over"),
        ("consent show a --no-such", "no-such"),
        ("alerts list --operator", "requires an argument"),
        ("consent show $pinned --no-such", "no option"),
        ("consent show $pinned", ""),
        ("consent show a --json # as it is", ""),
    ],
)
def test_a_command_that_would_not_be_taken_is_seen(command: str, fault: str) -> None:
    found = fault_of(command)
    assert fault in found if fault else not found
    page = f"```sh\ncreditgate {command}\nsudo -u creditgate -- env true\n```\n"
    assert blocks_of(page) == [command]


def test_a_mention_names_commands_and_options_and_may_leave_out_the_rest() -> None:
    spans = mentions_of("`creditgate consent show`, `consent get` of `consent`, `consents x`")
    assert spans == ["consent show", "consent get"]
    assert [*map(mention_fault_of, spans)] == ["", "no command get"]
    assert mention_fault_of("consent show --no-such")


def test_the_calls_of_the_readme_are_answered_in_every_language(reader: Reader) -> None:
    printed = reader(ROOT / "README.md")
    # The command line, reflection and Node print the record's name; Python what is in it.
    assert printed.count("registration-91000000DEM000011A") == 3
    assert f'registration.enterprise {{"name":"{NAME}"' in printed
    assert "charged: 153333 micro-yuan" in printed
    assert '"chargedMicroYuan": "153333"' in printed


@pytest.mark.soak
def test_the_commands_of_the_operators_guide_work(reader: Reader) -> None:
    printed = reader(DOCS / "operators.md")
    # Out of purpose, and under a consent that was given up.
    assert printed.count("exit status 2") == 2
    assert "revoked by operator: The loan was not taken up" in printed
    assert "Statement of alpha-credit" in printed
    # What was charged before the receipt book was begun has no receipt in it.
    assert printed.count("exit status 1") == 1
    assert "unpromised" in printed
    assert re.search(r"Agreed with [1-9]\d* uses", printed)
    # What alpha holds is what it was served: nothing found, and a certificate.
    assert re.search(r"findings that stand +none", printed)
    assert "Certificate is the gateway's" in printed
    assert "Report is the gateway's, and complete" in printed
    assert "Left: the file does not hold them" not in printed


@pytest.mark.soak
def test_the_commands_of_the_administrators_guide_work(reader: Reader) -> None:
    printed = reader(DOCS / "administrators.md")
    assert "exit status 2" in printed
    assert "PERIOD_TOO_LONG" in printed
    assert "Repaired" in printed
    # Decisions, an operator, a record and a consent, each traced and verified.
    assert printed.count("The decisions are proved") == 4
    assert re.search(r"only grown +since \d+ entries", printed)


def test_the_commands_of_operations_work(reader: Reader) -> None:
    printed = reader(DOCS / "operations.md")
    assert "an emergency brake is on everything" in printed
    assert "All is as it was written" in printed


def test_a_command_that_fails_fails_the_page(tmp_path: Path, reader: Reader) -> None:
    page = tmp_path / "page.md"
    page.write_text("```sh run\ncreditgate no-such-command\necho reached\n```\n", encoding="utf-8")
    with pytest.raises(AssertionError, match="no-such-command"):
        reader(page)


def test_only_marked_blocks_are_run(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("```sh\nexit 1\n```\n```sh run\ntrue\n```\n```python run\n1\n```\n")
    assert script(page, "host:1") == "set -eu\ntrue\npython - <<'END_OF_PYTHON'\n1\nEND_OF_PYTHON\n"
