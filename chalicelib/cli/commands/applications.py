"""`app …` and `status`: the applications and how they are."""

from __future__ import annotations

from typing import Any

import click

from chalicelib.cli.agreement import agree
from chalicelib.cli.command import Group, command
from chalicelib.cli.commands.automatic import autobackup
from chalicelib.cli.commands.documents import examine, read_text
from chalicelib.cli.commands.names import application_argument
from chalicelib.cli.endings import conclude
from chalicelib.cli.exits import Exit
from chalicelib.cli.failure import Failure
from chalicelib.cli.gateway import Json
from chalicelib.cli.naming import find_application
from chalicelib.cli.session import Session


@click.group(
    "app",
    cls=Group,
    short_help="Register, list, show, change and delete applications.",
    then="""An application is a name and a document that says what its state is. Write a document with `{program}
    init`.""",
    examples=[
        ("From nothing to a first version", "{program} init -n shop && {program} app add shop.yaml"),
        ("What there is", "{program} app list"),
    ],
)
def app() -> None:
    """Register, list, show, change and delete applications."""


@command(
    "add",
    short_help="Register an application.",
    then="""The document is checked and stored; the cluster is not touched. Without FILE the service writes a
    document from what runs in the namespace. Others that mean some of the same objects are warned of.
    Next: `{program} backup NAME`.""",
    examples=[
        ("With a document", "{program} app add shop.yaml"),
        ("Under another name than the document's", "{program} app add shop.yaml --name shop-eu"),
        ("Without a document", "{program} app add --name shop -n shop"),
    ],
)
@click.argument("file", metavar="[FILE]", required=False)
@click.option("--name", metavar="NAME", help="Default: the name in the document.")
@click.option("--description", metavar="TEXT", help="For people.")
@click.option("-n", "--namespace", metavar="NAMESPACE", help="Write the document from what runs here.")
@click.option("--cluster", metavar="NAME", help="With --namespace: the cluster, if more than one is registered.")
def add(
    session: Session,
    *,
    file: str | None,
    name: str | None,
    description: str | None,
    namespace: str | None,
    cluster: str | None,
) -> None:
    """Register an application, with a document or from what runs in a namespace."""
    if (file is None) == (namespace is None):
        raise click.UsageError("Give either FILE, the document, or --namespace.")
    body: Json = {"description": description, "namespace": namespace, "cluster": cluster}
    if file is not None:
        body["document"], body["name"] = _document(file, name)
    else:
        body["name"] = name or namespace
    try:
        application = session.gateway.register({key: given for key, given in body.items() if given is not None})
    except Failure as failure:
        if failure.code == "conflict" and failure.details.get("name"):
            failure.hint = (
                f"Change that one: {{program}} app update {failure.details['name']} --file {file or 'FILE'}\n"
                "Or register this under another name: --name NAME"
            )
        raise
    _show_one(session, application)
    _warn(session, application)
    session.screen.hint(session.named(f"Next: {{program}} backup {application['name']}"))


@command(
    "list",
    short_help="All applications.",
    then="Every application you may see, in the order in which they were registered.",
    examples=[("Names for a script", "{program} app list -o json | jq -r '.items[].name'")],
)
def list_(session: Session) -> None:
    """All applications, with id and status."""
    answer = session.gateway.applications()

    def render() -> Any:
        from chalicelib.cli.rendering.applications import applications_table

        if not answer["items"]:
            return ["No application is registered yet."]
        return applications_table(answer["items"], session.now)

    session.screen.show(answer, render, ids=(item["id"] for item in answer["items"]))
    if not answer["items"]:
        session.screen.hint(session.named("Register one: {program} init -n NAMESPACE, then {program} app add FILE"))


@command(
    "show",
    short_help="One application.",
    then="With --document only the document, as it was given: redirect it to a file to change it.",
    examples=[
        ("One application", "{program} app show shop"),
        ("Get its document to change it", "{program} app show shop --document > shop.yaml"),
    ],
)
@application_argument()
@click.option("--document", is_flag=True, help="Its document, and nothing else.")
def show(session: Session, *, application: str, document: bool) -> None:
    """One application, or its document."""
    show_application(session, application, document=document)


@command(
    "update",
    short_help="Change an application.",
    then="""Only what is given changes. A new document counts from the next backup on: versions keep the document
    they were made with. An inactive application starts nothing by itself. Others that mean some of the same
    objects are warned of.""",
    examples=[
        ("A new document", "{program} app update shop --file shop.yaml"),
        ("Stop its schedules", "{program} app update shop --inactive"),
    ],
)
@application_argument()
@click.option("--file", "file", metavar="FILE", help="A new document; - is stdin.")
@click.option("--name", metavar="NAME", help="A new name.")
@click.option("--description", metavar="TEXT", help="A new description.")
@click.option("--active/--inactive", "active", default=None, help="Whether its schedules run.")
def update(
    session: Session,
    *,
    application: str,
    file: str | None,
    name: str | None,
    description: str | None,
    active: bool | None,
) -> None:
    """Change an application's document, name, description or status."""
    body: Json = {"name": name, "description": description}
    if file is not None:
        body["document"], _ = _document(file, name)
    if active is not None:
        body["status"] = "active" if active else "inactive"
    body = {key: given for key, given in body.items() if given is not None}
    if not body:
        raise click.UsageError("Nothing to change: give --file, --name, --description, --active or --inactive.")
    found = find_application(session.gateway, application)
    changed = session.gateway.change(found["id"], body)
    _show_one(session, changed)
    _warn(session, changed)


