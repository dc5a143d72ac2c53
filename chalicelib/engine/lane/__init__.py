"""How work is asked for, taken up and let go: at most one operation of an application at a time.

is started, looked after   engine, line (what waits), calling (of workers), dead_letters
starts by itself           schedules (backups), sweeps
is taken up and done       worker, lease, running, turns, budget; collector
a step works with          work, clusters (sessions with API servers), journal (what it finds out), destination
is not taken away          needed (versions and clusters that are in use)
"""
