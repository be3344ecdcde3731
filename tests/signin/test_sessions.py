"""Sessions and attempts, on both stores."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from threading import Barrier

import pytest
from sqlalchemy import Engine, select

from gateway.signin.attempts import LIFE_SECONDS as ATTEMPT_SECONDS
from gateway.signin.attempts import MOST_FOR_ONE_PLACE, Attempts
from gateway.signin.identity import Identity
from gateway.signin.principals import Principals
from gateway.signin.sessions import IDLE_SECONDS, LIFE_SECONDS, Browser, Sessions, digest_of
from gateway.signin.tables import ATTEMPT, SESSION
from operators.administrators import BASIC_ACR
from tests.clock import NOW, StandingClock

PRINCIPALS = Principals(b"0" * 32)
PERSON = Identity(
    "https://idp.example",
    "p-1",
    "某人",
    "",
    NOW - 5,
    BASIC_ACR,
    PRINCIPALS.representative("https://idp.example", "p-1"),
)


@pytest.fixture
def clock() -> StandingClock:
    """A clock that stands."""
    return StandingClock()


@pytest.fixture
def sessions(authority_engine: Engine, clock: StandingClock) -> Sessions:
    """Sessions of an empty store."""
    return Sessions(authority_engine, clock, PRINCIPALS)


@pytest.fixture
def attempts(authority_engine: Engine, clock: StandingClock) -> Attempts:
    """Attempts of an empty store."""
    return Attempts(authority_engine, clock)


def signed_in(sessions: Sessions) -> Browser:
    """Return a browser somebody signed in with."""
    return sessions.sign_in(sessions.browser(None), PERSON)


def test_a_session_gives_back_who_signed_in(sessions: Sessions) -> None:
    assert sessions.browser(signed_in(sessions).secret).identity == PERSON


def test_only_digests_of_secrets_are_kept(
    sessions: Sessions, attempts: Attempts, authority_engine: Engine
) -> None:
    browser = signed_in(sessions)
    attempt = attempts.begin(browser, max_age=0, return_to="/interaction/x")
    with authority_engine.connect() as connection:
        rows = [*connection.execute(select(SESSION)), *connection.execute(select(ATTEMPT))]
    kept = [value for row in rows for value in row]
    assert digest_of(browser.secret) in kept
    assert digest_of(attempt.state) in kept
    for secret in (browser.secret, attempt.state):
        assert all(secret not in str(value) for value in kept)


def test_signing_in_changes_the_secret_and_ends_the_old_session(sessions: Sessions) -> None:
    first = signed_in(sessions)
    second = sessions.sign_in(first, PERSON)
    assert second.secret != first.secret
    assert sessions.browser(first.secret).identity is None
    assert sessions.browser(second.secret).identity == PERSON


def test_what_the_newest_sign_in_of_a_person_says_holds_in_all_their_sessions(
    sessions: Sessions, authority_engine: Engine, clock: StandingClock
) -> None:
    bound = replace(PERSON, uscc="91000000DEM000011A")
    older = sessions.sign_in(sessions.browser(None), bound)
    strangers = [
        sessions.sign_in(sessions.browser(None), replace(bound, **other))
        for other in ({"subject": "p-2"}, {"issuer": "https://other.example"})
    ]
    assert sessions.browser(older.secret).identity == bound
    # Another process, on the same store.
    elsewhere = Sessions(authority_engine, clock, PRINCIPALS)
    clock.at += 60
    newest = replace(PERSON, name="某人（改名）", auth_time=clock.at)
    elsewhere.sign_in(elsewhere.browser(None), newest)
    # When and how strongly somebody signed in is each session's own.
    assert sessions.browser(older.secret).identity == replace(newest, auth_time=PERSON.auth_time)
    for each in strangers:
        known = sessions.browser(each.secret).identity
        assert known is not None
        assert known.uscc == bound.uscc


def test_of_sign_ins_of_a_person_at_once_one_is_the_newest_for_all(sessions: Sessions) -> None:
    start = Barrier(6)

    def sign_in(number: int) -> Browser:
        start.wait()
        return sessions.sign_in(sessions.browser(None), replace(PERSON, uscc=f"{number:018}"))

    with ThreadPoolExecutor(6) as threads:
        for _ in range(10):
            secrets = [each.secret for each in threads.map(sign_in, range(6))]
            assert len({sessions.browser(each).identity for each in secrets}) == 1


def test_a_sign_in_of_before_gives_back_no_company_that_a_newer_one_took(
    sessions: Sessions, clock: StandingClock
) -> None:
    """A provider may tell again what it knew when somebody signed in there."""
    bound = replace(PERSON, uscc="91000000DEM000011A")
    newer = replace(PERSON, auth_time=NOW)
    fresh = sessions.sign_in(sessions.browser(None), newer)
    late = sessions.sign_in(sessions.browser(None), bound)
    assert late.identity == PERSON
    for browser, identity in ((fresh, newer), (late, PERSON)):
        assert sessions.browser(browser.secret).identity == identity
    # Nor is one taken or kept where it is not known which word is the newer.
    clock.at += 60
    again = replace(bound, auth_time=clock.at)
    latest = sessions.sign_in(sessions.browser(None), again)
    assert sessions.browser(latest.secret).identity == again
    sessions.sign_in(sessions.browser(None), replace(PERSON, uscc="91000000DEM000022B"))
    assert sessions.browser(latest.secret).identity == replace(again, uscc="")


@pytest.mark.parametrize("ended", ["out", "elsewhere", "idle"])
def test_what_a_newer_sign_in_said_holds_in_older_sessions_when_it_is_over(
    sessions: Sessions, authority_engine: Engine, clock: StandingClock, ended: str
) -> None:
    bound = replace(PERSON, uscc="91000000DEM000011A")
    older = sessions.sign_in(sessions.browser(None), bound)
    clock.at += 60
    newer = sessions.sign_in(sessions.browser(None), replace(PERSON, auth_time=clock.at))
    if ended == "out":
        sessions.sign_out(newer)
    elif ended == "elsewhere":
        # Somebody else signs in with the same browser.
        sessions.sign_in(newer, replace(PERSON, subject="p-2"))
    clock.at += IDLE_SECONDS - 61
    assert sessions.browser(older.secret).identity == PERSON
    clock.at += 61
    sessions.sweep()
    assert sessions.browser(newer.secret).identity is None
    late = sessions.sign_in(sessions.browser(None), bound)
    for browser in (older, late):
        assert sessions.browser(browser.secret).identity == PERSON
    # A sign-in of now is the newest word, and nothing is left of what is over for good.
    now = replace(bound, auth_time=clock.at)
    latest = sessions.sign_in(sessions.browser(None), now)
    for browser, identity in ((older, bound), (latest, now)):
        assert sessions.browser(browser.secret).identity == identity
    clock.at += LIFE_SECONDS
    sessions.sweep()
    with authority_engine.connect() as connection:
        assert connection.execute(select(SESSION)).all() == []


def test_nothing_is_left_of_a_session_that_no_older_one_needs(
    sessions: Sessions, authority_engine: Engine, clock: StandingClock
) -> None:
    older, newer = signed_in(sessions), sessions.browser(None)
    clock.at += 60
    newer = sessions.sign_in(newer, replace(PERSON, auth_time=clock.at))
    sessions.sign_out(older)
    sessions.sign_out(newer)
    with authority_engine.connect() as connection:
        assert connection.execute(select(SESSION)).all() == []


def test_who_signs_in_and_out_everywhere_at_once_waits_for_each_other(sessions: Sessions) -> None:
    start = Barrier(3, timeout=30)

    def sign_in() -> None:
        for _ in range(20):
            start.wait()
            sessions.sign_in(signed_in(sessions), PERSON)

    def sign_out() -> None:
        for _ in range(20):
            start.wait()
            sessions.sign_out_everywhere(PERSON)

    with ThreadPoolExecutor(3) as threads:
        for each in [threads.submit(sign_in), threads.submit(sign_in), threads.submit(sign_out)]:
            each.result()


def test_signing_out_everywhere_ends_all_sessions_of_a_person_and_no_others(
    sessions: Sessions,
) -> None:
    mine = [signed_in(sessions) for _ in range(2)]
    other = sessions.sign_in(sessions.browser(None), replace(PERSON, subject="p-2"))
    sessions.sign_out_everywhere(PERSON)
    assert [sessions.browser(each.secret).identity for each in mine] == [None, None]
    assert sessions.browser(other.secret).identity is not None


def test_a_session_ends_by_signing_out(sessions: Sessions) -> None:
    browser = signed_in(sessions)
    sessions.sign_out(browser)
    assert sessions.browser(browser.secret).identity is None


def test_an_idle_session_ends_and_use_keeps_it_alive(
    sessions: Sessions, clock: StandingClock
) -> None:
    browser = signed_in(sessions)
    clock.at = NOW + IDLE_SECONDS - 1
    assert sessions.browser(browser.secret).identity == PERSON
    clock.at += IDLE_SECONDS - 1
    assert sessions.browser(browser.secret).identity == PERSON
    clock.at += IDLE_SECONDS
    assert sessions.browser(browser.secret).identity is None


def test_a_browser_knows_until_when_somebody_stays_signed_in(
    sessions: Sessions, clock: StandingClock
) -> None:
    assert (sessions.browser(None).idle_at, sessions.browser(None).over_at) == (0, 0)
    secret = signed_in(sessions).secret
    # Use within the first minute is not written down, and does not prolong.
    for later, prolonged in ((0, 0), (59, 0), (60, 60), (119, 60), (120, 120)):
        clock.at = NOW + later
        browser = sessions.browser(secret)
        assert browser.idle_at == NOW + prolonged + IDLE_SECONDS
        assert browser.over_at == NOW + LIFE_SECONDS
    clock.at = browser.idle_at - 1
    assert sessions.browser(secret).identity == PERSON
    while clock.at + IDLE_SECONDS < NOW + LIFE_SECONDS:
        clock.at += IDLE_SECONDS - 1
        browser = sessions.browser(secret)
    assert browser.idle_at == browser.over_at == NOW + LIFE_SECONDS


def test_no_use_keeps_a_session_alive_beyond_its_life(
    sessions: Sessions, clock: StandingClock
) -> None:
    browser = signed_in(sessions)
    while clock.at + IDLE_SECONDS - 1 < NOW + LIFE_SECONDS:
        clock.at += IDLE_SECONDS - 1
        assert sessions.browser(browser.secret).identity == PERSON
    clock.at = NOW + LIFE_SECONDS
    assert sessions.browser(browser.secret).identity is None


def test_what_is_over_is_swept_and_nothing_else(sessions: Sessions, clock: StandingClock) -> None:
    signed_in(sessions)
    clock.at = NOW + IDLE_SECONDS
    fresh = signed_in(sessions)
    # Signing in swept the first one already.
    assert sessions.sweep() == 0
    assert sessions.browser(fresh.secret).identity == PERSON
    clock.at += IDLE_SECONDS
    assert sessions.sweep() == 1


@pytest.mark.parametrize("secret", ["", "x" * 65, "é" * 10])
def test_a_cookie_that_is_none_of_ours_makes_a_new_browser(sessions: Sessions, secret: str) -> None:
    browser = sessions.browser(secret)
    assert not browser.known
    assert browser.secret != secret
    assert browser.identity is None


def test_a_form_counts_only_in_its_browser_and_for_its_purpose(sessions: Sessions) -> None:
    mine, other = signed_in(sessions), signed_in(sessions)
    token = mine.form_token("approve 1")
    assert mine.sent_form("approve 1", token)
    assert not mine.sent_form("approve 2", token)
    assert not mine.sent_form("approve 1", "")
    assert not mine.sent_form("approve 1", token + "é")
    assert not other.sent_form("approve 1", token)
    # A browser that sent no cookie sent no form of ours either.
    new = sessions.browser(None)
    assert not new.sent_form("approve 1", new.form_token("approve 1"))


def test_an_attempt_is_taken_once_by_the_browser_that_began_it(
    sessions: Sessions, attempts: Attempts
) -> None:
    mine, other = sessions.browser("a" * 43), sessions.browser("b" * 43)
    attempt = attempts.begin(mine, max_age=60, return_to="/interaction/x")
    assert attempts.take(other, attempt.state) is None
    assert attempts.take(mine, attempt.state + "x") is None
    assert attempts.take(mine, "é") is None
    assert attempts.take(mine, attempt.state) == attempt
    assert attempts.take(mine, attempt.state) is None


def test_an_attempt_does_not_wait_for_ever(
    sessions: Sessions, attempts: Attempts, clock: StandingClock, authority_engine: Engine
) -> None:
    browser = sessions.browser("a" * 43)
    old = attempts.begin(browser, max_age=60, return_to="/interaction/x")
    clock.at += ATTEMPT_SECONDS
    assert attempts.take(browser, old.state) is None
    attempts.begin(browser, max_age=60, return_to="/interaction/y")
    attempts.begin(browser, max_age=60, return_to="/interaction/z")
    clock.at += ATTEMPT_SECONDS
    attempts.begin(browser, max_age=60, return_to="/interaction/w")
    with authority_engine.connect() as connection:
        assert len(connection.execute(select(ATTEMPT)).all()) == 1


def test_a_link_opened_again_and_again_keeps_a_bounded_number_of_attempts(
    sessions: Sessions, attempts: Attempts, authority_engine: Engine
) -> None:
    elsewhere = sessions.browser(None)
    other = attempts.begin(elsewhere, max_age=0, return_to="/interaction/y")
    for _ in range(MOST_FOR_ONE_PLACE + 3):
        attempts.begin(sessions.browser(None), max_age=0, return_to="/interaction/x")
    browser = sessions.browser(None)
    last = attempts.begin(browser, max_age=0, return_to="/interaction/x")
    with authority_engine.connect() as connection:
        rows = connection.execute(select(ATTEMPT)).all()
    assert len([row for row in rows if row.return_to == "/interaction/x"]) == MOST_FOR_ONE_PLACE
    assert attempts.take(browser, last.state) == last
    assert attempts.take(elsewhere, other.state) == other
