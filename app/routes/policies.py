"""The declared policy of every route: which methods it takes, how large a body, or that it stays closed.

What has no policy is refused by the guard, and a test fails when a route (Gradio's included) has none.
Our page needs no Gradio event, so everything of Gradio's that takes or hands out data is closed:
its upload, file, proxy, queue and monitoring doors never open.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

KB, MB = 1024, 1024 * 1024
QUERY_BODY = 64 * KB  # a GET has no body; some clients send an empty one
JSON_BODY = 8 * MB  # masks of a large edit fit
UPLOAD_BODY = 64 * MB  # one image


@dataclass(frozen=True)
class Policy:
    """What one group of paths accepts; no methods at all means closed."""

    pattern: re.Pattern[str]
    methods: frozenset[str]
    body_bytes: int = QUERY_BODY
    is_page: bool = False  # Gradio's page: its script needs a wider content policy

    @property
    def is_closed(self) -> bool:
        """Whether the guard answers 404 whatever the method."""
        return not self.methods


def _policy(pattern: str, methods: str = "", body_bytes: int = QUERY_BODY, *, is_page: bool = False) -> Policy:
    return Policy(re.compile(pattern), frozenset(methods.split()), body_bytes, is_page)


_ID = "[0-9]{1,18}"
_UUID = r"[0-9a-fA-F-]{1,40}"

POLICIES: tuple[Policy, ...] = (
    # the page, its scripts and styles
    _policy(r"/", "GET HEAD", is_page=True),
    _policy(r"/(assets|static)/[^\\\0]+", "GET HEAD"),
    _policy(r"/(theme\.css|favicon\.ico)", "GET HEAD"),
    _policy(r"/web/[^\\\0]+", "GET HEAD"),
    # our own data
    _policy(r"/api/(status|models)", "GET"),
    _policy(r"/api/examples(/[^/\\\0]+)?", "GET"),
    _policy(r"/api/models/(promote|rollback)", "POST", JSON_BODY),
    _policy(r"/api/datasets", "GET POST", JSON_BODY),
    _policy(r"/api/datasets/(examples|import)", "POST", JSON_BODY),
    _policy(rf"/api/datasets/{_ID}/(images|preview|runs|teachable)", "GET"),
    _policy(rf"/api/datasets/{_ID}/(categories|evaluations)", "GET POST", JSON_BODY),
    _policy(rf"/api/datasets/{_ID}/upload", "POST", UPLOAD_BODY),
    _policy(rf"/api/datasets/{_ID}/(detect|train|export|accept)", "POST", JSON_BODY),
    _policy(rf"/api/categories/{_ID}", "PATCH DELETE", JSON_BODY),
    _policy(rf"/api/images/{_ID}/(pixels|thumbnail|shapes)", "GET"),
    _policy(rf"/api/images/{_ID}/(edits|segment)", "POST", JSON_BODY),
    _policy(rf"/api/jobs/{_UUID}", "GET"),
    _policy(rf"/api/jobs/{_UUID}/stop", "POST", JSON_BODY),
    _policy(rf"/api/runs/{_UUID}", "GET"),
    _policy(rf"/api/runs/{_UUID}/(stop|resume)", "POST", JSON_BODY),
    _policy(r"/api/exports/[^/\\\0]+/zip", "GET"),
    # Gradio's doors that the page does not use
    _policy(r"/gradio_api(/.*)?"),
    _policy(r"/(login|logout|config)/?"),
    _policy(r"/svelte/.*"),
    _policy(r"/(robots\.txt|manifest\.json)"),
    _policy(r"/pwa_icon(/.*)?"),
    _policy(r"/monitoring(/.*)?"),
)


def policy_for(path: str, policies: Iterable[Policy] = POLICIES) -> Policy | None:
    """The first policy whose pattern matches the whole path, or None when nobody declared one."""
    return next((policy for policy in policies if policy.pattern.fullmatch(path)), None)
