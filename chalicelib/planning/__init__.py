"""From a version and the live state to a plan: rules only.

    elsewhere     an object on its way to another namespace or cluster, or as the user rewrites it
    plan          two streams of objects in, what to do about each of them out, and what to say of it
    selecting     which objects belong to an application, and what refers to what
    bodies        one object: its normal form, what to send for it, what of it may change
    content       ways through the content of objects

    schedule, retention     when a backup is next; which versions stay

Each of the packages knows those below it only; their first lines are maps of their modules.

Pure: bodies, rows and answers are arguments, and so is everything the cluster has to say. It must not know who
reads or writes them, and does no input or output. Same arguments, same plan.
"""
