"""What is live, read once and kept as a version.

is read       reading, rows (what stays of each object), live (some by name), strayed (what left its selection)
is kept       packing (into segments), keeping (between two turns)
belongs to it noting (references), closure (what they lead to)
beside it     health (of the application), retention (which versions end after it)
"""
