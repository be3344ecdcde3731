"""Commands that need no running gateway, and how failures are told."""

import json
import socket
import subprocess
import sys
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from sqlalchemy.exc import OperationalError

from creditgate.refusal import Violation
from gateway.administration.history import KINDS
from gateway.cli.failures import SPEAKING, Failure, failure_of
from gateway.cli.operator import HISTORY_KINDS
from gateway.oauth.keys import LEAD_SECONDS
from gateway.storage.engines import sqlite_files
from tests.cli.commands import (
    EVERY,
    PROGRAM,
    creditgate_forked,
    creditgate_here,
    environment,
    run_here,
)

HEAVY = (
    "grpc",
    "sqlalchemy",
    "httpx",
    "authlib",
    "starlette",
    "alembic",
    "pyarrow",
    "cryptography",
)


def commands(command: Any, path: tuple[str, ...] = ()) -> list[tuple[tuple[str, ...], Any]]:
    """Return every command below one, with the words that call it."""
    below = getattr(command, "commands", None)
    if below is None:
        return [(path, command)]
    return [each for name, sub in below.items() for each in commands(sub, (*path, name))]


COMMANDS = commands(EVERY)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A folder for an installation."""
    return tmp_path / "home"


def test_every_command_answers_in_json_and_has_words_for_what_it_does() -> None:
    assert COMMANDS
    for path, command in COMMANDS:
        assert any("--json" in parameter.opts for parameter in command.params), path
        assert command.help, path


def with_help() -> list[Any]:
    """Return every command: the first of each group in each run, all in the long one."""
    first = {path[0]: path for path, _ in reversed(COMMANDS)}
    return [
        pytest.param(
            *each,
            id=" ".join(each[0]),
            marks=() if each[0] in first.values() else pytest.mark.soak,
        )
        for each in COMMANDS
    ]


@pytest.mark.parametrize(("path", "command"), with_help())
def test_a_command_says_what_it_does(path: tuple[str, ...], command: Any) -> None:
    shown = run_here(*path, "--help")
    assert shown.status == 0
    assert command.help.splitlines()[0] in " ".join(shown.out.split())


def test_help_waits_for_nothing_it_does_not_need() -> None:
    code = f"""
import sys
from gateway.cli.main import app
from gateway.cli.operator import HISTORY_KINDS
try:
    app(["--help"])
except SystemExit:
    pass
print([name for name in {HEAVY!r} if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.rstrip().endswith("[]")


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("creditgate query X --purpose sup", ["supplier-check"]),
        (
            "creditgate scope grant X --scope credit.rec",
            [
                "credit.recognitions:grade",
                "credit.recognitions:recognise",
                "credit.records:read",
            ],
        ),
        ("creditgate client register X --role pub", ["publisher"]),
        ("creditgate lic", ["licence"]),
    ],
)
def test_the_shell_completes_terms(words: str, found: list[str]) -> None:
    environment = {
        "_CREDITGATE_COMPLETE": "complete_bash",
        "COMP_WORDS": words,
        "COMP_CWORD": str(len(words.split()) - 1),
    }
    done = run_here(env=environment)
    assert done.out.split() == found


def test_init_sets_up_once_and_then_changes_nothing(home: Path) -> None:
    first = creditgate_here(home, "init", "--json")
    assert first.status == 0, first.told
    profile = Path(first.json["profile"])
    keys = {
        path: path.read_bytes() for path in home.rglob("*.*") if path.suffix in {".pem", ".key"}
    }
    assert profile.exists()
    assert keys
    again = creditgate_here(home, "init", "--json")
    assert again.json == first.json
    assert {path: path.read_bytes() for path in keys} == keys


