"""`python -m benchmarks` measures a real gateway and writes figures under stable names."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.quality.project import ROOT

NAMES = {
    "unary.throughput_of_bare_echo",
    "unary.server_cpu_over_bare_echo",
    "unary.gateway_calls_per_second",
    "unary.gateway_server_cpu_per_call",
    "unary.gateway_p99",
    "unary.echo_calls_per_second",
    "unary.echo_server_cpu_per_call",
    "unary.echo_p99",
    "token.verification_over_unary_call",
    "token.verification_cpu",
    "token.endpoint_tokens_per_second",
    "token.endpoint_server_cpu_per_token",
    "token.endpoint_p99",
}


def benchmarks(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run the program as `make bench` does."""
    return subprocess.run(
        [sys.executable, "-m", "benchmarks", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What a quick look at unary calls and tokens writes down."""
    folder = tmp_path_factory.mktemp("bench")
    output = folder / "figures.json"
    done = benchmarks("unary", "token", "--quick", "--folder", folder, "--output", output)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "unary.throughput_of_bare_echo" in done.stdout
    return json.loads(output.read_text(encoding="utf-8"))


@pytest.mark.soak
def test_figures_have_stable_names_and_are_positive(written: dict[str, Any]) -> None:
    measures = written["measures"]
    assert measures.keys() == NAMES
    for measure in measures.values():
        assert 0 < measure["low"] <= measure["median"] <= measure["high"]


@pytest.mark.soak
def test_a_figure_stands_beside_its_goal(written: dict[str, Any]) -> None:
    measure = written["measures"]["unary.throughput_of_bare_echo"]
    assert measure["at_least"] == 0.65
    assert measure["met"] is (measure["median"] >= 0.65)


@pytest.mark.soak
def test_the_share_of_verification_is_a_part_of_the_call(written: dict[str, Any]) -> None:
    share = written["measures"]["token.verification_over_unary_call"]
    assert share["at_most"] == 0.05
    assert share["high"] < 0.5


@pytest.mark.soak
def test_figures_name_the_machine_the_commit_and_the_time(written: dict[str, Any]) -> None:
    assert written["machine"]["cores"] >= 1
    assert {"python", "grpcio", "sqlite"} <= written["machine"].keys()
    assert written["commit"]
    assert written["taken_at"].endswith("+00:00")


def test_an_unknown_part_is_refused_with_the_known_ones() -> None:
    done = benchmarks("unray")
    assert done.returncode == 2
    assert "unray" in done.stderr
    assert "conventional" in done.stderr
