"""Every address of a viewer, and what answers it."""

from __future__ import annotations

from tornado.web import Application

from histocnn.viewing import handlers, reason_handlers, teach_handlers
from histocnn.viewing.at_work import Viewing
from histocnn.viewing.guarded import Guarded

_TOKEN, _NUMBER = r"/([^/]*)", r"(\d{1,9})"
_KEY = r"([a-z]+\d{0,4})"  # of a layer
_SLIDE = rf"{_TOKEN}/slide/{_NUMBER}"
_PATCH = rf"{_NUMBER}/{_NUMBER}"  # source and row

ROUTES: tuple[tuple[str, type[Guarded]], ...] = (
    (rf"{_TOKEN}/", handlers.Page),
    (rf"{_TOKEN}/page/([a-z_.]+)", handlers.Page),
    (rf"{_TOKEN}/cohort", handlers.Cohort),
    (_SLIDE, handlers.Slide),
    (rf"{_SLIDE}/layers", handlers.Layers),
    (rf"{_SLIDE}/tile/{_NUMBER}/{_NUMBER}/{_NUMBER}", handlers.Tile),
    (rf"{_SLIDE}/thumbnail", handlers.Thumbnail),
    (rf"{_SLIDE}/tissue", handlers.Tissue),
    (rf"{_SLIDE}/outlines/(tissue|annotations)", handlers.Outlines),
    (rf"{_SLIDE}/values/{_NUMBER}/{_KEY}", handlers.Values),
    (rf"{_SLIDE}/why/{_NUMBER}", reason_handlers.Why),
    (rf"{_SLIDE}/patch/{_PATCH}", reason_handlers.Patch),
    (rf"{_SLIDE}/neighbour/{_PATCH}/{_NUMBER}", reason_handlers.Neighbour),
    (rf"{_TOKEN}/network", reason_handlers.Network),
    (rf"{_SLIDE}/because/{_PATCH}/{_NUMBER}", reason_handlers.Because),
    (rf"{_SLIDE}/channels/{_PATCH}", reason_handlers.Channels),
    (rf"{_SLIDE}/channel/{_PATCH}/{_NUMBER}", reason_handlers.Channel),
    (rf"{_SLIDE}/teach", teach_handlers.State),
    (rf"{_SLIDE}/teach/tell", teach_handlers.Tell),
    (rf"{_SLIDE}/teach/undo", teach_handlers.Undo),
    (rf"{_SLIDE}/teach/save", teach_handlers.Save),
    (rf"{_SLIDE}/teach/suggest", teach_handlers.Suggest),
    (rf"{_SLIDE}/teach/values/{_KEY}", teach_handlers.TaughtValues),
    (rf"{_TOKEN}(?:/.*)?", handlers.Nothing),
    (r"(.*)", handlers.Nothing),
)


def application(viewing: Viewing) -> Application:
    """The server's answers; each passes `guard.refusal` first."""
    return Application(
        [(address, handler, {"viewing": viewing}) for address, handler in ROUTES],
        log_function=lambda _: None,
    )
