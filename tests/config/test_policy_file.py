"""Policies are read strictly: what is no number, flag, duration or date is not taken for one."""

from datetime import timedelta
from pathlib import Path

import pytest

from gateway.alerts.policy_file import SHIPPED as ALERTS
from gateway.alerts.policy_file import read_alert_policy
from gateway.config import ConfigRefused
from gateway.usage.policy_file import read_agreement_policy


def written(folder: Path, text: str) -> Path:
    """Return a policy file with ``text``."""
    file = folder / "policy.yaml"
    file.write_text(text, encoding="utf-8")
    return file


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("subjects_a_day: 10000", "subjects_a_day: 010000", "line 4: this is read as a number"),
        ("subjects_a_day: 10000", "subjects_a_day: yes", "line 4: this is read as true or false"),
        ("subjects_a_day: 10000", "subjects_a_day: true", "sweep.subjects_a_day: use a whole"),
        ("subjects_a_day: 10000", "subjects_a_day: '10000'", "sweep.subjects_a_day: use a whole"),
        ("share: 0.5", "share: true", "purpose_drift.share: use a number"),
        ("share: 0.5", "share: '0.5'", "purpose_drift.share: use a number"),
        ("share: 0.5", "share: 5e-1", "purpose_drift.share: use a number"),
        ("share: 0.5", "share: .inf", "line 12: this is read as a number"),
    ],
)
def test_a_threshold_is_a_number_and_nothing_else(
    tmp_path: Path, old: str, new: str, told: str
) -> None:
    shipped = ALERTS.read_text(encoding="utf-8")
    assert old in shipped
    with pytest.raises(ConfigRefused) as refusal:
        read_alert_policy(written(tmp_path, shipped.replace(old, new, 1)))
    assert told in str(refusal.value)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{remind: 7, refuse: P14D}", "remind: use a duration in ISO 8601, such as P7D"),
        ("{remind: P7D, refuse: true}", "refuse: use a duration"),
        ("{remind: 12:00, refuse: P14D}", "line 1: this is read as a number"),
        ("{remind: P7D, refuse: ~, excused: {delta: 86400}}", "excused.delta: use a date"),
        (
            "{remind: P7D, refuse: ~, excused: {delta: 2027-02-30}}",
            "line 1: this is read as a date",
        ),
        ("{remind: P7D, refuse: ~, excused: {012: 2027-01-31}}", "line 1: use plain words"),
    ],
)
def test_a_duration_or_date_is_no_number_and_no_flag(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(ConfigRefused) as refusal:
        read_agreement_policy(written(tmp_path, text))
    assert told in str(refusal.value)


def test_who_is_excused_is_read_with_the_day(tmp_path: Path) -> None:
    text = "remind: P7D\nrefuse: ~\nexcused: {delta: 2027-01-31, '012': '2027-01-31'}\n"
    policy = read_agreement_policy(written(tmp_path, text))
    assert policy.remind == timedelta(days=7)
    assert {name: day.isoformat() for name, day in policy.excused.items()} == {
        "delta": "2027-01-31",
        "012": "2027-01-31",
    }


def test_a_policy_that_refers_to_itself_again_and_again_is_refused_soon(tmp_path: Path) -> None:
    steps = "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 12))
    for text in (f"a0: &a0 x\n{steps}", "a: &a [*a]\n"):
        with pytest.raises(ConfigRefused, match="is no YAML"):
            read_alert_policy(written(tmp_path, text))
