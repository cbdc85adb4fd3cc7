"""Examples of who works there, what they prove when they sign in, and what needs two of them."""

from typing import Any

_AT = "2026-03-01T01:30:00Z"
_PERSON = "per_0Ab3dEf6hIj9"
_APPROVAL = "apr_9Zy8xWv7uTs6"
_SETUP = "pZ0nT4y8bq1Xo2m7c5v9k3w6r8t1e4u7i0o2p5a8s1d"
_ADDRESS = "otpauth://totp/Coalition%3Aann%40example.com?secret=GEZDGNBVGY3TQOJQ&issuer=Coalition"
_WHO = {
    "person": _PERSON,
    "name": "Ann Example",
    "email": "ann@example.com",
    "role": "finance",
    "merchant": "house",
    "status": "active",
    "created_at": _AT,
}
_PROPOSED = {
    "approval": _APPROVAL,
    "kind": "windows.close",
    "would": ["close window 2026-03 before its end"],
    "status": "proposed",
    "proposed_by": f"person:{_PERSON}",
    "proposed_at": _AT,
    "decided_by": None,
    "decided_at": None,
    "reason": None,
}
PEOPLE: dict[str, dict[str, Any]] = {
    "SessionOut": {
        "person": _PERSON,
        "role": "finance",
        "merchant": "house",
        "rights": ["approvals", "paths", "statements", "windows.close"],
        "csrf_token": "Jq3o0s5m8Vx1c4R7u2T9y6B0n3K5h8D1f4G7j2L9w6E",
        "ends_at": _AT,
    },
    "SetupOut": {
        "email": "ann@example.com",
        "role": "finance",
        "code_required": True,
        "totp_secret": "GEZDGNBVGY3TQOJQ",
        "totp_address": _ADDRESS,
    },
    "SetUpOut": {"person": _PERSON},
    "PersonOut": _WHO,
    "PersonPage": {"items": [_WHO], "next_cursor": None},
    "InvitedOut": {"person": _PERSON, "setup": _SETUP, "setup_until": _AT},
    "ApprovalOut": _PROPOSED,
    "ApprovalPage": {"items": [_PROPOSED], "next_cursor": None},
    "ProposedOut": {"approval": _APPROVAL, "status": "proposed"},
    "SignInBody": {"email": "ann@example.com", "password": "four words of yours", "code": "755224"},
    "SetupBody": {"setup": _SETUP},
    "FinishSetupBody": {"setup": _SETUP, "password": "four words of yours", "code": "755224"},
    "PasswordBody": {"old_password": "four words of yours", "password": "four others of yours"},
    "PersonBody": {"email": "ann@example.com", "name": "Ann Example", "role": "finance"},
    "RejectBody": {"reason": "not before the quarter's end"},
}
