"""What a restore would do: the rules of `planning`, fed with both sides.

is made              planner, gating (what waits for what), plans (as they are kept), stale, compare
from what is kept    wanted, carrying (to another place), known_fields (of its cluster), original
and what is live     facts (that the rules need), dependents, held (what must stay), neighbours (other applications),
                     dry_run
"""
