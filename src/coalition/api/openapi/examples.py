"""What bodies and answers look like, for the OpenAPI document: one example a struct, by its name.

How they get into the document is description.py; the examples of one route's body stand beside it.
"""

from typing import Any

from coalition.api.openapi.examples_people import PEOPLE

_CARD, _OTHER = "9000000000000001", "9000000000000019"
_EARN, _BURN, _LOT = "ern_20000053a3", "brn_20000083a6", "lot_20000063a4"
_BATCH = "bat_0f8fad5bd9cb469fa16570867728950e"
_AT = "2026-03-01T01:30:00Z"
_VOUCHER = "vch_20000093a7"
_WORTH = {"amount": 5_000, "currency": "CNY"}
_LEG = {"lot_id": _LOT, "origin": "telecom", "points": 500}
_MOVED = {
    "available": 700,
    "occurred_at": _AT,
    "recorded_at": "2026-03-01T01:30:01.250000Z",
    "window": "2026-03",
}
_POSITION = {
    "party": "telecom",
    "receivable": 240,
    "payable": 1_200,
    "net": -960,
    "currency": "CNY",
    "opening": 0,
    "instructed": 0,
    "closing": -960,
}
STRUCTS: dict[str, dict[str, Any]] = {
    **PEOPLE,
    "RewardsOut": {
        "items": [
            {
                "reward": "airtime-50",
                "merchant": "telecom",
                "name": "50 yuan of airtime",
                "kind": "voucher",
                "price": [
                    {
                        "points": [
                            {"origin": "telecom", "points": 500},
                            {"origin": "retail", "points": 500},
                        ],
                        "money": {"amount": 0, "currency": "CNY"},
                        "affordable": True,
                    }
                ],
                "stock": 97,
                "limits": {
                    "per_burn": None,
                    "per_member": 10,
                    "per_member_per_day": 2,
                    "in_all": None,
                },
                "quantity_min": 1,
                "until": "2026-12-31",
                "pays": None,
                "charity": None,
                "stores": [],
                "affordable": True,
            }
        ],
        "next_cursor": None,
    },
    "VoucherOut": {
        "voucher": _VOUCHER,
        "merchant": "telecom",
        "reward": "airtime-50",
        "burn_id": _BURN,
        "card": _CARD,
        "status": "part_used",
        "value": _WORTH,
        "remaining": 3_500,
        "part_use": True,
        "issued_at": _AT,
        "expires_on": "2026-06-01",
        "history": [{"kind": "used", "at": _AT, "amount": 1_500}],
    },
    "VoucherMovedOut": {
        "voucher": _VOUCHER,
        "merchant": "telecom",
        "reward": "airtime-50",
        "burn_id": _BURN,
        "status": "part_used",
        "value": _WORTH,
        "amount": 1_500,
        "remaining": 3_500,
        "expires_on": "2026-06-01",
        "points": 0,
        "available": 700,
        "recorded_at": _AT,
    },
    "UseVoucherBody": {"amount": 1_500},
    "EnrolOut": {"member_id": "mem_2000001yq", "card": _CARD},
    "FoundOut": {"member_id": "mem_2000001yq", "card": _CARD},
    "MemberOut": {
        "member_id": "mem_2000001yq",
        "external_ref": "customer-17",
        "phone": "+8613800138000",
        "birthday": "1990-02-28",
        "locale": "zh-CN",
    },
    "ErasedOut": {"member_id": "mem_2000001yq", "erased_at": _AT},
    "Export": {
        "member_id": "mem_2000001yq",
        "enrolled_by": "telecom",
        "enrolled_at": _AT,
        "erased_at": None,
        "external_ref": "customer-17",
        "phone": "+8613800138000",
        "birthday": "1990-02-28",
        "locale": "zh-CN",
        "available": 700,
        "pending": 0,
        "held": 0,
        "owed": 0,
        "cards": [{"card": _CARD, "status": "active", "issued_at": _AT}],
        "lots": [
            {
                "lot_id": _LOT,
                "origin": "telecom",
                "kind": "purchase",
                "points": 1_200,
                "remaining": 700,
                "earned_at": _AT,
                "expires_on": "2028-03-31",
                "rule": None,
                "active_from": None,
            }
        ],
        "movements": [
            {
                "type": "earn",
                "merchant": "telecom",
                "points": 1_200,
                "available": 1_200,
                "occurred_at": _AT,
                "recorded_at": _AT,
                "amount": 120_000,
                "reference": "bill-1",
                "card": _CARD,
            }
        ],
    },
    "ReplaceOut": {"card": _OTHER},
    "PinOut": {"card": _CARD},
    "CardStatusOut": {"card": _CARD, "status": "blocked"},
    "CardOut": {
        "card": _CARD,
        "status": "active",
        "available": 700,
        "held": 0,
        "tier": None,
        "origins": [{"origin": "telecom", "points": 700}],
        "expiring": [{"on": "2028-03-31", "points": 820}],
        "owed": [],
        "pending": 120,
        "pending_from": [{"on": "2026-03-15", "points": 120}],
    },
    "HistoryPage": {
        "items": [
            {
                "type": "burn",
                "id": _BURN,
                "at": _AT,
                "merchant": "retail",
                "points": -500,
                "reference": "receipt-4711",
            }
        ],
        "next_cursor": None,
    },
    "EarnOut": {
        "earn_id": _EARN,
        "card": _CARD,
        "merchant": "telecom",
        "points": 1_200,
        "lots": [
            {
                "lot_id": _LOT,
                "kind": "purchase",
                "points": 1_200,
                "expires_on": "2028-03-31",
                "active_from": None,
                "origin": "telecom",
                "rule": "purchase",
            }
        ],
        **_MOVED,
    },
    "BurnOut": {
        "burn_id": _BURN,
        "card": _CARD,
        "merchant": "retail",
        "status": "posted",
        "points": 500,
        "legs": [_LEG],
        **_MOVED,
    },
    "ReversalOut": {
        "reversal_id": "rev_2000009wq",
        "burn_id": _BURN,
        "card": _CARD,
        "merchant": "retail",
        "points": 500,
        "legs": [_LEG],
        "owed": 0,
        **_MOVED,
    },
    "TransferOut": {
        "transfer_id": "trf_200000byr",
        "from_card": _CARD,
        "to_card": _OTHER,
        "points": 500,
        "legs": [_LEG],
        "lots": [
            {
                "lot_id": "lot_400000519r",
                "origin": "telecom",
                "points": 500,
                "expires_on": "2028-03-31",
                "from_lot": _LOT,
            }
        ],
        "available": 700,
        "recorded_at": _AT,
        "window": "2026-03",
    },
    "BurnViewOut": {
        "burn_id": _BURN,
        "card": _CARD,
        "merchant": "retail",
        "kind": "redemption",
        "status": "posted",
        "points": 500,
        "returned": 0,
        "legs": [_LEG],
        "history": [
            {
                **_LEG,
                "movement": "burn",
                "at": _AT,
                "business_date": "2026-03-01",
                "window": "2026-03",
                "about": None,
            }
        ],
        "occurred_at": _AT,
        "recorded_at": _AT,
        "hold_expires_at": None,
        "reference": "receipt-4711",
        "window": "2026-03",
    },
    "LotViewOut": {
        "lot_id": _LOT,
        "origin": "telecom",
        "kind": "purchase",
        "points": 1_200,
        "remaining": 700,
        "earned_at": _AT,
        "expires_on": "2028-03-31",
        "active_from": None,
        "earn_id": _EARN,
        "rule": "purchase",
        "window": "2026-03",
        "legs": [
            {
                "burn_id": _BURN,
                "redeemer": "retail",
                "kind": "redemption",
                "points": 500,
                "at": _AT,
                "window": "2026-03",
            }
        ],
    },
    "WindowPage": {
        "items": [
            {
                "window": "2026-03",
                "opens_at": "2026-02-28T16:00:00Z",
                "closes_at": "2026-03-31T16:00:00Z",
                "status": "open",
            }
        ],
        "next_cursor": None,
    },
    "PathPage": {
        "items": [
            {
                "origin": "telecom",
                "redeemer": "retail",
                "kind": "redemption",
                "points": 1_200,
                "price": "0.01",
                "amount": 1_200,
                "currency": "CNY",
                "about": None,
            }
        ],
        "next_cursor": None,
    },
    "PositionPage": {"items": [_POSITION], "next_cursor": None},
    "CloseOut": {"window": "2026-03", "dry_run": False, "positions": [_POSITION]},
    "AuditPage": {
        "items": [
            {
                "at": _AT,
                "by": "key:0Ab3dEf6hIj9",
                "from": "203.0.113.7",
                "action": "card.block",
                "object": "0001",
                "member_id": "mem_2000001yq",
                "before": {"status": "active"},
                "after": {"status": "blocked"},
            }
        ],
        "next_cursor": None,
    },
    "BatchOut": {"batch_id": _BATCH, "status": "running"},
    "BatchViewOut": {
        "batch_id": _BATCH,
        "status": "done",
        "rows": 3,
        "posted": 1,
        "replayed": 1,
        "refused": 1,
    },
    "NothingBody": {},
    "PinBody": {"pin": "730619"},
    "CorrectBody": {"phone": "+86 139 0013 9000", "birthday": None},
    "EnrolBody": {"external_ref": "customer-17", "birthday": "1990-02-28", "locale": "zh-CN"},
    "Problem": {
        "type": "urn:problem-type:coalition:insufficient_points",
        "title": "Insufficient points",
        "status": 409,
        "detail": "1500 points were asked; 1200 are available.",
        "code": "insufficient_points",
    },
}
STATEMENT: dict[str, Any] = {"window": "2026-03", "party": "telecom", "summary": [], "lines": []}
# By media type.
FILE = {
    "application/x-ndjson": f'{{"op": "earn", "key": "r-1", "card": "{_CARD}", "amount": 12500}}\n'
    f'{{"op": "burn", "key": "r-2", "card": "{_CARD}", "points": 50}}\n',
    "text/csv": f"op,key,card,amount,points\nearn,r-1,{_CARD},12500,\nburn,r-2,{_CARD},,50\n",
}
RESULTS = {
    "application/x-ndjson": f'{{"row":1,"status":"posted","id":"{_EARN}","points":125,'
    '"key":"r-1"}\n'
    '{"row":2,"status":"refused","code":"insufficient_points","detail":"..."}\n'
}