@command(
    "delete",
    short_help="Delete an application and its versions.",
    then="""What runs in the cluster is not touched: only what Mainstay keeps of it. Without --keep-versions every
    version is gone afterwards, and nobody can bring it back.""",
    examples=[
        ("Delete it and its versions", "{program} app delete shop"),
        ("Keep the versions in the repository", "{program} app delete shop --keep-versions --yes"),
    ],
)
@application_argument()
@click.option("--keep-versions", is_flag=True, help="Leave its versions in the repository.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@click.option("--wait/--no-wait", default=True, help="Wait until it is done (default).")
def delete(session: Session, *, application: str, keep_versions: bool, yes: bool, wait: bool) -> Exit:
    """Delete an application and, unless they are kept, its versions."""
    found = find_application(session.gateway, application)
    if not yes:
        count = 0 if keep_versions else len(session.gateway.versions(found["id"], safety=True)["items"])
        lost = f" and its {count} version{'' if count == 1 else 's'}" if count else ""
        agree(session, f"Delete {found['name']}{lost}?", yes=False)
    operation = session.gateway.delete(found["id"], keep_versions=keep_versions)
    return conclude(session, operation, found["name"], wait=wait)


@command(
    "status",
    short_help="How applications are.",
    then="""Health is as last observed; --refresh looks at the cluster now. The exit code is 0 whatever the state
    is: ask for it with -o json.""",
    examples=[
        ("All applications at a glance", "{program} status"),
        ("One, as it is now", "{program} status shop --refresh"),
        ("Its state in a script", "{program} status shop -o json | jq -r .state"),
    ],
)
@application_argument(required=False)
@click.option("--refresh", is_flag=True, help="Look at the cluster now, five seconds at most.")
def status(session: Session, *, application: str | None, refresh: bool) -> None:
    """State, health and versions of one application, or of all."""
    if application is None:
        _all_statuses(session, refresh=refresh)
        return
    found = find_application(session.gateway, application)
    answer = session.gateway.status(found["id"], refresh=refresh)

    def render() -> Any:
        from chalicelib.cli.rendering.applications import status_page

        return status_page(found, answer, session.now)

    session.screen.show(answer, render, ids=[str(answer.get("state", ""))])


def _all_statuses(session: Session, *, refresh: bool) -> None:
    applications = session.gateway.applications()["items"]
    statuses = [(each, _status_of(session, each, refresh=refresh)) for each in applications]
    answer = {"items": [{"application": each["id"], "name": each["name"], **found} for each, found in statuses]}

    def render() -> Any:
        from chalicelib.cli.rendering.applications import statuses_table

        return statuses_table(statuses, session.now) if statuses else ["No application is registered yet."]

    session.screen.show(answer, render, ids=(f"{each['name']} {found.get('state', '')}" for each, found in statuses))


def _status_of(session: Session, application: Json, *, refresh: bool) -> Json:
    if application.get("status") == "damaged":
        return {"id": application["id"], "state": "damaged"}
    return session.gateway.status(application["id"], refresh=refresh)


def _document(file: str, name: str | None) -> tuple[str, str]:
    """A document's text and the name to register it under; a problem in it is told before anything is sent."""
    text = read_text(file)
    own_name, problems = examine(text)
    if problems:
        raise Failure(
            f"{file} cannot be used.",
            code="invalid",
            exit_code=Exit.FAILED,
            hint=f"See where: {{program}} check {file}",
            details={"problems": problems},
        )
    return text, name or str(own_name)


def show_application(session: Session, application: str, *, document: bool = False) -> None:
    """Show the application with this id or name, or only its document."""
    found = session.gateway.application(find_application(session.gateway, application)["id"])
    if document and session.screen.for_people:
        session.out.write(str(found.get("document", "")))
    else:
        _show_one(session, found)


def _show_one(session: Session, application: Json) -> None:
    def render() -> Any:
        from chalicelib.cli.rendering.applications import application_page

        return application_page(application, session.now)

    session.screen.show(application, render, ids=[application["id"]])


def _warn(session: Session, application: Json) -> None:
    """What the service found out when it took the document: others that mean the same objects, another name in it."""
    from chalicelib.cli.rendering.words import printable

    for sentence in application.get("warnings") or ():
        session.screen.warn(printable(str(sentence)))


for each in (add, list_, show, update, autobackup, delete):
    app.add_command(each)
