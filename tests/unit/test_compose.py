"""docker-compose.yml and Dockerfile, as far as they can be judged without an engine.

`compose-spec` is the compose specification as types: it refuses unknown keys and wrong values.
"""

import re
from pathlib import Path

import pytest
import yaml
from compose_spec import PyCompose

from loyalty.settings import VARIABLES

ROOT = Path(__file__).resolve().parents[2]
COMPOSE = (ROOT / "docker-compose.yml").read_text()
DOCKERFILE = (ROOT / "Dockerfile").read_text()
SERVICES = yaml.safe_load(COMPOSE)["services"]


def test_the_file_follows_the_compose_specification() -> None:
    assert PyCompose.from_yaml(COMPOSE).service_names() == ["postgres", "redis", "api"]
    with pytest.raises(ValueError, match="bild"):
        PyCompose.from_yaml(COMPOSE.replace("build: .", "bild: ."))


def test_the_api_waits_until_what_it_needs_is_healthy() -> None:
    needed = SERVICES["api"]["depends_on"]
    assert {name: wait["condition"] for name, wait in needed.items()} == {
        "postgres": "service_healthy",
        "redis": "service_healthy",
    }
    assert all("healthcheck" in SERVICES[name] for name in needed)


def test_the_urls_lead_to_the_services_with_their_names_and_passwords() -> None:
    database, postgres = (
        SERVICES["api"]["environment"]["LOYALTY_DATABASE_URL"],
        SERVICES["postgres"]["environment"],
    )
    user, password, name = (postgres[f"POSTGRES_{part}"] for part in ("USER", "PASSWORD", "DB"))
    assert database == f"postgresql://{user}:{password}@postgres/{name}"
    assert SERVICES["api"]["environment"]["LOYALTY_REDIS_URL"].startswith("redis://redis:")


def test_only_settings_that_exist_are_set() -> None:
    known = {variable.name for variable in VARIABLES}
    used = {name for name in SERVICES["api"]["environment"] if name.startswith("LOYALTY_")}
    used |= set(re.findall(r"LOYALTY_[A-Z_]+", DOCKERFILE))
    assert used <= known


def test_nothing_is_open_to_other_machines() -> None:
    ports = [port for service in SERVICES.values() for port in service.get("ports", [])]
    assert ports
    assert all(port.startswith("127.0.0.1:") for port in ports)


def test_volumes_that_are_used_are_declared() -> None:
    used = {mount.split(":")[0] for service in SERVICES.values() for mount in service.get("volumes", [])}
    assert used == set(yaml.safe_load(COMPOSE)["volumes"])


def test_the_image_is_built_from_files_that_exist_and_are_sent() -> None:
    sent = {line[1:] for line in (ROOT / ".dockerignore").read_text().split() if line.startswith("!")}
    for line in re.findall(r"^COPY (?!--from)(.+)$", DOCKERFILE, re.MULTILINE):
        for source in line.split()[:-1]:
            assert (ROOT / source).exists(), source
            assert source.split("/")[0] in sent, source


def test_the_image_checks_hashes_is_not_root_and_tells_its_health() -> None:
    installs = re.findall(r"pip[^&\n]* install [^&\n]*", DOCKERFILE)
    assert all("--require-hashes" in install or "--no-index" in install for install in installs)
    assert re.search(r"^USER loyalty$", DOCKERFILE, re.MULTILINE)
    assert "/health/ready" in DOCKERFILE
