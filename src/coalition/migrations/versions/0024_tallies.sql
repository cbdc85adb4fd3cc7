-- Rules of earning with a memory: brackets of what is spent in a period, caps, a first visit.

-- What was counted of a member under a merchant's rule, in the span that ends with the day `until`: minor
-- units spent, points given and not given back, how many times. Rows only of rules that remember; read
-- and written under the account's lock. The rule '' counts the earns at the merchant.
create table tally (
    member_id   bigint not null references account,
    merchant_id int not null,
    rule        text not null check (length(rule) <= 60),
    span        text not null check (span in ('day', 'period', 'ever')),
    until       date not null,
    spent       bigint not null check (spent >= 0),
    points      bigint not null check (points >= 0),
    times       int not null check (times >= 0),
    primary key (member_id, merchant_id, rule, span, until)
);
create trigger tally_stays before delete or truncate on tally
    for each statement execute function refuse_change();
create trigger tally_is_one_sum before update of member_id, merchant_id, rule, span, until on tally
    for each statement execute function refuse_change();

-- What one earn counted, and what a reversal of it took back (negative): the earn is earn_no, and the
-- movement that wrote the row posting_no. So a reversal undoes what its earn did, and the tallies are sums.
-- origin_id: whose points they are, where a return takes what the sum then says and not what the earn
-- gave (brackets). Of what such a return takes, lapsed had expired unspent, and owed could not be taken;
-- the rest its legs took.
create table counted (
    member_id   bigint not null,
    earn_no     int not null,
    posting_no  int not null,
    merchant_id int not null,
    rule        text not null check (length(rule) <= 60),
    span        text not null check (span in ('day', 'period', 'ever')),
    until       date not null,
    spent       bigint not null,
    points      bigint not null,
    times       int not null,
    origin_id   int,
    lapsed      bigint not null default 0 check (lapsed >= 0),
    owed        bigint not null default 0 check (owed >= 0),
    primary key (member_id, earn_no, posting_no, rule, span),
    foreign key (member_id, posting_no) references posting,
    check (posting_no >= earn_no),
    check (case when posting_no = earn_no then least(spent, points, times) >= 0
                else greatest(spent, points, times) <= 0 end),
    check (lapsed + owed <= greatest(-points, 0))
);
create trigger counted_is_history before update or delete or truncate on counted
    for each statement execute function refuse_change();

-- What rules may ask of a member: nothing that names a person.
create type member_facts as (member_id bigint, enrolled_at timestamptz, birth_month smallint);

-- As it was (0021), and the tallies that are asked for, each by its key, and the facts.
drop function load_group(bigint[], bigint[], bigint[], bigint[], uuid[], date, date, boolean);
create function load_group(cards bigint[], spending bigint[], needed bigint[], members bigint[],
                           request_ids uuid[], today date, since date, idle boolean,
                           tally_cards bigint[], tally_merchants int[], tally_rules text[],
                           tally_spans text[], tally_untils date[], fact_cards bigint[])
returns table (window_id int, label text, opens_at timestamptz, closes_at timestamptz,
               synced_at timestamptz, accounts account[], found_cards card[], wholly bigint[],
               lots lot[], seen posting[], moved activity[], tallies tally[],
               facts member_facts[])
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
                             where a.member_id in (select member_id from unnest(locked))) end,
        case when cardinality(tally_cards) > 0 then (
            select array_agg(found.tally)
            from unnest(tally_cards, tally_merchants, tally_rules, tally_spans, tally_untils)
                as asked (card_number, merchant_id, rule, span, until)
            join card c using (card_number)
            cross join lateral (
                select t as tally from tally t
                where t.member_id = c.member_id and t.merchant_id = asked.merchant_id
                  and t.rule = asked.rule and t.span = asked.span and t.until = asked.until
                offset 0) found) end,
        case when cardinality(fact_cards) > 0 then (
            select array_agg((m.member_id, m.enrolled_at, m.birth_month)::member_facts)
            from member m where m.member_id in (
                select member_id from card c where c.card_number = any(fact_cards))) end
    from settlement_window w where w.status = 'open' for share of w;
end $$;
