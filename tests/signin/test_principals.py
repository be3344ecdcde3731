"""Principals of representatives are keyed by a secret that all processes share."""

import hashlib
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

from sqlalchemy import Engine, select

from gateway.signin.principals import Principals
from gateway.signin.tables import SECRET

ISSUER = "https://idp.example"
PHONE = "13800000000"
_PROCESSES = 6


def test_the_same_person_has_the_same_principal_in_every_process_that_starts_at_once(
    authority_engine: Engine,
) -> None:
    start = Barrier(_PROCESSES)

    def begin(_: int) -> str:
        start.wait()
        return Principals.kept_in(authority_engine).representative(ISSUER, PHONE)

    with ThreadPoolExecutor(_PROCESSES) as threads:
        found = set(threads.map(begin, range(_PROCESSES)))
    assert found == {Principals.kept_in(authority_engine).representative(ISSUER, PHONE)}
    with authority_engine.connect() as connection:
        (kept,) = connection.execute(select(SECRET.c.secret)).scalars()
    assert len(kept) == 32
    assert len(set(kept)) > 8


def test_who_knows_every_phone_number_finds_nobody_by_a_principal(
    authority_engine: Engine,
) -> None:
    """Neither a digest nor the secret of another installation leads to the person."""
    principal = Principals.kept_in(authority_engine).representative(ISSUER, PHONE)
    bare = hashlib.sha256(f"{ISSUER}\n{PHONE}".encode()).hexdigest()
    assert principal.startswith("representative:")
    assert principal.removeprefix("representative:") not in bare
    assert principal != Principals(b"o" * 32).representative(ISSUER, PHONE)


def test_another_subject_or_another_provider_is_another_person() -> None:
    principals = Principals(b"o" * 32)
    people = {
        principals.representative(issuer, subject)
        for issuer in (ISSUER, f"{ISSUER}/")
        for subject in (PHONE, "13800000001", "")
    }
    assert len(people) == 6
