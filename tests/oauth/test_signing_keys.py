"""Signing keys: rotation overlaps, retirement acts at once, private halves stay private."""

import json
import os
import stat
from base64 import urlsafe_b64decode
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)
from hypothesis import given
from hypothesis import strategies as st
from joserfc.jwk import ECKey

from creditgate.refusal import Refused
from creditgate.v1.refusal_pb2 import RefusalReason
from gateway.authenticate.claims import CERTIFICATE, Confirmation
from gateway.authenticate.token import TokenVerifier
from gateway.oauth.keys import KIND, SigningKeyBook
from gateway.oauth.rotation import retire_signing_key
from gateway.oauth.signing import SigningKeys
from operators.log import Change
from tests.oauth.assertions import good_form
from tests.oauth.world import ADMINISTRATOR, AUDIENCE, World, on_both_stores


async def _token(world: World, issuer: str) -> str:
    form = good_form(world.identity, issuer, world.clock.now())
    response = await world.post(issuer, form, world.identity.certificate)
    token: str = response.json()["access_token"]
    return token


def _retire(world: World, kid: str) -> None:
    retire_signing_key(
        world.log,
        world.keys,
        world.snapshot().signing_keys,
        kid,
        changed_by=ADMINISTRATOR,
        now=world.clock.now(),
        reason="test",
    )


@on_both_stores
async def test_rotation_overlaps_and_retirement_refuses_at_once(world: World) -> None:
    [old] = world.snapshot().signing_keys
    shown = Confirmation(CERTIFICATE, world.identity.certificate.thumbprint)
    async with world.serving() as issuer:
        verifier = TokenVerifier(issuer, AUDIENCE)
        before = await _token(world, issuer)
        new = world.issue_key()
        after = await _token(world, issuer)
    view = world.snapshot()
    now = world.clock.now()
    assert verifier.verify(before, shown, now, view).kid == old
    assert verifier.verify(after, shown, now, view).kid == new
    _retire(world, old)
    view = world.snapshot()
    assert verifier.verify(after, shown, now, view).kid == new
    for fresh_or_not in (verifier, TokenVerifier(issuer, AUDIENCE)):
        with pytest.raises(Refused) as refused:
            fresh_or_not.verify(before, shown, now, view)
        assert refused.value.reason == RefusalReason.REFUSAL_REASON_TOKEN_INVALID


@on_both_stores
async def test_another_process_signs_with_a_key_made_here(world: World) -> None:
    other = SigningKeys(world.folder / "keys")
    kid = world.issue_key()
    book = world.snapshot().signing_keys
    token = other.sign(book, {"sub": "x"}, "at+jwt", world.clock.now())
    assert book.signing_kids(world.clock.now())[0] == kid
    assert token.count(".") == 2


def test_process_without_private_keys_signs_nothing(world: World) -> None:
    bare = SigningKeys(world.folder / "elsewhere")
    with pytest.raises(Refused) as refused:
        bare.sign(world.snapshot().signing_keys, {}, "at+jwt", world.clock.now())
    assert refused.value.reason == RefusalReason.REFUSAL_REASON_TEMPORARILY_UNAVAILABLE


def _another_key(file: Path) -> None:
    """Put a good key there, but that of another kid."""
    file.write_bytes(ECKey.generate_key("P-256").as_pem(private=True))


def _public_half(file: Path) -> None:
    """Leave of the key there what everybody may know."""
    file.write_bytes(ECKey.import_key(file.read_bytes()).as_pem(private=False))


def _encrypted(file: Path) -> None:
    """Leave the key there under a passphrase, which the gateway is not told."""
    key = load_pem_private_key(file.read_bytes(), None)
    hidden = BestAvailableEncryption(b"a passphrase")
    file.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, hidden))


def _folder(file: Path) -> None:
    """Put a folder there."""
    file.unlink()
    file.mkdir()


def _empty(file: Path) -> None:
    """Leave nothing of the key there."""
    file.write_bytes(b"")


