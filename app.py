"""The Chalice application: it registers blueprints and triggers, and decides nothing."""

from __future__ import annotations

from chalice.app import Chalice

from chalicelib.entrypoints.api.blueprints import BLUEPRINTS
from chalicelib.entrypoints.api.routing import one_shape
from chalicelib.entrypoints.events import bucket, queue, schedule
from chalicelib.entrypoints.logs import each_request

# Chalice would give the logger `mainstay` a handler and a level of its own, and warnings would be lost.
app = Chalice(app_name="mainstay", configure_logs=False)
app.register_middleware(each_request, "http")
app.register_middleware(one_shape, "http")

for blueprint in BLUEPRINTS:
    app.register_blueprint(blueprint)

app.register_blueprint(schedule.events)
app.register_blueprint(queue.events)
app.register_blueprint(bucket.events)
