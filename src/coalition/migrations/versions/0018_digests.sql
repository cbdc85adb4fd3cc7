-- Keyed digests: whoever owns the database can write any row and cannot make the digest that belongs to
-- it. What each covers is ledger/sealed.py and clearing/seal.py; docs/tampering.md says what that is for.

-- digest: of this movement, with the lots, legs and burns that it wrote, after its member's movement
-- before it. Null: it was posted before digests were, see earlier_digest.
-- mark: the number of the database transaction that wrote it (mark_now() below). All that carry a mark
-- below the oldest transaction that still runs are there for good, and no other will ever join them:
-- that is what an anchor counts. No digest covers it.
alter table posting
    add column digest bytea check (length(digest) = 16),
    add column mark bigint;
-- What a close adds up, and what a minute's anchor does. Movements come in the order of both, so
-- that a few bytes for many pages are enough.
create index posting_window on posting using brin (window_id, mark)
    with (pages_per_range = 32, autosummarize = on);

-- Of the member's latest posting.
alter table account add column digest bytea check (length(digest) = 16);

-- The digests of movements that were posted before digests were, by `coalition seal`. Rows of a
-- table of their own, since no row of posting is ever changed.
create table earlier_digest (
    member_id  bigint not null,
    posting_no int not null,
    digest     bytea not null check (length(digest) = 16),
    mark       bigint not null,
    primary key (member_id, posting_no)
);
create index earlier_digest_mark on earlier_digest using brin (mark) with (autosummarize = on);
create trigger earlier_digest_is_history before update or delete or truncate on earlier_digest
    for each statement execute function refuse_change();

-- One row. begins_at: what is recorded from then on has a digest; all has, where nothing was posted.
-- mark_offset: what a mark is ahead of the transaction's number. A database that was restored from a
-- dump counts its transactions from the beginning; marks never go back (`coalition seal`).
create table sealing (
    is_only     boolean primary key default true check (is_only),
    begins_at   timestamptz not null,
    mark_offset bigint not null default 0 check (mark_offset >= 0)
);
insert into sealing (begins_at)
select case when exists (select from posting) then now() else '-infinity' end;
create trigger sealing_stays before delete or truncate on sealing
    for each statement execute function refuse_change();
create trigger sealing_is_history before update of begins_at on sealing
    for each statement execute function refuse_change();

create function mark_now() returns bigint language sql stable as $$
    select cast(cast(pg_current_xact_id() as text) as bigint) + mark_offset from sealing
$$;
-- Every mark below it was given to a transaction that is over.
create function mark_settled() returns bigint language sql stable as $$
    select cast(cast(pg_snapshot_xmin(pg_current_snapshot()) as text) as bigint) + mark_offset
    from sealing
$$;

-- A window's digest covers what it came to and the sum of its movements' digests, after the digest of
-- the window before. Once there it stays.
alter table settlement_window add column digest bytea check (length(digest) = 32);
create function window_digest_stays() returns trigger language plpgsql as $$
begin
    raise exception 'window % has its digest, and keeps it', old.label
        using errcode = 'restrict_violation';
end $$;
create trigger window_digest before update of digest on settlement_window
    for each row when (old.digest is not null and new.digest is distinct from old.digest)
    execute function window_digest_stays();

-- Prices and terms are a chain each, in the order in which they were recorded. Nothing of a row
-- changes but that it gets its digest.
alter table price add column digest bytea check (length(digest) = 32);
drop trigger price_is_history on price;
create trigger price_stays before delete or truncate on price
    for each statement execute function refuse_change();
create trigger price_is_history before update on price
    for each row when (old.digest is not null
                       or to_jsonb(new) - 'digest' <> to_jsonb(old) - 'digest')
    execute function refuse_change();
alter table terms add column digest bytea check (length(digest) = 32);
drop trigger terms_are_history on terms;
create trigger terms_stay before delete or truncate on terms
    for each statement execute function refuse_change();
create trigger terms_are_history before update on terms
    for each row when (old.digest is not null
                       or to_jsonb(new) - 'digest' <> to_jsonb(old) - 'digest')
    execute function refuse_change();

-- Points that come back and thereby get more time say so in their leg, so that a lot's last good
-- day follows from rows that never change. Until now the lot alone said it: its last such leg does now.
alter table leg disable trigger leg_good_until_is_history;
update leg set good_until = l.expires_on
from lot l
where l.first_expires_on is not null and leg.member_id = l.member_id and leg.lot_no = l.lot_no
  and leg.points < 0
  and (leg.posting_no, leg.burn_no) = (
      select g.posting_no, g.burn_no from leg g
      where g.member_id = l.member_id and g.lot_no = l.lot_no and g.points < 0
      order by g.posting_no desc, g.leg_no desc limit 1);
alter table leg enable trigger leg_good_until_is_history;
