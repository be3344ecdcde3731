"""The anchor's register: what it allows, and what is on disk before it is said."""

import json
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from gateway.anchor.desk import AnchorDesk
from gateway.anchor.home import AnchorHome, NoAnchor
from gateway.anchor.register import NotPossible, Register
from gateway.federation.trust.chain import AnchorTrust, verified_chain
from gateway.federation.trust.news import verified_news
from gateway.federation.trust.statement import REGION_METADATA, verified_statement
from tests.clock import NOW, StandingClock
from tests.federation.trust.signing import ANCHOR, KEYS, LEAF, MIDDLE, leaf

ROOTS = "-----BEGIN CERTIFICATE-----"


def empty() -> Register:
    return Register(entity_id=ANCHOR, life_seconds=600, number=NOW)


def enrolled(register: Register, entity_id: str = LEAF, *codes: str, now: int = NOW) -> Register:
    return register.enrolled(entity_id, KEYS[entity_id].jwks, ROOTS, codes or ("31",), now)


def test_a_division_has_one_home() -> None:
    register = enrolled(empty(), LEAF, "31", "3201")
    with pytest.raises(NotPossible, match="3201"):
        enrolled(register, MIDDLE, "32", "3201")
    # A city below a province may have a region of its own.
    assert enrolled(register, MIDDLE, "32").regions[MIDDLE].codes == ("32",)
    # The same region may be enrolled anew with what it had.
    assert enrolled(register, LEAF, "31").regions[LEAF].codes == ("31",)


def test_each_change_has_a_higher_number_even_after_an_older_copy_was_put_back() -> None:
    copy = enrolled(empty())
    cut = copy.cut_off(LEAF, "why", NOW)
    restored = cut.restored(LEAF, NOW)
    withdrawn = restored.withdrawn(LEAF, NOW)
    assert copy.number < cut.number < restored.number < withdrawn.number
    assert copy.cut_off(LEAF, "again", NOW + 60).number > withdrawn.number


def test_what_is_stated_of_a_region_has_a_new_revision_when_it_changes() -> None:
    register = enrolled(empty())
    again = enrolled(register, LEAF, "32")
    assert again.regions[LEAF].revision > register.regions[LEAF].revision
    restored = again.cut_off(LEAF, "why", NOW).restored(LEAF, NOW)
    assert restored.regions[LEAF].revision > again.regions[LEAF].revision


def test_enrolling_anew_does_not_end_a_cut_off() -> None:
    register = enrolled(enrolled(empty()).cut_off(LEAF, "why", NOW))
    assert register.regions[LEAF].cut_off_at == NOW


def test_what_the_register_does_not_allow_is_told() -> None:
    register = enrolled(empty())
    for change in (
        partial(register.cut_off, MIDDLE, "why"),
        partial(register.restored, LEAF),
        partial(register.withdrawn, MIDDLE),
        partial(register.cut_off(LEAF, "why", NOW).cut_off, LEAF, "why"),
        partial(register.enrolled, ANCHOR, KEYS[ANCHOR].jwks, ROOTS, ("11",)),
    ):
        with pytest.raises(NotPossible):
            change(NOW)


@pytest.mark.parametrize(
    ("entity_id", "codes"), [("http://leaf.example", ("31",)), (LEAF, ("3",)), (LEAF, ())]
)
def test_what_has_not_the_right_form_is_not_enrolled(entity_id: str, codes: Any) -> None:
    with pytest.raises(ValidationError):
        Register.model_validate_json(
            empty().enrolled(entity_id, KEYS[LEAF].jwks, ROOTS, codes, NOW).as_bytes()
        )


@pytest.fixture
def home(tmp_path: Path) -> AnchorHome:
    made = AnchorHome.at(tmp_path / "anchor")
    made.begin(empty(), by="me", now=NOW)
    return made


def changed(home: AnchorHome, change: Callable[[Register], Register]) -> Register:
    return home.change(change, what="test", about=LEAF, by="me", why="because", now=NOW)


def test_a_change_is_on_disk_and_in_the_journal_when_it_returns(home: AnchorHome) -> None:
    changed(home, enrolled)
    assert LEAF in AnchorHome.at(home.root).register().regions
    last = json.loads(home.journal.read_text().splitlines()[-1])
    assert (last["region"], last["by"], last["why"], last["at"]) == (LEAF, "me", "because", NOW)
    assert home.register_file.stat().st_mode & 0o077 == 0
    assert home.key_file.stat().st_mode & 0o077 == 0


def test_programs_that_change_the_register_at_once_lose_nothing(home: AnchorHome) -> None:
    changed(home, enrolled)

    def often() -> None:
        for _ in range(10):
            changed(home, enrolled)

    threads = [threading.Thread(target=often) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(home.journal.read_text().splitlines()) == 42
    assert home.register().number == NOW + 41


def test_an_anchor_is_made_once_and_missed_where_there_is_none(
    home: AnchorHome, tmp_path: Path
) -> None:
    with pytest.raises(NoAnchor, match="already"):
        home.begin(empty(), by="me", now=NOW)
    with pytest.raises(NoAnchor, match="anchor init"):
        AnchorHome.at(tmp_path / "none").register()
    home.register_file.write_text("{}")
    with pytest.raises(NoAnchor, match="restore"):
        home.register()


def test_what_an_anchor_says_makes_a_chain_that_holds(home: AnchorHome) -> None:
    desk = AnchorDesk(home, StandingClock())
    changed(home, lambda register: enrolled(register, LEAF, "31", "32"))
    trust = AnchorTrust(ANCHOR, home.key().jwks)
    stated = desk.statement(LEAF)
    assert stated is not None
    own = leaf(metadata={REGION_METADATA: {"codes": ["99"]}})
    chain = verified_chain([own, stated, desk.configuration()], trust, NOW)
    assert chain.metadata[REGION_METADATA]["codes"] == ["31", "32"]
    said = verified_statement(stated, trust.keys, NOW)
    assert (said.tls_roots, said.revision) == (ROOTS, home.register().number)
    told = verified_news(desk.news(), trust, trust.keys, NOW)
    assert told.stands(LEAF, chain.revision)
    assert desk.standing() == [LEAF]


def test_an_anchor_states_nothing_of_a_region_that_is_cut_off(home: AnchorHome) -> None:
    desk = AnchorDesk(home, StandingClock())
    changed(home, enrolled)
    before = desk.number()
    changed(home, lambda register: register.cut_off(LEAF, "why", NOW))
    assert desk.statement(LEAF) is None
    assert desk.statement(MIDDLE) is None
    assert desk.standing() == []
    assert desk.number() > before
    told = verified_news(desk.news(), AnchorTrust(ANCHOR, home.key().jwks), home.key().jwks, NOW)
    assert told.cut_off == {LEAF: NOW}
