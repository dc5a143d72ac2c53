"""The Chalice application: it registers blueprints and triggers, and decides nothing."""

from __future__ import annotations

from chalice.app import Chalice

from chalicelib.entrypoints.api.blueprints import BLUEPRINTS
from chalicelib.entrypoints.api.routing import one_shape
from chalicelib.entrypoints.events import queue, schedule

app = Chalice(app_name="mainstay")
app.register_middleware(one_shape, "http")

for blueprint in BLUEPRINTS:
    app.register_blueprint(blueprint)

app.register_blueprint(schedule.events)
app.register_blueprint(queue.events)
