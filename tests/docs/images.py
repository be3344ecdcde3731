"""The pictures of the guides, each made by a step of a test."""

from typing import Final

PICTURES: Final = (
    "subject-sign-in",
    "subject-inbox",
    "subject-request",
    "subject-request-en",
    "subject-request-phone",
    "subject-granted",
    "subject-uses",
    "subject-consents",
    "subject-revoke",
    "subject-revoked",
    "subject-notices",
    "subject-reports",
    "subject-report-status",
    "subject-report-status-phone",
    "subject-appoint",
)
"""Of docs/subjects.md, by tests/browser/test_subject_story.py."""

CONSOLE_PICTURES: Final = ("console-overview", "console-brakes")
"""Of docs/administrators.md, by tests/browser/test_console_pages.py."""

PORTAL_PICTURES: Final = ("portal-overview", "portal-use", "portal-statements-phone")
"""Of docs/operators.md, by tests/browser/test_portal_pages.py."""
