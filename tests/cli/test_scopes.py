"""``creditgate scopes`` against one real gateway: defined, granted, narrowed, approved."""

from pathlib import Path

import pytest
import typer

from creditgate.v1.operator_service_pb2 import GrantScopesResponse
from creditgate.v1.scope_service_pb2 import ProposalState
from gateway.cli import terms
from gateway.cli.output import show
from gateway.clock import SystemClock
from gateway.storage.engines import open_engines
from operators.log import Draft
from operators.proposal import PROPOSAL, Proposal
from operators.sql import SqlAuthorityLog
from tests.cli.commands import Served

ADMINISTRATOR, DEPUTY, ALPHA = "administrator", "deputy", "alpha-client"
FIRM = "alpha-credit"
NAME = "credit.records.suppliers:read"
WHY = ("--reason", "a test")
TITLES = ("--title-zh", "供应商核验", "--title-en", "Checks of suppliers")
DEFINED = ("scopes", "define", NAME, "--scope", "credit.records:read", *TITLES)
UNTIL = ("--until", "2099-01-01")


def test_a_scope_is_defined_granted_narrowed_withdrawn_and_retired(served: Served) -> None:
    admin = ADMINISTRATOR
    made = served.answer(admin, *DEFINED, "--purpose", "supplier-check", *WHY)["definition"]
    assert made["state"] == "SCOPE_DEFINITION_STATE_ACTIVE"
    granted = served.answer(admin, "scopes", "grant", FIRM, "--scope", NAME, *UNTIL, *WHY)
    (grant,) = granted["grants"]
    wider = ("scopes", "grant", FIRM, "--scope", NAME, "--purpose", "bidding")
    assert served.refusal(admin, *wider, *WHY) == "INVALID_REQUEST"
    narrow = ("scopes", "narrow", grant["grant_id"], "--item", "penalty.administrative")
    narrowed = served.answer(admin, *narrow, *WHY)["grant"]
    assert narrowed["items"] == ["penalty.administrative"]
    assert served.refusal(admin, *narrow, *WHY) == "STATE_CONFLICT"
    withdrawn = served.answer(admin, "scopes", "withdraw", grant["grant_id"], *WHY)
    assert withdrawn["grants"][0]["withdraw_time"]
    changed = served.answer(
        admin, *DEFINED, "--purpose", "bidding", "--longest-days", "30", "--etag", "1", *WHY
    )["definition"]
    assert (changed["etag"], changed["longest_validity_days"]) == ("2", 30)
    assert served.refusal(admin, *DEFINED, "--etag", "1", *WHY) == "ETAG_MISMATCH"
    assert served.refusal(admin, *DEFINED, *WHY) == "RESOURCE_EXISTS"
    shown = served.run(admin, "scopes", "show", NAME).out
    assert "供应商核验 / Checks of suppliers" in shown
    assert "30 days" in shown
    assert "retired" in served.run(admin, "scopes", "retire", NAME, *WHY).out
    listed = served.answer(admin, "scopes", "list", "--defined")["definitions"]
    assert [(found["name"], found["state"]) for found in listed] == [
        (NAME, "SCOPE_DEFINITION_STATE_RETIRED")
    ]
    assert "a method's own" in served.run(admin, "scopes", "list").out


def test_what_is_granted_to_a_party_is_listed_under_the_old_name_too(served: Served) -> None:
    new = served.answer(ADMINISTRATOR, "scopes", "list", FIRM)
    assert new == served.answer(ADMINISTRATOR, "scope", "list", FIRM)
    assert {grant["grantee"] for grant in new["grants"]} == {FIRM}


def test_proposals_are_shown_approved_and_rejected(served: Served, tmp_path: Path) -> None:
    register = ("client", "register", DEPUTY, "--role", "administrator", *WHY)
    served.answer(ADMINISTRATOR, *register, "--make-keys", tmp_path)
    served.answer(ADMINISTRATOR, "scopes", "grant", DEPUTY, "--scope", "scopes:grant", *WHY)
    first, second = _propose(served, "bidders"), _propose(served, "suppliers")
    shown = served.run(ADMINISTRATOR, "scopes", "proposals").out
    assert first in shown
    assert "pending" in shown
    whole = served.run(ADMINISTRATOR, "scopes", "proposals", first).out
    assert '"grantee": "alpha-credit"' in whole
    approved = served.answer(ADMINISTRATOR, "scopes", "approve", first, *WHY)
    assert approved["proposal"]["decided_by"] == ADMINISTRATOR
    assert [change["kind"] for change in approved["changes"]] == ["scope_grant"]
    assert served.refusal(ADMINISTRATOR, "scopes", "approve", first, *WHY) == "STATE_CONFLICT"
    assert "rejected" in served.run(ADMINISTRATOR, "scopes", "reject", second, *WHY).out
    assert "none" in served.run(ADMINISTRATOR, "scopes", "proposals").out
    every = served.answer(ADMINISTRATOR, "scopes", "proposals", "--state", "all")["proposals"]
    assert [found["proposal_id"] for found in every] == [first, second]
    assert served.refusal(ADMINISTRATOR, "scopes", "reject", "none", *WHY) == "RESOURCE_NOT_FOUND"


def test_the_policy_is_shown_and_not_guarded_where_nobody_could_change_it(served: Served) -> None:
    assert "act alone" in served.run(ADMINISTRATOR, "scopes", "policy").out
    # Of the two people of the demo in the role security, one is left.
    served.answer(ADMINISTRATOR, "administrator", "remove", "wu-ping", *WHY)
    done = served.run(ADMINISTRATOR, "scopes", "policy", "--guarded", *WHY)
    assert done.status == 2
    assert "two administrators" in done.told


def test_a_change_that_became_a_proposal_tells_how_it_is_approved(
    capsys: pytest.CaptureFixture[str],
) -> None:
    show(GrantScopesResponse(proposal_id="0069c-1"), as_json=False)
    told = capsys.readouterr().out
    assert "nothing has changed yet" in told
    assert "creditgate scopes approve 0069c-1" in told


def test_every_state_of_proposals_can_be_asked_for() -> None:
    for state in terms.proposal_states(""):
        assert terms.proposal_states(state) == [state]
        value = terms.proposal_state(state)
        assert state in ("all", terms.show_proposal_state(value))
    assert terms.proposal_state("all") == ProposalState.PROPOSAL_STATE_UNSPECIFIED
    with pytest.raises(typer.BadParameter, match="superseded"):
        terms.proposal_state("open")


def _propose(served: Served, ending: str) -> str:
    """Put in a proposal as the deputy would have made it under a guarded policy."""
    now = SystemClock().now()
    proposal = Proposal(
        proposal_id=f"{now:010x}-{ending}",
        method="GrantScopes",
        request={"grants": [{"grantee": FIRM, "scope": "credit.records:read"}]},
        reason=f"for {ending}",
        proposed_by=DEPUTY,
        proposed_through=DEPUTY,
        proposed_at=now,
        expires_at=now + 3_600,
    )
    engines = open_engines("sqlite", served.home)
    SqlAuthorityLog(engines.authority).append(
        [Draft(PROPOSAL, proposal.proposal_id, 0, proposal.as_document())],
        changed_by=DEPUTY,
        changed_at=now,
        reason=proposal.reason,
    )
    engines.dispose()
    while served.run(ADMINISTRATOR, "scopes", "proposals", proposal.proposal_id).status:
        # The gateway runs in another process.
        assert SystemClock().now() < now + 5
    return proposal.proposal_id
