"""Every failure of a route as `{"error": one line}` with a fitting status; never a stack trace."""

import errno

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from annotations.errors import AnnotationsError, DatabaseRefused, ExportRefused, NotFound
from app.failures import OURS, Refused, explain
from engine.errors import EngineError, WeightsMissing

_STATUS: tuple[tuple[type[Exception], int], ...] = (
    (NotFound, 404),
    (DatabaseRefused, 503),
    (ExportRefused, 409),
    (FileExistsError, 409),
    (WeightsMissing, 409),
)
# Answered inside the application; what is none of these is a fault of ours, answered too and logged by the server.
_FORESEEN = (Refused, AnnotationsError, EngineError, LookupError, ValueError, OSError)


def install(app: FastAPI) -> None:
    """Answer every exception of `app`'s routes in one line."""
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    for kind in (*_FORESEEN, Exception):
        app.add_exception_handler(kind, _failed)


def status_of(error: Exception) -> int:
    """The HTTP status an error deserves: 4xx when the sender can help it, 5xx when not."""
    for kind, status in _STATUS:
        if isinstance(error, kind):
            return status
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return 507
    if type(error).__module__.split(".")[0] not in OURS:
        return 500
    return 404 if isinstance(error, LookupError) else 422


def answer(status: int, error: str) -> JSONResponse:
    """`{"error": error}`."""
    return JSONResponse({"error": error}, status_code=status)


async def _failed(request: Request, error: Exception) -> JSONResponse:
    return answer(status_of(error), explain(error))


async def _invalid(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    if first["type"] == "json_invalid":
        reason = first.get("ctx", {}).get("error", "it ends too early")
        return answer(422, f"The body of the request is not JSON ({reason}, at character {first['loc'][-1]}).")
    where = ".".join(str(part) for part in first["loc"] if part not in ("body", "path", "query"))
    message = " ".join(str(first["msg"]).split())
    return answer(422, f"{where}: {message}." if where else f"{message}.")


async def _http(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    return answer(error.status_code, " ".join(str(error.detail).split()))
