"""The policy of conformance is read whole or not at all."""

import math
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from creditgate.v1.conformance_service_pb2 import FindingKind
from creditgate.v1.vocabulary_pb2 import Severity
from gateway.config import ConfigRefused
from gateway.conformance.policy import Sampling
from gateway.conformance.policy_file import SHIPPED, read_policy

INFORMATION = {
    FindingKind.FINDING_KIND_UNSPECIFIED,
    FindingKind.FINDING_KIND_MISSING,
}


def written(folder: Path, **changed: object) -> Path:
    """Write the shipped policy with changes; None leaves a part out."""
    policy = yaml.safe_load(SHIPPED.read_text(encoding="utf-8")) | changed
    file = folder / "policy.yaml"
    kept = {name: value for name, value in policy.items() if value is not None}
    file.write_text(yaml.safe_dump(kept), encoding="utf-8")
    return file


def test_every_kind_but_information_entails_something() -> None:
    policy = read_policy()
    for kind in FindingKind.values():
        assert (policy.rule(kind) is None) == (kind in INFORMATION)


def test_the_graver_a_record_the_sooner_its_copies_must_go() -> None:
    policy = read_policy()
    grades = sorted(Severity.values())
    for seconds in (policy.removal_seconds, policy.rectify_seconds):
        lives = [seconds(grade) for grade in grades]
        assert lives == sorted(lives, reverse=True)


def test_a_grade_not_known_yet_has_the_shortest_time() -> None:
    policy = read_policy()
    assert policy.removal_seconds(99) == policy.removal_seconds(Severity.SEVERITY_SERIOUS)


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"removal": None}, "removal"),
        ({"warned": "P0D"}, "warned"),
        ({"kinds": {"NEVER_SERVED": {"first": "RECTIFY", "last": "SUSPENDED"}}}, "PERIOD_ALTERED"),
        ({"unknown": 1}, "unknown"),
        ({"sampling": {"lied_share": 2, "caught": 0.9, "most": 1, "answer": "P1D"}}, "lied_share"),
    ],
)
def test_a_faulty_policy_is_refused_by_the_place_of_its_fault(
    tmp_path: Path, changed: dict[str, object], told: str
) -> None:
    with pytest.raises(ConfigRefused, match=told):
        read_policy(written(tmp_path, **changed))


def test_stages_that_run_backwards_are_refused(tmp_path: Path) -> None:
    kinds = yaml.safe_load(SHIPPED.read_text(encoding="utf-8"))["kinds"]
    kinds["NEVER_SERVED"] = {"first": "SUSPENDED", "last": "WARNED"}
    with pytest.raises(ConfigRefused, match="last must not come before first"):
        read_policy(written(tmp_path, kinds=kinds))


@pytest.mark.parametrize("content", [b"\x00", b"- 1", b"a: [", b"x" * 70_000])
def test_what_is_no_policy_is_refused(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "policy.yaml"
    file.write_bytes(content)
    with pytest.raises(ConfigRefused):
        read_policy(file)


def test_a_policy_that_says_one_thing_twice_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "policy.yaml"
    file.write_text(SHIPPED.read_text(encoding="utf-8") + "\nwarned: P9D\n", encoding="utf-8")
    with pytest.raises(ConfigRefused, match="warned is given twice"):
        read_policy(file)


@pytest.mark.parametrize("changed", [{"lied_share": 1e-300}, {"unshown": "PT72H"}])
def test_a_sampling_that_means_nothing_is_refused(
    tmp_path: Path, changed: dict[str, object]
) -> None:
    sampling = yaml.safe_load(SHIPPED.read_text(encoding="utf-8"))["sampling"]
    with pytest.raises(ConfigRefused, match="sampling"):
        read_policy(written(tmp_path, sampling=sampling | changed))


def test_however_seldom_a_lie_is_to_be_caught_a_copy_is_asked_for() -> None:
    least = {"lied_share": 0.05, "caught": 1e-300, "most": 200, "answer": "P1D"}
    assert Sampling.model_validate(least).copies(9) == 1


def test_a_policy_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigRefused, match="mend conformance_policy"):
        read_policy(tmp_path / "none.yaml")


@given(
    held=st.integers(0, 5_000),
    lied_share=st.floats(0.005, 0.5),
    caught=st.floats(0.5, 0.9999),
)
def test_a_sample_catches_who_lies_about_the_stated_share_with_the_stated_probability(
    held: int, lied_share: float, caught: float
) -> None:
    sampling = Sampling.model_validate(
        {"lied_share": lied_share, "caught": caught, "most": 1_000, "answer": "P1D"}
    )
    drawn = sampling.copies(held)
    assert drawn <= held
    if drawn in {held, 1_000}:
        return
    lied = math.ceil(held * lied_share)
    honest = held - lied
    # Hypergeometric: none of those drawn is one of those lied about.
    missed = math.comb(honest, drawn) / math.comb(held, drawn) if drawn <= honest else 0.0
    assert 1 - missed >= caught - 1e-9
