"""From the API's JSON to what a person reads.

Promises: pure functions; time, width and symbols are arguments, so a test can hold the very text. Whatever
came from a cluster is made printable first: an object's value cannot move the cursor or colour the terminal.
It must not know where the JSON came from.
"""