@pytest.mark.parametrize(
    "spoil", [_another_key, _public_half, _encrypted, _folder, _empty, Path.unlink]
)
def test_key_whose_file_cannot_be_used_leaves_signing_to_the_one_before(
    world: World, caplog: pytest.LogCaptureFixture, spoil: Callable[[Path], None]
) -> None:
    [before] = world.snapshot().signing_keys
    kid = world.issue_key()
    file = world.folder / "keys" / f"{kid}.pem"
    kept = file.read_bytes()
    spoil(file)
    keys, book = SigningKeys(world.folder / "keys"), world.snapshot().signing_keys
    signers = [_signer(keys, book, world) for _ in range(3)]
    assert signers == [before] * 3
    assert [kid in record.message for record in caplog.records] == [True]
    if file.is_dir():
        file.rmdir()
    file.write_bytes(kept)
    assert _signer(keys, book, world) == kid


@pytest.mark.skipif(os.geteuid() != 0, reason="only root writes files for others")
def test_key_that_root_makes_is_the_gateways_whose_folder_it_is(tmp_path: Path) -> None:
    os.chown(tmp_path, 4_321, 1_234)
    kid = SigningKeys(tmp_path).create("ES256")["kid"]
    made = (tmp_path / f"{kid}.pem").stat()
    assert (made.st_uid, made.st_gid, stat.S_IMODE(made.st_mode)) == (4_321, 1_234, 0o600)


def test_private_keys_are_readable_by_their_owner_alone(world: World) -> None:
    files = list((world.folder / "keys").iterdir())
    assert files
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}


def test_private_half_never_reaches_the_log(world: World) -> None:
    [change] = world.log.history(kind=KIND, id="", after=0, limit=10)
    jwk = change.document["jwk"]
    assert isinstance(jwk, dict)
    assert "d" not in jwk


def test_key_that_signs_cannot_be_retired_before_its_successor_is_there(world: World) -> None:
    [kid] = world.snapshot().signing_keys
    with pytest.raises(Refused) as refused:
        _retire(world, kid)
    assert refused.value.reason == RefusalReason.REFUSAL_REASON_STATE_CONFLICT
    world.issue_key()
    _retire(world, kid)
    with pytest.raises(Refused) as again:
        _retire(world, kid)
    assert again.value.reason == RefusalReason.REFUSAL_REASON_STATE_CONFLICT


def test_unknown_key_cannot_be_retired(world: World) -> None:
    with pytest.raises(Refused) as refused:
        _retire(world, "x" * 43)
    assert refused.value.reason == RefusalReason.REFUSAL_REASON_RESOURCE_NOT_FOUND


def test_eddsa_keys_sign_too(world: World) -> None:
    keys = SigningKeys(world.folder / "keys")
    jwk = keys.create("EdDSA")
    book = SigningKeyBook.empty().advanced([_change(1, jwk["kid"], 0, None, jwk)])
    assert keys.sign(book, {"sub": "x"}, "at+jwt", 1).count(".") == 2


def _signer(keys: SigningKeys, book: SigningKeyBook, world: World) -> str:
    token = keys.sign(book, {"sub": "x"}, "at+jwt", world.clock.now())
    head = token.partition(".")[0]
    kid: str = json.loads(urlsafe_b64decode(f"{head}=="))["kid"]
    return kid


def _change(
    sequence: int, kid: str, active_from: int, retired_at: int | None, jwk: dict[str, str]
) -> Change:
    document = {"kid": kid, "jwk": jwk, "active_from": active_from, "retired_at": retired_at}
    return Change(sequence, KIND, kid, 1, document, "office", 0, "test")


_Lives = st.lists(st.tuples(st.integers(0, 5), st.none() | st.integers(0, 5)), max_size=6)


@given(lives=_Lives, cut=st.integers(0, 6), now=st.integers(0, 5))
def test_book_is_the_same_however_the_log_is_read(
    lives: list[tuple[int, int | None]], cut: int, now: int
) -> None:
    changes = [
        _change(number, f"kid-{number}", active_from, retired_at, {"kid": f"kid-{number}"})
        for number, (active_from, retired_at) in enumerate(lives)
    ]
    whole = SigningKeyBook.empty().advanced(changes)
    parts = SigningKeyBook.empty().advanced(changes[:cut]).advanced(changes[cut:])
    assert dict(whole) == dict(parts)
    assert whole.signing_kids(now) == parts.signing_kids(now)
    standing = {f"kid-{n}": start for n, (start, end) in enumerate(lives) if end is None}
    assert set(whole) == set(standing)
    signing = whole.signing_kids(now)
    assert set(signing) == {kid for kid, start in standing.items() if start <= now}
    assert [standing[kid] for kid in signing] == sorted(
        (standing[k] for k in signing), reverse=True
    )
