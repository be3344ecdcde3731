"""Every setting, path and command in deploy/ is one there is, and every rule of safety kept."""

import os
import re
import shlex
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.main import get_command

from gateway.cli.main import app
from gateway.config import PREFIX, GatewayConfig
from tests.deploy.files import (
    DEPLOY,
    ROOT,
    documents,
    every_file,
    manifests,
    named_settings,
    unit_commands,
)

_SETTINGS = {f"{PREFIX}{name.upper()}" for name in GatewayConfig.model_fields}
_POD_KINDS = ("Deployment", "Job")


def _pods() -> list[dict[str, Any]]:
    return [
        each["spec"]["template"]["spec"]
        for (kind, _), each in manifests().items()
        if kind in _POD_KINDS
    ]


def test_every_environment_variable_is_a_setting() -> None:
    unknown = {file.name: named_settings(file) - _SETTINGS for file in every_file()}
    assert not {name: found for name, found in unknown.items() if found}
    given = manifests()["ConfigMap", "creditgate-settings"]["data"]
    values = {
        name.removeprefix(PREFIX).lower(): value
        for name, value in given.items()
        if name in _SETTINGS
    }
    assert GatewayConfig(**values).workers == 2


@pytest.mark.parametrize(
    "file", sorted(DEPLOY.rglob("creditgate.toml")), ids=lambda f: f.parent.name
)
def test_every_file_of_settings_can_be_used(file: Path) -> None:
    config = GatewayConfig.load(file)
    # Else no other version could take over on the same ports.
    assert config.workers >= 2


def test_all_yaml_is_read_and_every_manifest_is_in_its_kustomization() -> None:
    for file in every_file():
        if file.suffix == ".yaml":
            assert documents(file), file
    for folder in ("base", "production"):
        (kustomization,) = documents(DEPLOY / "kubernetes" / folder / "kustomization.yaml")
        listed = {name for name in kustomization["resources"] if name.endswith(".yaml")}
        there = {file.name for file in (DEPLOY / "kubernetes" / folder).glob("*.yaml")}
        assert listed == there - {"kustomization.yaml"}


def test_pods_are_restricted_as_the_pod_security_standard_says() -> None:
    for pod in _pods():
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["runAsUser"] >= 1_000
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert pod["automountServiceAccountToken"] is False
        for container in pod["containers"]:
            context = container["securityContext"]
            assert context["allowPrivilegeEscalation"] is False
            assert context["readOnlyRootFilesystem"] is True
            assert context["capabilities"] == {"drop": ["ALL"]}
            assert container["resources"]["limits"]["memory"]


def test_what_is_mounted_is_there_and_what_settings_name_is_mounted() -> None:
    data = manifests()["ConfigMap", "creditgate-settings"]["data"]
    named = {value for value in data.values() if value.startswith("/")}
    for pod in _pods():
        volumes = {volume["name"] for volume in pod["volumes"]}
        mounts = {mount["mountPath"] for mount in pod["containers"][0]["volumeMounts"]}
        assert {mount["name"] for mount in pod["containers"][0]["volumeMounts"]} == volumes
        assert {path for path in named if not any(path.startswith(at) for at in mounts)} == set()
        writable = {
            mount["mountPath"]
            for mount in pod["containers"][0]["volumeMounts"]
            if not mount.get("readOnly")
        }
        assert writable == {"/var/lib/creditgate", "/tmp"}


def test_time_to_end_is_longer_than_draining() -> None:
    drain, keeper, pause = 20, 10, 5
    pod = manifests()["Deployment", "creditgate"]["spec"]["template"]["spec"]
    assert pod["terminationGracePeriodSeconds"] > pause + drain + keeper + 30
    (compose,) = documents(DEPLOY / "compose" / "compose.yaml")
    assert int(compose["services"]["gateway"]["stop_grace_period"].rstrip("s")) > drain + keeper
    unit = (DEPLOY / "systemd" / "creditgate@.service").read_text()
    assert int(re.findall(r"TimeoutStopSec=(\d+)", unit)[0]) > drain + keeper
    assert "KillMode=mixed" in unit


