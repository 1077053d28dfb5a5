"""Who may come in: HTTP Basic credentials with a login back-off, the rule for listening beyond this machine."""

import base64
import binascii
import hashlib
import hmac
import ipaddress
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field

LOCAL = "local"
"""Whose name an edit bears when nobody logged in: on the page without a password, and at the command line."""

FREE_ATTEMPTS = 5  # wrong passwords in a row before the first wait
LONGEST_WAIT_S = 60.0
MOST_ADDRESSES = 10_000  # addresses remembered at once; the oldest goes first


class BindingRefused(ValueError):
    """The page may not listen where it was asked to."""


class CredentialsRefused(ValueError):
    """`--auth` is not USER:PASSWORD."""


@dataclass(frozen=True)
class Credentials:
    """One user and their password."""

    user: str
    password: str = field(repr=False)

    @classmethod
    def parse(cls, text: str) -> "Credentials":
        """Read `USER:PASSWORD`; the password may itself contain colons.

        Raises:
            CredentialsRefused: a part is missing.
        """
        user, colon, password = text.partition(":")
        if not (user and colon and password):
            raise CredentialsRefused(
                "--auth must be USER:PASSWORD with both parts filled in, as in --auth ada:long-secret."
            )
        return cls(user, password)

    def match(self, header: bytes) -> bool:
        """Whether an `Authorization` header carries these credentials, in constant time (RFC 7617)."""
        scheme, _, encoded = header.partition(b" ")
        if scheme.lower() != b"basic":
            return False
        try:
            given = base64.b64decode(encoded.strip(), validate=True)
        except (binascii.Error, ValueError):
            return False
        wanted = f"{self.user}:{self.password}".encode()
        return hmac.compare_digest(hashlib.sha256(given).digest(), hashlib.sha256(wanted).digest())


class LoginBackoff:
    """Makes an address wait after wrong passwords: 1 s, 2 s, 4 s ... `LONGEST_WAIT_S`."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._failures: OrderedDict[str, tuple[int, float]] = OrderedDict()  # address -> (in a row, wait until)

    def seconds_left(self, address: str) -> float:
        """How long this address still has to wait; 0 when it may try."""
        _, until = self._failures.get(_network(address), (0, 0.0))
        return max(0.0, until - self._clock())

    def failed(self, address: str) -> None:
        """Count one wrong password."""
        key = _network(address)
        count = self._failures.pop(key, (0, 0.0))[0] + 1
        over = count - FREE_ATTEMPTS
        wait_s = min(LONGEST_WAIT_S, 2.0 ** min(over, 16)) if over >= 0 else 0.0
        self._failures[key] = (count, self._clock() + wait_s)
        while len(self._failures) > MOST_ADDRESSES:
            self._failures.popitem(last=False)

    def succeeded(self, address: str) -> None:
        """Forget the failures of an address that knows the password."""
        self._failures.pop(_network(address), None)


def is_local(host: str) -> bool:
    """Whether a bind address can be reached from this machine only."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def check_binding(host: str, auth: Credentials | None) -> None:
    """Refuse to listen beyond this machine without a password.

    Raises:
        BindingRefused: `host` is not a loopback address and `auth` is None.
    """
    if auth is None and not is_local(host):
        raise BindingRefused(
            f"Refusing to listen on {host!r} without a password: others could read and change everything. "
            "Add --auth USER:PASSWORD, or use --host 127.0.0.1."
        )


def _network(address: str) -> str:
    """The address, or for IPv6 its /64: one household or server has that many."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((parsed, 64), strict=False))
    return address
