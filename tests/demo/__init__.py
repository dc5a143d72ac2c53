"""`make demo`: the main job, on a real cluster, as a newcomer would do it by hand."""
