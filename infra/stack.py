"""One stack of CloudFormation: how it stands, and how it comes to be what a template says, by a change set that is
shown.

A stack that was never complete holds nothing that anybody uses: it is removed before another attempt, because
CloudFormation takes no update of it. One that was complete is never removed from here.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Collection, Mapping
from typing import Any

from infra.checks import DeploymentError

Tell = Callable[[str], None]

#: Seconds that CloudFormation may take, and between two looks.
PATIENCE, PAUSE = 1800.0, 3.0
#: Seconds for which SQS gives the name of a queue that was deleted to nobody.
QUEUE_NAMES_REST = 60.0

#: Of stacks that hold nothing any more, or nothing yet; and of those that may hold a part.
_EMPTY = {"ROLLBACK_COMPLETE", "REVIEW_IN_PROGRESS"}
_PARTS = {"CREATE_FAILED", "ROLLBACK_FAILED", "DELETE_FAILED"}
#: States of a stack in its events that only one gets which never was complete.
_NEVER_COMPLETE = {"CREATE_FAILED", "ROLLBACK_IN_PROGRESS", "ROLLBACK_COMPLETE", "ROLLBACK_FAILED"}
#: With which an attempt begins, and with which the way back from an update does.
_BEGINNINGS = ("CREATE_IN_PROGRESS", "UPDATE_IN_PROGRESS", "DELETE_IN_PROGRESS", "REVIEW_IN_PROGRESS")
_ROLLBACK = ("UPDATE_ROLLBACK_IN_PROGRESS",)
#: What of an event says what happened.
_TELLING = ("LogicalResourceId", "ResourceStatus", "ResourceStatusReason")


class Stack:
    """A stack by its name; `cloud` is boto3's client of CloudFormation."""

    def __init__(self, name: str, cloud: Any, tell: Tell, pause: float = PAUSE) -> None:
        self.name = name
        self._cloud = cloud
        self._tell = tell
        self._pause = pause

    # ── how it stands ───────────────────────────────────────────────────────────────────────────────────

    def state(self) -> str | None:
        """Its state as CloudFormation calls it, `None` if it is not there. `DeploymentError` for one that cannot be
        changed now."""
        found = self._describe()
        if found is None:
            return None
        state: str = found["StackStatus"]
        if state.endswith("_IN_PROGRESS") and state not in _EMPTY:
            raise DeploymentError(f"{self.name} is {state}: somebody changes it now. Deploy when that has ended.")
        if state == "UPDATE_ROLLBACK_FAILED":
            raise DeploymentError(
                f"{self.name} is {state}: {self._why(_ROLLBACK)}. Mend that, have CloudFormation go on (`aws "
                f"cloudformation continue-update-rollback --stack-name {self.name}`), then deploy."
            )
        if state == "DELETE_FAILED" and not self._never_was_complete():
            raise DeploymentError(
                f"{self.name} is {state}: somebody removes it, and that got stuck: {self._why()}. Mend that and end "
                f"it (`aws cloudformation delete-stack --stack-name {self.name}`), then deploy: its bucket is kept."
            )
        return state

    def is_to_be_made(self) -> bool:
        """Whether there is no stack, or one that never was complete."""
        return self.state() in {None, *_EMPTY, *_PARTS}

    def parameters(self) -> dict[str, str]:
        """Those that it has."""
        found = (self._describe() or {}).get("Parameters", ())
        return {each["ParameterKey"]: each.get("ParameterValue", "") for each in found}

    def outputs(self) -> dict[str, str]:
        found = (self._describe() or {}).get("Outputs", ())
        return {each["OutputKey"]: each["OutputValue"] for each in found}

    # ── changing it ─────────────────────────────────────────────────────────────────────────────────────

    def clear(self) -> None:
        """Remove a stack that never was complete; nothing for any other."""
        state = self.state()
        if state not in _EMPTY | _PARTS:
            return
        self._tell(f"{self.name} is {state}: it never was complete, so what is left of it is removed first")
        # By its id, a stack can be seen after its end.
        gone = str(self._described()["StackId"])
        self._cloud.delete_stack(StackName=gone)
        time.sleep(self._pause)
        ended = self._wait(lambda: self._describe(gone) or {"StackStatus": "DELETE_COMPLETE"}, "StackStatus")
        if ended["StackStatus"] != "DELETE_COMPLETE":
            raise DeploymentError(
                f"What is left of {self.name} could not be removed, it is {ended['StackStatus']}: {self._why()}. "
                "Mend that, or remove it at AWS' console, then deploy again."
            )
        if state in _PARTS and self._pause:
            self._tell("waiting a minute, for which SQS does not give names of queues again")
            time.sleep(QUEUE_NAMES_REST)

    def change(self, template: str, parameters: Mapping[str, str], known: set[str], tags: Mapping[str, str]) -> None:
        """Make it, or update it to what the template at an address says. Of the `known` parameters those that are not
        given stay as they were."""
        make = self.is_to_be_made()
        kept = set() if make else set(self.parameters()) & known - set(parameters)
        change_set = f"deploy-{int(time.time())}-{secrets.token_hex(3)}"
        self._cloud.create_change_set(
            StackName=self.name,
            ChangeSetName=change_set,
            ChangeSetType="CREATE" if make else "UPDATE",
            TemplateURL=template,
            Capabilities=["CAPABILITY_IAM", "CAPABILITY_NAMED_IAM", "CAPABILITY_AUTO_EXPAND"],
            Parameters=[{"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()]
            + [{"ParameterKey": key, "UsePreviousValue": True} for key in sorted(kept)],
            Tags=[{"Key": key, "Value": value} for key, value in tags.items()],
        )
        named = {"StackName": self.name, "ChangeSetName": change_set}
        changes = self._wait(lambda: dict(self._cloud.describe_change_set(**named)), "Status")
        if changes["Status"] == "FAILED":
            self._cloud.delete_change_set(**named)
            if make:
                self._cloud.delete_stack(StackName=self.name)  # the change set left an empty one behind
            self._refused(str(changes.get("StatusReason", "")))
            return
        for change in changes.get("Changes", ()):
            resource = change["ResourceChange"]
            self._tell(
                f"  {resource['Action'].lower():8}{resource['ResourceType']:36}{resource['LogicalResourceId']}"
            )
        self._cloud.execute_change_set(**named)
        self._tell("CloudFormation is at it, which takes a few minutes")
        # Executing begins a moment after it was asked for: until then the stack is under review, or as before.
        time.sleep(self._pause)
        ended = self._wait(self._described, "StackStatus")
        if ended["StackStatus"] not in {"CREATE_COMPLETE", "UPDATE_COMPLETE"}:
            after = (
                "Mend that and deploy again with the same parameters: what is left of this attempt is removed then."
                if make
                else "The stage runs on as it was before. Mend that and deploy again."
            )
            raise DeploymentError(f"{self.name} is {ended['StackStatus']}: {self._why()}. {after}")

    def _refused(self, reason: str) -> None:
        if "didn't contain changes" not in reason and "No updates" not in reason:
            raise DeploymentError(f"CloudFormation refuses the template: {reason}")
        self._tell("nothing has changed")

    # ── looking ─────────────────────────────────────────────────────────────────────────────────────────

    def _wait(self, look: Callable[[], dict[str, Any]], member: str) -> dict[str, Any]:
        deadline = time.monotonic() + PATIENCE
        while True:
            seen = look()
            if not seen[member].endswith(("_IN_PROGRESS", "_PENDING")):
                return seen
            if time.monotonic() > deadline:
                raise DeploymentError(f"{self.name} is still {seen[member]} after {PATIENCE / 60:.0f} minutes.")
            time.sleep(self._pause)

    def _describe(self, name: str = "") -> dict[str, Any] | None:
        from botocore.exceptions import ClientError

        try:
            stacks: list[dict[str, Any]] = self._cloud.describe_stacks(StackName=name or self.name)["Stacks"]
        except ClientError as error:
            if "does not exist" in str(error):
                return None
            raise
        return stacks[0] if stacks else None

    def _described(self) -> dict[str, Any]:
        found = self._describe()
        if found is None:
            raise DeploymentError(f"{self.name} is gone.")
        return found

    def _events(self) -> list[dict[str, Any]]:
        """What happened to it, the newest first."""
        found: list[dict[str, Any]] = []
        more: dict[str, str] = {}
        while True:
            page = self._cloud.describe_stack_events(StackName=self.name, **more)
            found += page["StackEvents"]
            if not page.get("NextToken"):
                return found
            more = {"NextToken": page["NextToken"]}

    def _never_was_complete(self) -> bool:
        # Told by what only such a stack meets, not by what it lacks: events are forgotten after 90 days.
        return any(
            event["LogicalResourceId"] == self.name and event["ResourceStatus"] in _NEVER_COMPLETE
            for event in self._events()
        )

    def _why(self, beginnings: Collection[str] = _BEGINNINGS) -> str:
        """The first reasons of the last attempt: those after them follow from these."""
        failures: list[str] = []
        for event in self._events():
            what, status, reason = (event.get(each, "") for each in _TELLING)
            if what == self.name:
                if status in beginnings:
                    break
            # What was called off because of another's failure says that, or nothing.
            elif status.endswith("_FAILED") and reason and "cancelled" not in reason:
                failures.append(f"{what}: {reason.rstrip('.')}")
        return "; ".join(reversed(failures[-3:])) or "its events say nothing"