def test_signing_keys_are_rotated_and_retired(home: Path) -> None:
    assert creditgate_here(home, "init").status == 0
    (first,) = creditgate_here(home, "key", "list", "--json").json["keys"]
    rotate = ("key", "rotate", "--reason", "due", "--in", "0", "--json")
    kid = creditgate_here(home, *rotate).json["kid"]
    retire = ("key", "retire", first["kid"], "--reason", "over", "--json")
    early = creditgate_here(home, *retire)
    assert (early.status, early.json["error"]["reason"]) == (2, "STATE_CONFLICT")
    assert creditgate_here(home, *retire, "--at-once").status == 0
    keys = creditgate_here(home, "key", "list", "--json").json["keys"]
    assert [key["kid"] for key in keys] == [kid, first["kid"]]
    assert [key["retired_at"] is None for key in keys] == [True, False]
    assert all(datetime.fromisoformat(key["active_from"]).tzinfo == UTC for key in keys)
    assert datetime.fromisoformat(keys[1]["retired_at"]).tzinfo == UTC
    only = creditgate_here(home, "key", "retire", kid, "--reason", "over", "--json")
    assert (only.status, only.json["error"]["reason"]) == (2, "STATE_CONFLICT")


def test_a_new_key_is_published_before_it_signs(home: Path) -> None:
    assert creditgate_here(home, "init").status == 0
    kid = creditgate_here(home, "key", "rotate", "--reason", "due", "--json").json["kid"]
    old, new = creditgate_here(home, "key", "list", "--json").json["keys"]
    assert new["kid"] == kid
    begins = [datetime.fromisoformat(key["active_from"]) for key in (old, new)]
    assert (begins[1] - begins[0]).total_seconds() >= LEAD_SECONDS
    retired = creditgate_here(home, "key", "retire", old["kid"], "--reason", "over", "--json")
    assert (retired.status, retired.json["error"]["reason"]) == (2, "STATE_CONFLICT")


@pytest.mark.parametrize("file", ["another key's", "not for the gateway's user"])
def test_keys_tell_which_signs_where_the_file_of_the_newest_cannot_be_used(
    home: Path, file: str
) -> None:
    assert creditgate_here(home, "init").status == 0
    (first,) = creditgate_here(home, "key", "list", "--json").json["keys"]
    rotate = ("key", "rotate", "--reason", "due", "--in", "0", "--json")
    kid = creditgate_here(home, *rotate).json["kid"]
    retire = ("key", "retire", first["kid"], "--reason", "over", "--at-once", "--json")
    newest = home / "keys" / f"{kid}.pem"
    if file == "another key's":
        newest.write_bytes(newest.with_name(f"{first['kid']}.pem").read_bytes())
    else:
        # Root, who may run this, reads it all the same.
        newest.chmod(0)
    keys = creditgate_here(home, "key", "list", "--json").json["keys"]
    assert [(key["kid"], key["signs"]) for key in keys] == [(kid, False), (first["kid"], True)]
    sheet = creditgate_here(home, "key", "list")
    rows = {line.split()[0]: line.split()[-1] for line in sheet.out.splitlines() if line.strip()}
    assert (rows[kid], rows[first["kid"]]) == ("unusable", "yes")
    kept = creditgate_here(home, *retire)
    assert (kept.status, kept.json["error"]["reason"]) == (2, "STATE_CONFLICT")


@pytest.mark.parametrize("kid", ["-rQx", "--x_A", "-"])
def test_a_key_whose_id_begins_with_a_dash_is_named_like_any_other(home: Path, kid: str) -> None:
    assert creditgate_here(home, "init").status == 0
    retired = creditgate_here(home, "key", "retire", kid, "--reason", "over", "--json")
    assert (retired.status, retired.json["error"]["reason"]) == (2, "RESOURCE_NOT_FOUND")


def test_without_a_profile_the_mend_is_told(home: Path) -> None:
    home.mkdir()
    done = creditgate_here(home, "operator", "list", "--json")
    assert done.status == 1
    assert "creditgate init" in done.json["error"]["message"]


def test_without_a_gateway_the_mend_is_told(home: Path) -> None:
    profile = creditgate_here(home, "init", "--json").json["profile"]
    done = creditgate_here(home, "operator", "list", "--profile", profile)
    assert (done.status, done.out) == (1, "")
    assert "creditgate serve" in done.told


