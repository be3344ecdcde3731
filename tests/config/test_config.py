"""Settings come from environment, file and defaults, and are refused when they are wrong."""

from pathlib import Path

import pytest
from pydantic import ValidationError
from sqlalchemy import make_url

from gateway.config import ConfigRefused, GatewayConfig

SECRET = "postgresql://gate:hunter2@db.example/creditgate"


@pytest.fixture(autouse=True)
def no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever runs the tests may have settings of their own."""
    monkeypatch.delenv("CREDITGATE_CONFIG", raising=False)
    for field in GatewayConfig.model_fields:
        monkeypatch.delenv(f"CREDITGATE_{field.upper()}", raising=False)


def written(folder: Path, text: str) -> Path:
    """Return a configuration file with ``text``."""
    file = folder / "gateway.toml"
    file.write_text(text, encoding="utf-8")
    return file


def test_defaults_run_on_loopback_with_the_embedded_store() -> None:
    config = GatewayConfig.load()
    assert config.home == Path("var")
    assert config.database.get_secret_value() == "sqlite"
    assert {config.grpc_host, config.https_host} == {"127.0.0.1"}
    assert config.otlp_endpoint is None


def test_environment_overrides_the_file_and_the_file_the_defaults(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = written(tmp_path, "grpc_port = 7000\nhttps_port = 7001\nworkers = 3\n")
    monkeypatch.setenv("CREDITGATE_HTTPS_PORT", "7002")
    monkeypatch.setenv("creditgate_workers", "4")
    config = GatewayConfig.load(file)
    assert (config.grpc_port, config.https_port, config.workers) == (7000, 7002, 4)


def test_an_empty_variable_overrides_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CREDITGATE_GRPC_PORT", "")
    assert GatewayConfig.load(written(tmp_path, "grpc_port = 7000")).grpc_port == 7000


def test_a_variable_names_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CREDITGATE_CONFIG", str(written(tmp_path, "workers = 2")))
    assert GatewayConfig.load().workers == 2


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("CREDITGATE_SERVICE_HOST", "10.0.0.1"),
        ("CREDITGATE_GRPC_SERVICE_PORT", "443"),
        ("CREDITGATE_PORT", "tcp://10.0.0.1:443"),
        ("CREDITGATE_GRPCS_PORT", "tcp://10.0.0.1:443"),
        ("CREDITGATE_GRPC_PORT_443_TCP_PORT", "443"),
        ("CREDITGATE_PROFILE", "client.json"),
        ("CREDITGATE_DATABASE_SERVICE_HOST", "10.0.0.1"),
        ("CREDITGATE_DATABASE_PORT", "tcp://10.0.0.1:5432"),
        ("CREDITGATE_DATA", "/data"),
        ("CREDITGATE_IMAGE", "creditgate:1"),
        ("CREDITGATE_LOG", "x"),
        ("CREDITGATE_GRPC_PROT", ""),
    ],
)
def test_variables_a_platform_adds_do_no_harm(
    variable: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, value)
    assert GatewayConfig.load() == GatewayConfig()


@pytest.mark.parametrize(
    ("variable", "meant"),
    [
        ("CREDITGATE_GRPC_PROT", "CREDITGATE_GRPC_PORT"),
        ("CREDITGATE_WORKER", "CREDITGATE_WORKERS"),
        ("creditgate_replaywindow_seconds", "CREDITGATE_REPLAY_WINDOW_SECONDS"),
        ("CREDITGATE_MAX_SUBJECT_PER_BATCH", "CREDITGATE_MAX_SUBJECTS_PER_BATCH"),
        ("CREDITGATE_CONFG", "CREDITGATE_CONFIG"),
        ("CREDITGATE_CONFIG_FILE", "CREDITGATE_CONFIG"),
        ("CREDITGATE_PROFLE", "CREDITGATE_PROFILE"),
        ("CREDITGATE_DATABASE_URL", "CREDITGATE_DATABASE"),
        ("CREDITGATE_TLS_CERT", "CREDITGATE_TLS_CERTIFICATE"),
        ("CREDITGATE_FEDERATION_CERTIFICATE_KEYS", "CREDITGATE_FEDERATION_CERTIFICATE_KEY"),
    ],
)
def test_a_misspelt_variable_is_refused_by_what_was_meant(
    variable: str, meant: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, "hunter2")
    with pytest.raises(ConfigRefused, match=f"{variable} is no setting; is {meant} meant") as why:
        GatewayConfig.load()
    assert "hunter2" not in str(why.value)


def test_a_variable_beside_the_setting_it_is_named_after_does_no_harm(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("CREDITGATE_DATABASE", "sqlite")
    monkeypatch.setenv("CREDITGATE_DATABASE_PASSWORD", "hunter2")
    assert GatewayConfig.load() == GatewayConfig()


@pytest.mark.parametrize(
    ("text", "named"),
    [
        pytest.param("grpc_prot = 1", "grpc_prot", id="unknown key"),
        pytest.param("lease_seconds = 1.5", "lease_seconds", id="lease past G4"),
        pytest.param("max_subjects_per_batch = 50001", "max_subjects_per_batch", id="batch"),
        pytest.param("lease_seconds = 0.1", "authority_poll_ms", id="poll as long as the lease"),
        pytest.param("tls_key = 'key.pem'", "tls_certificate", id="key without certificate"),
        pytest.param("issuer = 'http://gate.example'", "issuer", id="issuer without TLS"),
        pytest.param("database = 'mysql://root:hunter2@db'", "database", id="other store"),
        pytest.param("workers = ", "gateway.toml", id="no TOML"),
        pytest.param(
            "usage_export_url = 'http://gate.example'", "usage_export_url", id="uses in the clear"
        ),
        pytest.param("usage_export_token = 'token'", "usage_export_url", id="token for nobody"),
        pytest.param(
            "federation_anchor = 'https://anchor.example'",
            "federation_anchor_keys",
            id="anchor without keys",
        ),
        pytest.param(
            "federation_anchor = 'http://gate.example'", "federation_anchor", id="anchor in clear"
        ),
        pytest.param(
            "federation_anchor = 'https://anchor.example'\nfederation_anchor_keys = 'keys.json'\n"
            "tls_certificate = 'a'\ntls_key = 'b'",
            "federation_roots",
            id="region of unknown authorities",
        ),
        pytest.param(
            "federation_certificate = 'a'", "federation_certificate_key", id="half a certificate"
        ),
        pytest.param(
            "otlp_endpoint = 'https://me:hunter2@collector.example'",
            "OTEL_EXPORTER_OTLP_HEADERS",
            id="collector with a password",
        ),
        pytest.param(
            "otlp_endpoint = 'https://me:hunt/er2@collector.example'",
            "otlp_endpoint",
            id="collector with a password of a path",
        ),
        pytest.param(
            "otlp_endpoint = 'http://hunter2%40collector.example:1'",
            "otlp_endpoint",
            id="collector with a user in code",
        ),
        pytest.param("home = ''", "home", id="home nowhere"),
        pytest.param("home = ' '", "home", id="home of a space"),
        pytest.param("usage_export_folder = ''", "usage_export_folder", id="uses nowhere"),
        pytest.param("federation_lease_seconds = 301", "federation_lease", id="long lease"),
        pytest.param("drain_seconds = true", "drain_seconds", id="flag for seconds"),
        pytest.param("workers = true", "workers", id="flag for a number"),
    ],
)
def test_wrong_settings_are_refused_by_name_and_never_shown(
    tmp_path: Path, text: str, named: str
) -> None:
    with pytest.raises(ConfigRefused, match=named) as refusal:
        GatewayConfig.load(written(tmp_path, text))
    assert "hunter2" not in str(refusal.value)
    assert "http://gate.example" not in str(refusal.value)


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://gate:secret@hunter2@db.example/creditgate",
        "postgresql://gate:secret@hunter2:more@db.example/creditgate",
        "postgresql://gate:secret@hunter2/more@db.example/creditgate",
        "postgresql://gate:secret@hunter2?more@db.example/creditgate",
        "postgresql://gate:hunter2",
        "postgresql://gate:secret@db.example:5432x/creditgate",
    ],
)
def test_a_store_whose_password_would_be_taken_for_its_host_is_refused(
    monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    monkeypatch.setenv("CREDITGATE_DATABASE", url)
    with pytest.raises(ConfigRefused, match="as %40") as refused:
        GatewayConfig.load()
    assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize(
    "url",
    [
        SECRET,
        "postgres://db.example",
        "postgresql://gate@db.example:5432/creditgate",
        "postgresql://gate@realm:hun/ter2?@[::1]:5432/creditgate?sslmode=verify-full&user=a@b",
        "postgresql:///creditgate?host=/run/postgresql",
        "postgresql://gate:hunter%402@db.example:5432/creditgate",
    ],
)
def test_a_store_is_taken_as_sqlalchemy_reads_it(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("CREDITGATE_DATABASE", url)
    assert GatewayConfig.load().database.get_secret_value() == url
    read = make_url(url)
    assert "@" not in (read.host or "")
    assert (read.database or "creditgate") == "creditgate"


@pytest.mark.parametrize(
    "text",
    [
        "grpc_port = 8443",
        "https_port = 50051",
        "grpc_port = 7000\nhttps_port = 7000\nhttps_host = '0.0.0.0'",
        "grpc_port = 7000\nhttps_port = 7000\ngrpc_host = '::'\nhttps_host = '10.0.0.1'",
        "grpc_port = 7000\nhttps_port = 7000\ngrpc_host = 'LocalHost'",
        "grpc_port = 7000\nhttps_port = 7000\ngrpc_host = 'gate.example'\nhttps_host = 'Gate.example'",
        "development_provider = true\ngrpc_port = 8444",
        "development_provider = true\nhttps_host = '0.0.0.0'\nhttps_port = 8444",
    ],
)
def test_two_servers_at_one_address_are_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(ConfigRefused, match=r"set (grpc|https)_port and \w+_port to different"):
        GatewayConfig.load(written(tmp_path, text))


@pytest.mark.parametrize(
    "text",
    [
        "grpc_port = 0\nhttps_port = 0",
        "grpc_port = 8444",
        "grpc_port = 7000\nhttps_port = 7000\nhttps_host = '127.0.0.2'",
        "grpc_port = 7000\nhttps_port = 7000\nhttps_host = '::1'",
        "grpc_port = 7000\nhttps_port = 7000\ngrpc_host = '0.0.0.0'\nhttps_host = '::1'",
        "development_provider = true\nhttps_host = '10.0.0.1'\nhttps_port = 8444",
    ],
)
def test_servers_at_addresses_of_their_own_may_have_any_port(tmp_path: Path, text: str) -> None:
    GatewayConfig.load(written(tmp_path, text))


def test_a_development_provider_that_comes_with_a_demo_has_a_port_of_its_own() -> None:
    config = GatewayConfig(grpc_port=8_444)
    with pytest.raises(ConfigRefused, match="grpc_port and development_provider_port"):
        config.model_copy(update={"development_provider": True}).require_ports_apart()


def test_the_current_folder_is_a_home_where_it_is_named(tmp_path: Path) -> None:
    assert GatewayConfig.load(written(tmp_path, "home = '.'")).home == Path()


def test_a_missing_file_is_refused_with_the_mend(tmp_path: Path) -> None:
    with pytest.raises(ConfigRefused, match="mend --config or CREDITGATE_CONFIG"):
        GatewayConfig.load(tmp_path / "absent.toml")


def test_a_wrong_variable_is_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CREDITGATE_WORKERS", "many")
    with pytest.raises(ConfigRefused, match="workers"):
        GatewayConfig.load()


def test_the_database_password_is_in_no_text_of_the_settings(tmp_path: Path) -> None:
    config = GatewayConfig.load(written(tmp_path, f"database = '{SECRET}'"))
    assert config.database.get_secret_value() == SECRET
    for text in (repr(config), str(config), config.model_dump_json()):
        assert "hunter2" not in text


def test_settings_cannot_be_changed_afterwards() -> None:
    config = GatewayConfig.load()
    with pytest.raises(ValidationError):
        config.workers = 2


def test_every_setting_is_documented() -> None:
    undocumented = [
        name for name, field in GatewayConfig.model_fields.items() if not field.description
    ]
    assert not undocumented
