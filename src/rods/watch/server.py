"""Serves the pages."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Sequence
from functools import wraps
from pathlib import Path

import uvicorn
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import (
    HTMLResponse,
    JSONResponse,
    PlainTextResponse,
    RedirectResponse,
    Response,
)
from starlette.routing import Route

from rods.digest.search import Filters
from rods.errors import UserError
from rods.html import readable
from rods.listening import address, listener
from rods.report.document import CHARTS, style
from rods.watch import pages
from rods.watch.access import Access, token_for
from rods.watch.places import STATIC, VERSIONS, Places
from rods.watch.run import Keeper, WatchedRun

HERE = Path(__file__).parent
YIELD = 10  # of the scheduler: the trainer comes first
MOST_VALUE = 200  # characters of a filter
MOST_BEFORE = 10**15
FILES: dict[str, tuple[str, Callable[[], str]]] = {  # name -> its type, and its text
    "page.css": ("text/css", lambda: style() + (HERE / "watch.css").read_text("utf-8")),
    "chart.js": ("text/javascript", lambda: (CHARTS / "chart.js").read_text("utf-8")),
    "watch.js": ("text/javascript", lambda: (HERE / "watch.js").read_text("utf-8")),
}


def serve(folders: Sequence[Path], host: str, port: int, say: Callable[[str], None]) -> None:
    """Serve the pages of runs until a signal comes.

    Args:
        port: 0 for any that is free.
        say: told the address.

    Raises:
        UserError: a run cannot be read, or the address cannot be used.
    """
    token = token_for(host)
    with listener(host, port) as listening:
        keeper = Keeper(folders)
        try:
            os.nice(YIELD)
            signal.signal(signal.SIGTERM, _end)  # raised once more when the server has stopped
            keeper.start()
            say(f"{address(host, listening)}/")
            settings = uvicorn.Config(
                application(keeper, token),
                log_level="warning",
                lifespan="off",
                server_header=False,
                timeout_graceful_shutdown=2,
            )
            uvicorn.Server(settings).run(sockets=[listening])
        finally:
            keeper.close()


def _end(number: int, frame: object) -> None:
    sys.exit(128 + number)


def application(keeper: Keeper, token: str = "") -> Access:
    """The pages of the runs that are kept.

    Args:
        token: see `Access`.
    """
    routes = {
        "/": _home,
        VERSIONS: _versions,
        f"{STATIC}{{name}}": _file,
        "/run/{run}": _page(lambda run, request: pages.overview(run)),
        "/run/{run}/tasks": _page(_tasks),
        "/run/{run}/task/{id}": _page(_task),
        "/run/{run}/episodes": _page(_episodes),
        "/run/{run}/episode/{id}": _page(_episode),
        "/run/{run}/episode/{id}/message/{number:int}": _message,
        "/run/{run}/compare": _compare,
    }
    app = Starlette(
        routes=[
            Route(path, _with(handler, keeper), methods=["GET"]) for path, handler in routes.items()
        ],
        exception_handlers={404: _not_found},
    )
    return Access(app, token)


Handler = Callable[[Keeper, Request], Response]


def _with(handler: Handler, keeper: Keeper) -> Callable[[Request], Response]:
    """The handler for Starlette, which runs it in a thread."""

    @wraps(handler)
    def handle(request: Request) -> Response:
        return handler(keeper, request)

    return handle


def _page(render: Callable[[WatchedRun, Request], str]) -> Handler:
    """A handler of a page of a run."""

    def handle(keeper: Keeper, request: Request) -> Response:
        run = _run(keeper, request)
        try:
            return HTMLResponse(render(run, request))
        except pages.MissingError as error:
            return HTMLResponse(pages.missing(run, str(error)), 404)
        except UserError as error:
            return HTMLResponse(pages.missing(run, str(error)), 500)

    return handle


def _run(keeper: Keeper, request: Request) -> WatchedRun:
    run = keeper.runs.get(request.path_params["run"])
    if run is None:
        raise HTTPException(404)
    return run


def _home(keeper: Keeper, request: Request) -> Response:
    if len(keeper.runs) == 1:
        return RedirectResponse(Places(*keeper.runs).run, 307)
    return HTMLResponse(pages.runs(keeper.runs))


def _versions(keeper: Keeper, request: Request) -> Response:
    found = {name: str(run.version) for name, run in keeper.runs.items()}
    return JSONResponse({"runs": found, "all": ".".join(found.values())})


def _file(keeper: Keeper, request: Request) -> Response:
    found = FILES.get(request.path_params["name"])
    if found is None:
        raise HTTPException(404)
    kind, text = found
    return Response(text(), media_type=kind)


def _filters(request: Request) -> Filters:
    asked = request.query_params
    return Filters(*(asked.get(name, "").strip()[:MOST_VALUE] for name in Filters._fields))


def _before(request: Request) -> int:
    text = request.query_params.get("before", "")
    return min(int(text[:16]), MOST_BEFORE) if text.isascii() and text.isdecimal() else 0


def _tasks(run: WatchedRun, request: Request) -> str:
    return pages.tasks(run, _filters(request), _before(request))


def _episodes(run: WatchedRun, request: Request) -> str:
    return pages.episodes(run, _filters(request), _before(request))


def _task(run: WatchedRun, request: Request) -> str:
    return pages.task(run, request.path_params["id"], request.query_params.get("beside", ""))


def _episode(run: WatchedRun, request: Request) -> str:
    return pages.episode(run, request.path_params["id"], request.query_params.get("beside", ""))


def _message(keeper: Keeper, request: Request) -> Response:
    run = _run(keeper, request)
    try:
        text = pages.message(run, request.path_params["id"], request.path_params["number"])
    except pages.MissingError as error:
        return PlainTextResponse(readable(str(error)), 404)
    except UserError as error:
        return PlainTextResponse(readable(str(error)), 500)
    return PlainTextResponse(readable(text))


def _compare(keeper: Keeper, request: Request) -> Response:
    """Leads to the two episodes that were picked from a list."""
    run = _run(keeper, request)
    picked = request.query_params.getlist("pick")
    if len(picked) != 2:
        why = f"pick two episodes to see them side by side; {len(picked)} were picked"
        return HTMLResponse(pages.missing(run, why), 400)
    return RedirectResponse(Places(run.name).episode(*picked), 303)


def _not_found(request: Request, error: Exception) -> Response:
    return HTMLResponse(pages.missing(None, "There is no such page."), 404)
