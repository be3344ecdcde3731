"""What a region says of itself, and by which keys others know it."""

import json
from base64 import urlsafe_b64decode
from pathlib import Path
from typing import Any

import pytest

from gateway.federation.trust.configuration import LIFE_SECONDS, EntityConfiguration, Published
from gateway.federation.trust.own import OwnRegion
from gateway.federation.trust.statement import REGION_METADATA, self_signed
from gateway.pki.development import Issued, make_ca, make_client_certificate
from operators.regions import region_client_id
from tests.clock import NOW, StandingClock
from tests.federation.trust.signing import ANCHOR, LEAF, new_key

CA = make_ca("test", NOW)


def certificate(folder: Path, name: str) -> Issued:
    made = make_client_certificate(CA, name, NOW)
    made.write(folder / f"{name}.pem", folder / f"{name}.key")
    return made


@pytest.fixture
def own(tmp_path: Path) -> OwnRegion:
    certificate(tmp_path, "now")
    return OwnRegion(
        entity_id=LEAF,
        certificate=tmp_path / "now.pem",
        key=tmp_path / "now.key",
        roots=CA.certificate.decode(),
        entity_key=new_key(),
        assertion_key=new_key(),
        clock=StandingClock(),
    )


def published(**changed: Any) -> Published:
    return Published(["leaf.example:443"], {"disclosure": "key"}, {"keys": []}, "v1")._replace(
        **changed
    )


def claims_of(text: str) -> dict[str, Any]:
    body = text.split(".")[1]
    claims: dict[str, Any] = json.loads(urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    return claims


def test_a_configuration_is_signed_anew_when_it_changes_or_is_half_over(own: OwnRegion) -> None:
    clock = own.clock
    assert isinstance(clock, StandingClock)
    state = [published()]
    configuration = EntityConfiguration(own, lambda: ANCHOR, lambda: state[0])
    first = configuration.signed()
    assert configuration.signed() == first
    said = self_signed(first, NOW)
    assert (said.sub, said.authority_hints, said.exp) == (LEAF, [ANCHOR], NOW + LIFE_SECONDS)
    state[0] = published(catalogue_version="v2")
    second = configuration.signed()
    assert claims_of(second)["metadata"][REGION_METADATA]["catalogue_version"] == "v2"
    clock.at = NOW + LIFE_SECONDS // 2
    third = configuration.signed()
    assert claims_of(third)["iat"] == clock.at
    assert third != second


def test_a_certificate_is_told_of_before_it_takes_the_place_of_another(
    own: OwnRegion, tmp_path: Path
) -> None:
    now = own.thumbprints
    later = certificate(tmp_path, "later")
    both = OwnRegion(
        own.entity_id, own.certificate, own.key, own.roots, own.entity_key, own.assertion_key,
        own.clock, tmp_path / "later.pem",
    )  # fmt: skip
    assert both.thumbprints == [*now, later.thumbprint]
    text = EntityConfiguration(both, lambda: ANCHOR, published).signed()
    shown = claims_of(text)["metadata"][REGION_METADATA]["certificate_thumbprints"]
    assert shown == both.thumbprints


def test_an_assertion_is_for_one_server_and_one_use(own: OwnRegion) -> None:
    first, second = (claims_of(own.assertion("https://home.example")) for _ in range(2))
    assert first["aud"] == "https://home.example"
    assert first["iss"] == first["sub"] == own.client_id == region_client_id(LEAF)
    assert first["jti"] != second["jti"]
    assert first["exp"] - first["iat"] == 60
