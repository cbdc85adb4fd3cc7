-- Whose card it is, who blocked it, and who asks for cards that there are none of.

-- issued_by: who issued this number, null for those issued before this, which count as their
-- enroller's. blocked_by: whoever may unblock it, besides the house; null for those blocked before
-- this, which the house alone unblocks. A card that was replaced while it was blocked keeps both.
-- request_id and body_hash: of the request that issued this number for another one, so that the same
-- request is answered this number again, for ever; as member has them for the first card.
-- The columns come without a value, so that no row is written anew.
alter table card
    add column issued_by int references merchant,
    add column blocked_by int references merchant,
    add column blocked_at timestamptz,
    add column request_id uuid,
    add column body_hash bigint,
    add check ((blocked_by is null) = (blocked_at is null)),
    add check (blocked_by is null or status <> 'active'),
    add check ((request_id is null) = (body_hash is null));
create unique index card_of_request on card (request_id) where request_id is not null;
create trigger card_issue_is_history before update of issued_by, request_id, body_hash on card
    for each statement execute function refuse_change();
create trigger card_replaced_is_dead before update of status on card
    for each row when (old.status = 'replaced' and new.status <> 'replaced')
    execute function refuse_change();

-- How often a key asked for a card that there is none of, in one go: a row from the first such card
-- until an hour's worth of them is worn off. level_until says how many that are (keys/guessing.py);
-- told_at, when the house was last told, null: it never had to be. Those it was told of are kept.
create table unknown_cards (
    key_id      text not null references api_key,
    since       timestamptz not null,
    cards       bigint not null check (cards > 0),
    last_at     timestamptz not null,
    level_until timestamptz not null,
    told_at     timestamptz,
    primary key (key_id, since)
);
create index unknown_cards_level on unknown_cards (level_until);
create trigger unknown_cards_told_stay before delete on unknown_cards
    for each row when (old.told_at is not null) execute function refuse_change();
