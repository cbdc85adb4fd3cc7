-- Rewards: what points buy at a merchant, how many are gone, and the vouchers that come of them.

alter type posting_kind add value 'use_voucher';
alter type posting_kind add value 'cancel_voucher';

-- A burn of a reward: its code in the catalogue of the burn's redeemer, how many pieces, by which
-- alternative of its price (from 0), and the money that changed hands at the till in minor units of
-- the redeemer's currency: positive, the member paid it on top; negative, the member got it. All null:
-- points, and no reward. store: where it is collected. on_lapse: a hold that is kept until its voucher is used, and what becomes of it
-- when the voucher's time is over: it is redeemed all the same, or its points expire. Null: a hold of a
-- till, which is void then.
alter table burn
    add column reward text check (length(reward) between 1 and 63),
    add column quantity bigint check (quantity > 0),
    add column price_no smallint check (price_no >= 0),
    add column money bigint,
    add column store text check (length(store) between 1 and 63),
    add column on_lapse text check (on_lapse in ('redeem', 'expire')),
    add constraint burn_of_reward check (num_nulls(reward, quantity, price_no, money) in (0, 4)),
    add constraint burn_kept_for_voucher check (
        reward is not null or (on_lapse is null and store is null));
create index burn_reward on burn (member_id, redeemer_id, reward) where reward is not null;
create trigger burn_reward_is_history before update of
    reward, quantity, price_no, money, store, on_lapse on burn
    for each statement execute function refuse_change();

-- How many pieces of each reward are gone, what was given back not counted: the row that whoever takes one
-- locks, once a group. stock is what the terms said when it was written; null: no end. (Terms may
-- lower it below what is sold: then nothing more is.)
create table reward_count (
    merchant_id int not null,
    reward      text not null check (length(reward) between 1 and 63),
    sold        bigint not null default 0 check (sold >= 0),
    stock       bigint check (stock >= 0),
    primary key (merchant_id, reward)
) with (fillfactor = 50);
create trigger reward_count_stays before delete or truncate on reward_count
    for each statement execute function refuse_change();
create trigger reward_count_is_history before update of merchant_id, reward on reward_count
    for each statement execute function refuse_change();
create function stock_is_not_exceeded() returns trigger language plpgsql as $$
begin
    raise exception 'reward % of merchant %: % sold, and the stock is %',
        new.reward, new.merchant_id, new.sold, new.stock using errcode = 'check_violation';
end $$;
create trigger reward_count_within_stock before update on reward_count
    for each row when (new.sold > old.sold and new.sold > new.stock)
    execute function stock_is_not_exceeded();
create trigger reward_count_begins_within before insert on reward_count
    for each row when (new.sold > 0)
    execute function stock_is_not_exceeded();

-- A voucher of a burn. voucher_no is from the member's counter. reserved is no status, it follows from the
-- burn; and expired is one only where the points of an unused voucher expired with it, else it follows
-- from the day. remaining is what is left of value.
create table voucher (
    member_id  bigint not null,
    voucher_no int not null,
    burn_no    int not null,
    status     text not null check (
        status in ('issued', 'part_used', 'used', 'cancelled', 'expired')),
    value      bigint check (value > 0),
    remaining     bigint,
    expires_on date,
    part_use   boolean not null,
    primary key (member_id, voucher_no),
    foreign key (member_id, burn_no) references burn,
    check (remaining between 0 and value),
    check ((value is null) = (remaining is null)),
    check (status <> 'part_used' or part_use)
);
create index voucher_of_burn on voucher (member_id, burn_no);
create trigger voucher_stays before delete or truncate on voucher
    for each statement execute function refuse_change();
create trigger voucher_is_history before update of
    member_id, voucher_no, burn_no, value, expires_on, part_use on voucher
    for each statement execute function refuse_change();
create function voucher_moves_on() returns trigger language plpgsql as $$
begin
    if old.status in ('used', 'cancelled', 'expired') or new.remaining > old.remaining then
        raise exception 'voucher % of member % is %: it cannot become %',
            old.voucher_no, old.member_id, old.status, new.status
            using errcode = 'restrict_violation';
    end if;
    return new;
end $$;
create trigger voucher_forward before update on voucher
    for each row execute function voucher_moves_on();

-- What was done with a voucher, and by which posting.
create table voucher_event (
    member_id  bigint not null,
    posting_no int not null,
    voucher_no int not null,
    kind       text not null check (kind in ('used', 'cancelled', 'expired')),
    amount     bigint check (amount > 0),
    remaining     bigint check (remaining >= 0),
    primary key (member_id, posting_no, voucher_no),
    foreign key (member_id, posting_no) references posting,
    foreign key (member_id, voucher_no) references voucher
);
create index voucher_event_of_voucher on voucher_event (member_id, voucher_no);
create trigger voucher_event_is_history before update or delete or truncate on voucher_event
    for each statement execute function refuse_change();

-- Voucher codes by their keyed hash: those that were made with a voucher, and those that were loaded from
-- a file, which have no voucher until they are given out. sealed is for showing one again to its owner.
create table voucher_code (
    digest      bytea primary key check (length(digest) = 32),
    sealed      bytea not null,
    merchant_id int not null,
    reward      text not null check (length(reward) between 1 and 63),
    added_at    timestamptz not null,
    member_id   bigint,
    voucher_no  int,
    check (num_nulls(member_id, voucher_no) in (0, 2))
);
create unique index voucher_code_of_voucher on voucher_code (member_id, voucher_no)
    where member_id is not null;
create index voucher_code_free on voucher_code (merchant_id, reward, added_at) where member_id is null;
create trigger voucher_code_stays before delete or truncate on voucher_code
    for each statement execute function refuse_change();
-- digest and sealed change together, when all is sealed with a newer key.
create trigger voucher_code_is_history before update of merchant_id, reward, added_at on voucher_code
    for each statement execute function refuse_change();
create function code_is_given_once() returns trigger language plpgsql as $$
begin
    raise exception 'a voucher''s code was given to member % already', old.member_id
        using errcode = 'restrict_violation';
end $$;
create trigger voucher_code_once before update on voucher_code
    for each row when (old.member_id is not null
                       and row(new.member_id, new.voucher_no)
                           is distinct from row(old.member_id, old.voucher_no))
    execute function code_is_given_once();
