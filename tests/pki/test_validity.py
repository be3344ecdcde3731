"""When the end of a certificate is told, and of which authorities."""

import pytest
from cryptography.x509 import load_pem_x509_certificate

from gateway.pki.development import make_ca
from gateway.pki.validity import Validity, without_succeeded
from tests.clock import NOW

_DAY = 86_400


@pytest.mark.parametrize(
    ("left", "is_due", "is_urgent", "said"),
    [
        (30 * _DAY, False, False, "ends in 30 days, at "),
        (30 * _DAY - 1, True, False, "ends in 29 days, at "),
        (7 * _DAY, True, False, "ends in 7 days, at "),
        (7 * _DAY - 1, True, True, "ends in 6 days, at "),
        (1, True, True, "ends within two days, at 2026-03-31 23:33 UTC; then clients refuse it."),
        (0, True, True, "ended at 2026-03-31 23:33 UTC: clients refuse it."),
        (-300 * _DAY, True, True, "ended at 2025-06-04 23:33 UTC: clients refuse it."),
    ],
)
def test_what_is_told_depends_on_the_time_left(
    left: int, is_due: bool, is_urgent: bool, said: str
) -> None:
    validity = Validity("tls_certificate", "It", "clients refuse it", 0, NOW + left)
    assert (validity.is_due(NOW), validity.is_urgent(NOW)) == (is_due, is_urgent)
    assert validity.told(NOW).startswith(f"It (tls_certificate) {said}")


def test_one_that_is_not_valid_yet_is_told() -> None:
    validity = Validity("tls_certificate", "It", "clients refuse it", NOW + 1, NOW + 90 * _DAY)
    assert validity.is_due(NOW) and validity.is_urgent(NOW)
    assert "is not valid before 2026-03-31 23:33 UTC" in validity.told(NOW)
    assert not validity.is_due(NOW + 1)


def test_an_authority_that_another_of_its_name_outlives_is_left_out() -> None:
    former, other, successor = (
        load_pem_x509_certificate(make_ca(name, at).certificate)
        for name, at in (("root", NOW), ("other", NOW), ("root", NOW + _DAY))
    )
    for given in ([former, other, successor], [successor, other, former]):
        assert set(without_succeeded(given)) == {other, successor}
