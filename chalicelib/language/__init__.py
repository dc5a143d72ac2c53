"""Document text ↔ document.

    loader    text → `Document`, or `Invalid` with every problem, its line, its column and how to mend it
    support   what of a document this release does not carry out yet
    schema    the JSON Schema that editors use
    writer    a first document for what runs in a namespace

Pure: text in, text out. It knows no cluster, no repository and no clock. Nothing but `Invalid` leaves it, whatever
the text is.
"""
