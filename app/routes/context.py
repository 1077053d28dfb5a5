"""What every route needs to know of its request: the services, who is asking, the raw body."""

from typing import Annotated, cast

from fastapi import Depends, Path, Request

from app.credentials import LOCAL
from app.services import Services


def _services(request: Request) -> Services:
    return cast(Services, request.app.state.services)


def _who(request: Request) -> str:
    return str(request.scope.get("who") or LOCAL)


async def _raw_body(request: Request) -> bytes:
    return await request.body()


Context = Annotated[Services, Depends(_services)]
"""The services this server was built with."""

Who = Annotated[str, Depends(_who)]
"""The user the guard let in; 'local' when there is no login."""

RawBody = Annotated[bytes, Depends(_raw_body)]
"""The whole body, unparsed; the guard has limited its size."""

LARGEST_ID = 2**63 - 1  # what a database's integer holds

RowId = Annotated[int, Path(ge=1, le=LARGEST_ID)]
"""The number of a row, from the address."""