def test_every_command_is_one_there_is() -> None:
    command = get_command(app)
    words = [words for _, words in unit_commands()]
    words += [container["args"] for pod in _pods() for container in pod["containers"]]
    image = (DEPLOY / "container" / "Containerfile").read_text()
    words += [[word] for word in re.findall(r'^CMD \["(\w+)"\]', image, re.M)]
    words.append(["health"])
    assert '["creditgate", "health"]' in image
    for each in words:
        found, rest = command, list(each)
        while rest and rest[0] in getattr(found, "commands", {}):
            found = found.commands[rest.pop(0)]  # pyright: ignore[reportAttributeAccessIssue]
        assert found is not command, each
        options = {name for parameter in found.params for name in parameter.opts}
        assert {word.split("=")[0] for word in rest if word.startswith("--")} <= options, each


def test_the_image_is_built_from_hashes_and_runs_as_nobody_that_is_known() -> None:
    text = (DEPLOY / "container" / "Containerfile").read_text()
    for copied in re.findall(r"^COPY (?!--from)(.+) \S+$", text, re.M):
        for name in copied.split():
            assert (ROOT / name).exists(), name
    assert "--require-hashes" in text
    assert re.findall(r"^FROM (.+)$", text, re.M) == ["${BASE} AS build", "${BASE}"]
    assert re.findall(r"^USER (.+)$", text, re.M) == ["10001:10001"]
    kept = (DEPLOY / "container" / "Containerfile.dockerignore").read_text()
    for name in re.findall(r"^!(.+)$", kept, re.M):
        assert (ROOT / name).exists(), name


def test_compose_sends_telemetry_where_the_collector_takes_it() -> None:
    (compose,) = documents(DEPLOY / "compose" / "compose.yaml")
    config = GatewayConfig.load(DEPLOY / "compose" / "creditgate.toml")
    (collector,) = documents(DEPLOY / "compose" / "collector.yaml")
    assert config.otlp_endpoint == "http://collector:4317"
    assert "collector" in compose["services"]
    assert collector["receivers"]["otlp"]["protocols"]["grpc"]["endpoint"].endswith(":4317")
    for pipeline in collector["service"]["pipelines"].values():
        for part in ("receivers", "processors", "exporters"):
            assert set(pipeline[part]) <= collector[part].keys()
    gateway = compose["services"]["gateway"]
    assert (gateway["read_only"], gateway["cap_drop"]) == (True, ["ALL"])
    for file in (compose["services"]["gateway"]["build"]["dockerfile"],):
        assert (
            DEPLOY / "compose" / compose["services"]["gateway"]["build"]["context"] / file
        ).exists()
    secrets = {
        secret for each in compose["services"].values() for secret in each.get("secrets", [])
    }
    assert secrets == compose["secrets"].keys()


def test_how_many_replicas_there_are_is_for_the_autoscaler_alone() -> None:
    scaling = manifests("production")["HorizontalPodAutoscaler", "creditgate"]["spec"]
    target = scaling["scaleTargetRef"]
    assert "replicas" not in manifests()[target["kind"], target["name"]]["spec"]