def test_the_default_profile_lies_in_the_home_that_is_configured(tmp_path: Path) -> None:
    config = tmp_path / "gateway.toml"
    config.write_text(f'home = "{tmp_path / "elsewhere"}"\n', encoding="utf-8")
    expected = str(Path("clients") / "administrator" / "profile.json")

    def asked(*words: str | Path, **settings: str) -> str:
        done = creditgate_here(tmp_path / "home", *words, "--json", **settings)
        assert done.status == 1
        return done.json["error"]["message"]

    listing = ("operator", "list")
    assert str(tmp_path / "home" / expected) in asked(*listing)
    # An empty setting is none, so that the file's home is seen.
    assert str(tmp_path / "elsewhere" / expected) in asked(*listing, HOME="", CONFIG=str(config))
    keys = ("--make-keys", tmp_path / "keys", "--reason", "x")
    rotate = ("client", "rotate", "one", *keys)
    by_option = asked(*rotate, "--config", config, HOME="")
    assert str(tmp_path / "elsewhere" / expected) in by_option
    assert "named.json" in asked(*listing, PROFILE="named.json")
    assert "chosen.json" in asked(*listing, "--profile", "chosen.json", PROFILE="named.json")


def test_settings_at_fault_are_one_document_for_a_client_too(home: Path) -> None:
    done = creditgate_here(home, "operator", "list", "--json", GRPC_PORT="seventy")
    assert done.status == 1
    assert "grpc_port" in done.json["error"]["message"]


@pytest.mark.parametrize(
    ("words", "field"),
    [
        (("query", "X", "--purpose", "marketing"), "--purpose"),
        (("query", "X"), "--purpose"),
        (("operator", "show"), "OPERATOR"),
        (("batch", "no-such-file", "--purpose", "bidding"), "FILE"),
        (("load", "no-such-file"), "SOURCE"),
        (("load", ""), "SOURCE"),
        (("demo", "--data", ""), "--data"),
        (("serve", "--demo", "--data", __file__), "--data"),
        (("operator", "list", "--nothing"), "--nothing"),
        (("operator",), "--json"),
    ],
)
def test_a_wrong_call_is_one_document_that_names_the_word(
    home: Path, words: tuple[str, ...], field: str
) -> None:
    done = creditgate_here(home, *words, "--json")
    error = done.json["error"]
    assert (done.status, error["reason"], done.told) == (2, "USAGE", "")
    (violation,) = error["violations"]
    assert violation["field"] == field
    assert violation["description"] in error["message"]


@pytest.mark.parametrize("words", [("nothing",), ("operator", "nothing")])
def test_a_command_that_is_none_is_one_document(home: Path, words: tuple[str, ...]) -> None:
    done = creditgate_here(home, *words, "--json")
    assert (done.status, done.json["error"]["reason"]) == (2, "USAGE")
    assert "nothing" in done.json["error"]["message"]


def test_people_get_the_usage_of_a_wrong_call(home: Path) -> None:
    done = creditgate_here(home, "operator", "show")
    assert (done.status, done.out) == (2, "")
    assert "Usage: " in done.told


def test_a_report_that_cannot_be_written_is_told_by_its_own_name(
    home: Path, tmp_path: Path
) -> None:
    report = tmp_path / "missing" / "rejects.csv"
    done = creditgate_here(home, "load", tmp_path, "--report", report)
    assert (done.status, done.out) == (1, "")
    assert f"{report} cannot be written" in done.told


def test_the_history_knows_the_kinds_the_help_names() -> None:
    assert HISTORY_KINDS == KINDS


def test_a_profile_whose_files_are_missing_says_which(home: Path) -> None:
    profile = Path(creditgate_here(home, "init", "--json").json["profile"])
    (profile.parent / "key.pem").unlink()
    done = creditgate_here(home, "operator", "list", "--profile", profile)
    assert done.status == 1
    assert str(profile.parent / "key.pem") in done.told
    assert "client rotate" in done.told


