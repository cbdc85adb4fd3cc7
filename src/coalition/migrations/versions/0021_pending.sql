-- Points that cannot be burned yet, while what they were earned with may still be returned. Nothing
-- has to run for them to become good: a lot says from which day on it is, and whoever asks compares.

-- The first day, by the house's date, on which the lot's points can be burned; until then they are
-- pending. null: from the start. It never changes. inactive_months: the points live until so many
-- months after their origin's points last moved (activity), and not less than to expires_on.
alter table lot
    add column active_from date,
    add column inactive_months smallint check (inactive_months > 0),
    add check (active_from > earned_on),
    add check (active_from <= expires_on);
create trigger lot_active_from_is_history before update of active_from, inactive_months on lot
    for each statement execute function refuse_change();

-- The last day on which points of an origin were earned or redeemed by a member, where they lapse by
-- inactivity; it only ever moves later. So no lot is written anew when its points get more time.
create table activity (
    member_id     bigint not null references account,
    origin_id     int not null,
    last_moved_on date not null,
    primary key (member_id, origin_id)
);
create trigger activity_stays before delete or truncate on activity
    for each statement execute function refuse_change();
create trigger activity_takes_nothing_back before update on activity
    for each row when (new.last_moved_on < old.last_moved_on or new.member_id <> old.member_id
                       or new.origin_id <> old.origin_id)
    execute function refuse_change();

-- From this day on no open lot of the member is pending (an upper bound, null: none ever was). So that
-- nobody looks for pending lots where there are none. account.available counts pending points.
alter table account add column pending_until date;

-- What of available_after was pending at that moment: what a movement answered is available_after
-- less that.
alter table posting
    add column pending_after bigint not null default 0,
    add check (pending_after between 0 and available_after);

-- As it was (0001), and since: since is the earliest of the requests' days, by which lots are pending.
-- Those come whole, of everybody who has some, and are never among what a burn of the oldest points
-- takes. moved: the activity of those members, where idle asks for it.
drop function load_group(bigint[], bigint[], bigint[], bigint[], uuid[], date);
create function load_group(cards bigint[], spending bigint[], needed bigint[], members bigint[],
                           request_ids uuid[], today date, since date, idle boolean)
returns table (window_id int, label text, opens_at timestamptz, closes_at timestamptz,
               synced_at timestamptz, accounts account[], found_cards card[], wholly bigint[],
               lots lot[], seen posting[], moved activity[])
language plpgsql as $$
#variable_conflict use_column
declare
    locked account[];
    whole bigint[];
begin
    -- In the order of member_id, so that two groups never wait in a circle. The cards stand in a
    -- sub-select and not in a join: a row that was waited for is checked again by its own columns
    -- alone, and would be lost to a join.
    select array_agg(a.account) into locked from (
        select account from account where member_id in (
            select member_id from card where card_number = any(load_group.cards)
            union select unnest(load_group.members))
        order by member_id for update) a;
    -- And those of whom something may have ended by now: a hold, or a lot past its day.
    whole := load_group.members || array(
        select member_id from unnest(locked) where held > 0 or expires_next_on < today);
    -- A posting holds the open window's row until it commits; a close waits for that, milliseconds.
    -- Lots are looked up member by member (offset 0 says so to the planner), and of a member whose
    -- burns take the oldest points only as many come as they need: most have ten that are left.
    -- Who needs 0 is asked for the pending ones.
    return query
    select w.window_id, w.label, w.opens_at, w.closes_at, (select max(m.synced_at) from merchant m),
        locked,
        (select array_agg(c) from card c where c.card_number = any(load_group.cards)),
        whole,
        (select array_agg(open.lot)
         from (select c.member_id, asked.needed
               from unnest(spending, load_group.needed) as asked (card_number, needed)
               join card c using (card_number)
               union all select unnest(whole), null
               union all select member_id, 0 from unnest(locked) where pending_until > since)
             as spender
         cross join lateral (
             select l as lot, l.active_from > since as is_pending,
                 sum(l.remaining) filter (where (l.active_from > since) is not true) over (
                     order by coalesce(l.expires_on, '9999-12-31'), l.earned_at, l.lot_no)
                 - l.remaining as before
             from lot l where l.member_id = spender.member_id and l.is_open offset 0
         ) as open
         where case when spender.needed is null then true
                    when open.is_pending then spender.needed = 0
                    else open.before < spender.needed end),
        (select array_agg(p) from posting p where p.request_id = any(request_ids)),
        case when idle then (select array_agg(a) from activity a
                             where a.member_id in (select member_id from unnest(locked))) end
    from settlement_window w where w.status = 'open' for share of w;
end $$;

-- A refund, the end of a period or later terms may give a lot more time, up to for ever; nothing ever
-- takes time away.
create or replace function lot_lives_no_shorter() returns trigger language plpgsql as $$
begin
    -- Of points that lapse by inactivity it is only what they live at least.
    if old.inactive_months is not null and new.first_expires_on is null
       and new.expires_on > coalesce(old.expires_on, '-infinity') then
        return new;
    end if;
    if (new.expires_on > old.expires_on or new.expires_on is null)
       and new.first_expires_on = coalesce(old.first_expires_on, old.expires_on) then
        return new;
    end if;
    raise exception 'lot % of member %: expires_on may only move later, and keeps its first day',
        old.lot_no, old.member_id using errcode = 'restrict_violation';
end $$;