def _policy_of_the_page() -> dict[str, Any]:
    page = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    (policy,) = re.findall(r"^```yaml\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    return yaml.safe_load(policy)


def test_the_page_tells_every_port_that_pods_may_reach() -> None:
    page = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    told = page.split("### What pods may reach")[1].split("```yaml")[0]
    rows = [line.split(" | ") for line in told.splitlines() if line.startswith("|")][2:]
    opened = manifests()["NetworkPolicy", "creditgate"]["spec"]["egress"]
    assert [re.findall(r"\d+", row[-1]) for row in rows] == [
        list(dict.fromkeys(str(port["port"]) for port in rule["ports"])) for rule in opened
    ]
    for row, rule in zip(rows, opened, strict=True):
        for to in rule.get("to", []):
            for label in to.get("podSelector", {}).get("matchLabels", {}).items():
                assert ": ".join(label) in row[0]


def test_the_policy_of_the_page_lets_the_same_pods_reach_a_database_elsewhere() -> None:
    own, more = manifests()["NetworkPolicy", "creditgate"], _policy_of_the_page()
    assert more["spec"]["podSelector"] == own["spec"]["podSelector"]
    assert more["spec"]["policyTypes"] == ["Egress"]
    (rule,) = more["spec"]["egress"]
    assert rule["ports"] == [{"port": 5432}]
    assert [*rule["to"][0]] == ["ipBlock"]


@pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl is not there")
def test_kustomize_makes_the_overlay_and_selects_only_what_there_is() -> None:
    done = subprocess.run(
        ["kubectl", "kustomize", DEPLOY / "kubernetes" / "production"],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    made = {each["kind"]: each for each in yaml.safe_load_all(done.stdout)}
    labels = made["Deployment"]["spec"]["template"]["metadata"]["labels"]
    for selector in (
        made["Deployment"]["spec"]["selector"]["matchLabels"],
        made["Service"]["spec"]["selector"],
        made["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"],
        made["NetworkPolicy"]["spec"]["podSelector"]["matchLabels"],
    ):
        assert selector.items() <= labels.items()
    image = made["Deployment"]["spec"]["template"]["spec"]["containers"][0]["image"]
    assert image.startswith("images.credit.example/creditgate:")
    assert made["HorizontalPodAutoscaler"]["spec"]["minReplicas"] > 1


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not there")
def test_systemd_finds_no_fault_in_the_units(tmp_path: Path) -> None:
    for file in (DEPLOY / "systemd").iterdir():
        if file.suffix in {".service", ".timer"}:
            text = re.sub(r"/opt/creditgate/\S+/bin/creditgate", "/bin/true", file.read_text())
            (tmp_path / file.name.replace("@.", "@a.")).write_text(text)
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *sorted(map(str, tmp_path.iterdir()))],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_the_job_of_an_upgrade_is_run_alone_by_the_label_that_it_has() -> None:
    (job,) = documents(DEPLOY / "kubernetes" / "base" / "first-setup.yaml")
    text = (ROOT / "docs" / "operations.md").read_text()
    ((label, value),) = re.findall(r"--selector (\S+)=(\S+)", text)
    assert job["metadata"]["labels"] == {label: value}
    assert text.index(f"delete job {job['metadata']['name']}") < text.index("--selector")
    assert f"job/{job['metadata']['name']}" in text
    # Every other resource would be changed with it.
    others = [
        each
        for file in (DEPLOY / "kubernetes").rglob("*.yaml")
        for each in documents(file)
        if each and each["kind"] not in {"Kustomization", "Job"}
    ]
    assert all(label not in each["metadata"].get("labels", {}) for each in others)


def test_check_and_copy_run_the_version_that_serves() -> None:
    for name in ("backup", "check"):
        unit = (DEPLOY / "systemd" / f"creditgate-{name}.service").read_text()
        assert "/opt/creditgate/current/bin/creditgate" in unit
    text = (ROOT / "docs" / "operations.md").read_text()
    for place in "ab":
        assert re.search(rf"ln -s\w* {place} /opt/creditgate/current", text)


def test_old_copies_go_once_another_is_made(tmp_path: Path) -> None:
    unit = (DEPLOY / "systemd" / "creditgate-backup.service").read_text()
    # Of a unit of this type it runs where the copy was made.
    assert "Type=oneshot" in unit
    (command,) = re.findall(r"^ExecStartPost=(.+)$", unit, re.MULTILINE)
    for name, days in (("old", 14.5), ("young", 13.5), ("new", 0)):
        copy = tmp_path / name
        copy.mkdir()
        (copy / "records.db").touch()
        made = time.time() - days * 86_400
        os.utime(copy, (made, made))
    words = shlex.split(command.replace("/var/lib/creditgate-copies", str(tmp_path)))
    subprocess.run(words, check=True)
    assert {each.name for each in tmp_path.iterdir()} == {"young", "new"}
    assert (
        "creditgate-copies 0700 creditgate creditgate -"
        in (DEPLOY / "systemd" / "creditgate.tmpfiles.conf").read_text()
    )
