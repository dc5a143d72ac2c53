"""One module for each family of commands: read the command line, call the gateway, show the answer.

They hold no rules of their own. Whatever needs more than a few lines to draw is in `rendering`; whatever needs
more than one call to find is in `naming`.
"""