@pytest.mark.parametrize("name", ["certificate.pem", "key.pem", "signing.pem"])
def test_keys_that_were_made_elsewhere_are_not_written_over(
    home: Path, tmp_path: Path, name: str
) -> None:
    profile = Path(creditgate_here(home, "init", "--json").json["profile"])
    (kept := tmp_path / name).write_text("their own", encoding="utf-8")
    register = ("client", "register", "one", "--role", "publisher", "--reason", "x")
    done = creditgate_here(home, *register, "--make-keys", tmp_path, "--profile", profile)
    assert done.status == 1
    assert str(kept) in done.told
    assert kept.read_text(encoding="utf-8") == "their own"


def test_a_key_of_another_kind_is_not_registered_as_ours(home: Path) -> None:
    profile = Path(creditgate_here(home, "init", "--json").json["profile"])
    key = ed25519.Ed25519PrivateKey.generate()
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (profile.parent / "signing.pem").write_bytes(pem)
    register = ("client", "register", "administrator", "--role", "administrator", "--reason", "x")
    done = creditgate_here(home, *register, "--make-keys", profile.parent, "--profile", profile)
    assert done.status == 1
    assert "--jwks" in done.told


def test_settings_at_fault_are_named_without_their_value(home: Path) -> None:
    done = creditgate_forked(home, "serve", GRPC_PORT="seventy")
    assert done.status == 1
    assert "grpc_port" in done.told
    assert "seventy" not in done.told


