"""Listening: the port, the address, the line a person reads when it does not work."""

import tomllib
from pathlib import Path

import pytest

from app.server import PortTaken, listening_socket
from app.version import VERSION


def test_a_port_in_use_is_named_with_what_to_do() -> None:
    with listening_socket("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(PortTaken, match=rf"^Port {port} is in use [^\n]+ add --port {port + 1}\.$"):
            listening_socket("127.0.0.1", port)


@pytest.mark.parametrize("port", [65_536, 70_000, -1])
def test_a_port_that_does_not_exist_is_refused(port: int) -> None:
    with pytest.raises(PortTaken, match=rf"^Port {port} does not exist: [^\n]+$"):
        listening_socket("127.0.0.1", port)


@pytest.mark.parametrize("host", ["203.0.113.7", "no such host", "nowhere.invalid"])
def test_an_address_of_another_machine_is_refused(host: str) -> None:
    with pytest.raises(PortTaken, match=r"^Can't listen on [^\n]+ use --host 127\.0\.0\.1\.$"):
        listening_socket(host, 0)


def test_a_free_port_is_given_up_again() -> None:
    with listening_socket("127.0.0.1", 0) as first:
        port = first.getsockname()[1]
    with listening_socket("127.0.0.1", port):
        pass


def test_the_version_is_that_of_the_project_file() -> None:
    project = tomllib.loads(Path("pyproject.toml").read_text())["project"]
    assert project["version"] == VERSION
