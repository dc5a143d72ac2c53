"""What wakes the workers in Lambda: a minute's schedule and a queue.

Each handler is a declaration and one call. In Lambda a handler runs by its own handler string and `app.py` is never
imported, so everything comes from `bootstrap` and nothing from the app.
"""
