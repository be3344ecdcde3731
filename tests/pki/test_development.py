"""The development certification authority."""

import base64
import hashlib
import os
import stat
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given
from hypothesis import strategies as st

from gateway.pki.development import (
    make_ca,
    make_client_certificate,
    make_server_certificate,
    read_issued,
)
from gateway.pki.files import write_private
from gateway.pki.thumbprint import thumbprint_of_der, thumbprint_of_pem

NOW = 1_800_000_000


def test_thumbprint_is_that_of_rfc_8705_from_pem_and_der_alike() -> None:
    leaf = make_client_certificate(make_ca("root", NOW), "alpha-one", NOW)
    der = x509.load_pem_x509_certificate(leaf.certificate).public_bytes(Encoding.DER)
    expected = base64.urlsafe_b64encode(hashlib.sha256(der).digest()).decode().rstrip("=")
    assert thumbprint_of_der(der) == thumbprint_of_pem(leaf.certificate) == expected
    assert leaf.thumbprint == expected


def test_thumbprint_of_a_chain_is_the_leafs() -> None:
    ca = make_ca("root", NOW)
    leaf = make_client_certificate(ca, "alpha-one", NOW)
    assert thumbprint_of_pem(leaf.certificate + ca.certificate) == leaf.thumbprint


@given(st.binary(max_size=200))
def test_what_is_no_certificate_has_no_thumbprint(content: bytes) -> None:
    with pytest.raises(ValueError):  # UnicodeDecodeError is one
        thumbprint_of_pem(content)


def test_leaves_are_signed_by_the_root_and_can_sign_nothing() -> None:
    ca = make_ca("root", NOW)
    root = x509.load_pem_x509_certificate(ca.certificate)
    for leaf in (make_server_certificate(ca, NOW), make_client_certificate(ca, "alpha", NOW)):
        certificate = x509.load_pem_x509_certificate(leaf.certificate)
        certificate.verify_directly_issued_by(root)
        constraints = certificate.extensions.get_extension_for_class(x509.BasicConstraints)
        assert not constraints.value.ca


def test_a_link_at_the_place_of_a_draft_is_not_followed(tmp_path: Path) -> None:
    kept, folder = tmp_path / "kept", tmp_path / "pki"
    kept.write_text("another's", encoding="utf-8")
    folder.mkdir()
    (folder / f".key.pem.{os.getpid()}").symlink_to(kept)
    write_private(folder / "key.pem", b"private")
    assert kept.read_text(encoding="utf-8") == "another's"
    assert (folder / "key.pem").read_bytes() == b"private"


def test_a_file_that_cannot_be_written_leaves_no_draft(tmp_path: Path) -> None:
    (taken := tmp_path / "key.pem").mkdir()
    with pytest.raises(IsADirectoryError):
        write_private(taken, b"private")
    assert [*tmp_path.iterdir()] == [taken]


def test_files_are_readable_by_their_owner_alone_and_come_back_whole(tmp_path: Path) -> None:
    ca = make_ca("root", NOW)
    paths = (tmp_path / "pki" / "ca.pem", tmp_path / "pki" / "ca.key")
    ca.write(*paths)
    ca.write(*paths)
    assert [stat.S_IMODE(path.stat().st_mode) for path in paths] == [0o600, 0o600]
    assert read_issued(*paths) == ca
    assert sorted(path.name for path in paths[0].parent.iterdir()) == ["ca.key", "ca.pem"]
