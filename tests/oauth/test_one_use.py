"""One use under concurrency: of many that come at once with one secret, one wins."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from threading import Barrier
from typing import TypeVar

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.oauth.authorization_request import AuthorizationRequest
from gateway.oauth.grants import CODE_SECONDS, IssuedCode, SqlOAuthGrants
from gateway.oauth.pushed_requests import SqlPushedRequests
from gateway.oauth.refresh_tokens import RETRY_SECONDS
from gateway.oauth.secret import new_secret
from gateway.oauth.terms import CodeTerms, GrantTerms
from tests.examples import examples
from tests.oauth.code_flow import ACR, PERSON, REDIRECT, challenge_of, revoked
from tests.oauth.world import CLIENT, READ, World, on_both_stores

Result = TypeVar("Result")
THREADS = 8
GRANTED = GrantTerms(principal=PERSON, scope=READ, details=(), auth_time=1, acr=ACR)
TERMS = CodeTerms(
    redirect_uri=REDIRECT, code_challenge=challenge_of("v" * 43), jkt=None, granted=GRANTED
)
REQUEST = AuthorizationRequest(
    client_id=CLIENT,
    redirect_uri=REDIRECT,
    scope=READ,
    state=None,
    code_challenge=challenge_of("v" * 43),
    signed_response=False,
    jkt=None,
    details=(),
    acr_values="",
    max_age=None,
    prompt="",
)


def at_once(act: Callable[[int], Result]) -> list[Result]:
    """Return what ``act`` gives in as many threads as there are, all let go at once."""
    barrier = Barrier(THREADS)

    def run(number: int) -> Result:
        barrier.wait()
        return act(number)

    with ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(run, range(THREADS)))


def issued(world: World, now: int) -> str:
    """Return a fresh code that a person approved."""
    store = SqlPushedRequests(world.engine)
    interaction_id = store.begin(store.push(REQUEST, now), CLIENT, now)
    assert interaction_id is not None
    code = new_secret()
    assert store.approve(interaction_id, code, TERMS, now)
    return code


@on_both_stores
def test_of_all_that_redeem_one_code_one_wins_and_the_grant_ends(world: World) -> None:
    now = world.clock.now()
    stores = [SqlOAuthGrants(world.engine) for _ in range(THREADS)]
    for _ in range(5):
        code = stores[0].code(issued(world, now), CLIENT, now)
        assert code is not None
        before = len(revoked(world))
        redeem = partial(_redeemed, stores, code, now)
        won = at_once(redeem)
        assert len([token for token in won if token]) == 1
        assert revoked(world)[before:] == [code.grant_id], "a code that came twice was stolen"
        assert stores[0].of_refresh_token("".join(won), now) is None


def _redeemed(stores: list[SqlOAuthGrants], code: IssuedCode, now: int, number: int) -> str:
    """Return the refresh token of who won, "" for who did not."""
    token = new_secret()
    return token if stores[number].redeem(code, token, now + 60, now) else ""


@on_both_stores
def test_of_all_that_decide_one_request_one_decides(world: World) -> None:
    now = world.clock.now()
    store = SqlPushedRequests(world.engine)
    reference = store.push(REQUEST, now)
    ids = [store.begin(reference, CLIENT, now) or "" for _ in range(THREADS)]
    codes = [new_secret() for _ in range(THREADS)]

    def decide(number: int) -> bool:
        if number % 2:
            return store.deny(ids[number], now)
        return store.approve(ids[number], codes[number], TERMS, now)

    decided = at_once(decide)
    assert decided.count(True) == 1
    found = [SqlOAuthGrants(world.engine).code(code, CLIENT, now) for code in codes]
    assert [code is not None for code in found] == [
        won and number % 2 == 0 for number, won in enumerate(decided)
    ]


@on_both_stores
def test_all_that_replace_one_refresh_token_get_the_same(world: World) -> None:
    now = world.clock.now()
    grants = SqlOAuthGrants(world.engine)
    token = _refresh_token(world, grants, now)
    held = grants.refresh_token(token, CLIENT, now)
    assert held is not None

    def replace(_: int) -> str | None:
        return grants.use(held, True, now)

    following = set(at_once(replace))
    assert len(following) == 1
    assert grants.refresh_token(following.pop() or "", CLIENT, now) is not None
    assert not revoked(world)


def _refresh_token(world: World, grants: SqlOAuthGrants, now: int) -> str:
    code = grants.code(issued(world, now), CLIENT, now)
    assert code is not None
    token = new_secret()
    assert grants.redeem(code, token, now + 86_400, now)
    return token


@dataclass
class Remembered:
    """A refresh token as the model remembers it."""

    secret: str
    superseded_at: int | None = None
    used: bool = False


@dataclass
class History:
    """What happened to one grant: its refresh tokens in the order they were issued."""

    code_spent: bool = False
    stands: bool = False
    tokens: list[Remembered] = field(default_factory=list[Remembered])

    def may_use(self, index: int, now: int) -> bool:
        """Tell whether a refresh token must be taken at ``now``."""
        token = self.tokens[index]
        if token.superseded_at is None:
            return self.stands
        in_time = now < token.superseded_at + RETRY_SECONDS
        return self.stands and in_time and not self.tokens[index + 1].used


class Walk:
    """One grant walked through its states, the store beside the model."""

    def __init__(self, world: World) -> None:
        self.now = self.begun = world.clock.now()
        self.grants = SqlOAuthGrants(world.engine)
        self.code = issued(world, self.now)
        self.grant_id = ""
        self.past = History()

    def redeem(self, _: int) -> None:
        code, past = self.grants.code(self.code, CLIENT, self.now), self.past
        in_time = self.now < self.begun + CODE_SECONDS
        assert (code is not None) == (in_time and not past.code_spent)
        past.stands = past.stands and not past.code_spent
        if code is not None:
            token = new_secret()
            assert self.grants.redeem(code, token, self.now + 86_400, self.now)
            self.grant_id = code.grant_id
            self.past = History(code_spent=True, stands=True, tokens=[Remembered(token)])

    def revoke(self, _: int) -> None:
        self.grants.revoke(self.grant_id, self.now)
        self.past.stands = False

    def refresh(self, which: int) -> None:
        self._use(which, rotate=False)

    def rotate(self, which: int) -> None:
        self._use(which, rotate=True)

    def _use(self, which: int, *, rotate: bool) -> None:
        past = self.past
        if not past.tokens:
            return
        index = min(which, len(past.tokens) - 1)
        token = past.tokens[index]
        held = self.grants.refresh_token(token.secret, CLIENT, self.now)
        past.stands = past.may_use(index, self.now)
        assert (held is not None) == past.stands
        if held is None:
            return
        following = self.grants.use(held, rotate, self.now)
        token.used = True
        if token.superseded_at is not None:
            assert following == past.tokens[index + 1].secret
        elif rotate:
            assert following is not None
            token.superseded_at = self.now
            past.tokens.append(Remembered(following))
        else:
            assert following is None

    def check(self) -> None:
        standing = self.grants.get(self.grant_id, self.now) is not None
        assert standing == self.past.stands


STEPS = st.lists(
    st.tuples(
        st.sampled_from([Walk.redeem, Walk.refresh, Walk.rotate, Walk.revoke]),
        st.integers(0, 3),
        st.sampled_from([0, 1, CODE_SECONDS - 1, CODE_SECONDS, RETRY_SECONDS - 1, RETRY_SECONDS]),
    ),
    max_size=12,
)


@given(STEPS)
@settings(
    max_examples=examples(60),
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_grants_stand_exactly_as_the_rules_say(
    world: World, steps: list[tuple[Callable[[Walk, int], None], int, int]]
) -> None:
    """Any history of one grant, against a model that remembers all of it."""
    walk = Walk(world)
    for step, which, seconds in steps:
        walk.now += seconds
        step(walk, which)
        walk.check()
