-- Points that a merchant granted outright are called what they are: until now they were the only lots
-- of kind 'action', so the value is renamed under them, and real actions get one of their own.

alter type lot_kind rename value 'action' to 'outright';
alter type lot_kind add value 'action';

-- What of a reversal found its points lapsed: they are gone, and neither taken nor owed.
alter table posting add column lapsed bigint not null default 0 check (lapsed >= 0);

-- Points that come back pay what their member owes, so that one movement gives to a lot and takes from
-- it: as legs of two burns.
alter table leg drop constraint leg_pkey,
    add primary key (member_id, lot_no, posting_no, burn_no);

-- The last good day that points had when they were taken: where it passes while they are away, they
-- come back with days to live. Null: they never expire; they are given back; or taken before this.
alter table leg add column good_until date;
create trigger leg_good_until_is_history before update of good_until on leg
    for each statement execute function refuse_change();