@pytest.mark.parametrize("port", ["GRPC_PORT", "HTTPS_PORT"])
def test_a_taken_port_is_told_with_its_setting(home: Path, port: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        number = str(taken.getsockname()[1])
        done = creditgate_forked(home, "serve", **{port: number})
    assert done.status == 1
    assert f":{number}" in done.told
    assert f"CREDITGATE_{port}" in done.told


def test_two_servers_that_are_set_to_one_port_are_refused(home: Path) -> None:
    done = creditgate_forked(home, "serve", GRPC_PORT="50999", HTTPS_PORT="50999")
    assert done.status == 1
    assert "set grpc_port and https_port to different ports" in done.told
    done = creditgate_forked(
        home, "serve", "--demo", HTTPS_PORT="8444", DEVELOPMENT_PROVIDER_PORT="8444"
    )
    assert done.status == 1
    assert "set https_port and development_provider_port to different ports" in done.told
    assert not home.exists()


def test_a_web_side_that_cannot_listen_ends_the_start(home: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        number = str(free.getsockname()[1])
    # Another way to write 127.0.0.1, so that it is found only when both listen.
    done = creditgate_forked(home, "serve", GRPC_PORT=number, HTTPS_PORT=number, HTTPS_HOST="127.1")
    assert (done.status, done.out) == (1, "")
    assert "A port is taken" in done.told
    assert f"HTTPS 127.1:{number}" in done.told


@pytest.mark.parametrize("name", ["GRPC", "HTTPS"])
@pytest.mark.parametrize("host", ["999.1.1.1", "192.0.2.1", "no.such.host.invalid"])
def test_an_address_of_no_host_or_of_another_is_told_as_that(
    home: Path, name: str, host: str
) -> None:
    done = creditgate_forked(home, "serve", **{f"{name}_HOST": host})
    assert done.status == 1
    assert f"{name.replace('GRPC', 'gRPC')} cannot listen at {host}" in done.told
    assert f"Set CREDITGATE_{name}_HOST" in done.told
    assert "taken" not in done.told


def test_health_without_a_home_names_the_file_and_the_setting(home: Path) -> None:
    done = creditgate_here(home, "health")
    assert done.status == 1
    assert f"{home / 'pki' / 'server.pem'} cannot be read" in done.told
    assert "is `home` right (CREDITGATE_HOME)?" in done.told
    error = creditgate_here(home, "health", "--json").json["error"]
    assert (error["reason"], error["message"]) == ("UNABLE", done.told.strip())


@pytest.mark.parametrize(
    ("written", "fault"), [(None, "cannot be read"), ("PEM", "is no certificate")]
)
def test_health_with_a_certificate_that_is_none_names_its_setting(
    home: Path, tmp_path: Path, written: str | None, fault: str
) -> None:
    own = tmp_path / "own.pem"
    if written is not None:
        own.write_text(written, encoding="utf-8")
    done = creditgate_here(home, "health", TLS_CERTIFICATE=str(own), TLS_KEY="key.pem")
    assert done.status == 1
    assert f"{own} {fault}" in done.told
    assert "CREDITGATE_TLS_CERTIFICATE" in done.told


def test_data_is_loaded_by_a_demo_only(home: Path, tmp_path: Path) -> None:
    done = creditgate_forked(home, "serve", "--data", tmp_path)
    assert done.status == 1
    assert "--demo" in done.told


@pytest.mark.parametrize("name", sorted(SPEAKING))
def test_exceptions_told_by_their_own_message_exist(name: str) -> None:
    module, _, kind = name.rpartition(".")
    assert issubclass(getattr(import_module(module), kind), Exception)


def test_an_unexpected_failure_is_one_line_with_its_place() -> None:
    with pytest.raises(KeyError) as caught:
        {}["missing"]
    failure = failure_of(caught.value)
    assert failure.exit_status == 1
    assert "KeyError at test_local.py:" in failure.as_text()
    assert "\n" not in failure.as_text()


def test_every_failure_gives_scripts_a_reason(home: Path) -> None:
    profile = Path(creditgate_here(home, "init", "--json").json["profile"])
    listing = ("operator", "list", "--profile", profile, "--json")
    away = creditgate_here(home, *listing)
    (profile.parent / "key.pem").unlink()
    keyless = creditgate_here(home, *listing)
    for done, reason in ((away, "UNREACHABLE"), (keyless, "UNABLE")):
        assert (done.status, done.json["error"]["reason"]) == (1, reason)
    assert failure_of(FileNotFoundError(2, "No such file", "x")).reason == "FILE"
    assert failure_of(OperationalError("select 1", {}, Exception("gone"))).reason == "STORE"
    unexpected = failure_of(KeyError("x"))
    assert unexpected.reason == "UNEXPECTED"
    assert not unexpected.as_text().startswith("UNEXPECTED"), "people are told in words"


def test_a_store_that_cannot_be_written_is_not_told_to_be_set_up(home: Path) -> None:
    """`init` itself would advise `init` on a full disk."""
    limited = ("sh", "-c", 'ulimit -f 40; exec "$@"', "sh", *PROGRAM, "init")
    done = subprocess.run(
        limited, env=environment(home), capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert done.stderr.startswith("The store cannot be used: ")
    assert "creditgate init" not in done.stderr


def test_a_store_without_tables_is_told_to_be_set_up(home: Path) -> None:
    home.mkdir()
    for file in sqlite_files(home).values():
        file.touch()
    done = creditgate_here(home, "key", "list")
    assert done.status == 1
    assert "no such table" in done.told
    assert "`creditgate init` sets one up" in done.told
    assert "SELECT" not in done.told


def test_a_failure_says_the_same_to_people_and_to_scripts() -> None:
    failure = Failure(2, "INVALID_REQUEST", "Mend it.", (Violation("items", "at most 64"),), 1.5)
    assert failure.as_text() == (
        "INVALID_REQUEST: Mend it. (try again in 1.5 s)\n  items: at most 64"
    )
    assert json.loads(json.dumps(failure.as_document())) == {
        "error": {
            "reason": "INVALID_REQUEST",
            "message": "Mend it.",
            "violations": [{"field": "items", "description": "at most 64"}],
            "retry_after": 1.5,
        }
    }
