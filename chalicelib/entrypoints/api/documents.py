"""`/document`: texts in Mainstay's language, without storing them."""

from __future__ import annotations

from chalicelib.entrypoints.api.routing import Api, Call
from chalicelib.services.models.documents import DocumentCheck, DocumentRequest, Draft, DraftRequest

api = Api(__name__)


@api.route("/document/check", method="POST", body=DocumentRequest, answer=DocumentCheck)
def check_document(call: Call[DocumentRequest, None]) -> DocumentCheck:
    """Check a document: everything that is wrong in it, with line and column."""
    return call.services.documents.check(call.asker, call.body)


@api.route("/document/draft", method="POST", body=DraftRequest, answer=Draft, statuses=(502,))
def draft_document(call: Call[DraftRequest, None]) -> Draft:
    """Write a first document from what runs in a namespace, which is read for 5 s at most."""
    return call.services.documents.draft(call.asker, call.body)
