-- A line of a closed window is one side of a path, and says by itself who owes whom for what: the
-- origin's side has its price, the redeemer's its own, and each is rounded for itself.

-- The version of the pricing rule that the window was netted by: a closed window is verified by the
-- rule of its own time. 1: both sides were split wherever the price of either changed.
alter table settlement_window add column rule_version smallint check (rule_version > 0);
-- Without its triggers, since a window that was netted never changes again.
alter table settlement_window disable trigger window_forward;
update settlement_window set rule_version = 1 where netted_at is not null;
alter table settlement_window enable trigger window_forward;
alter table settlement_window
    add check ((rule_version is null) = (netted_at is null));

create or replace function window_moves_on() returns trigger language plpgsql as $$
begin
    if tg_op = 'DELETE' or new.window_id <> old.window_id or new.label <> old.label
       or new.opens_at <> old.opens_at or new.closes_at > old.closes_at or new.status < old.status
       or (old.status <> 'open' and (new.closes_at, new.closed_at)
           is distinct from (old.closes_at, old.closed_at))
       or (old.netted_at is not null and (new.netted_at, new.rule_version)
           is distinct from (old.netted_at, old.rule_version))
    then
        raise exception 'window % is %: a window only moves on', old.label, old.status
            using errcode = 'restrict_violation';
    end if;
    return new;
end $$;

drop view obligation;
drop index path_window;
alter table path rename to path_before;

-- What each side of each path came to: points of this origin, burned at this redeemer, at this
-- price. kind 'issue' is points issued (redeemer_id = origin_id). points and amount are signed, and
-- amount is points x price. debtor_id owes it to creditor_id for `reason`: 'burn' on the origin's side
-- of a path to another's till, 'redeem' on the redeemer's. Both parties are null where they would be
-- one and the same, as for a merchant's own points ('own').
-- The house stands between the two sides. Where the redeemer gets what the origin pays, which is the
-- rule, one row tells both: what the house is owed it owes to onward_id, for onward_reason (onward_id
-- is null where that is the house itself). Negative points swap each debtor with its creditor.
-- No keys, as before: a large window has a million rows, written once, by one statement.
create table path (
    window_id       int not null,
    origin_id       int not null,
    redeemer_id     int not null,
    kind            text not null,
    about_window_id int,
    points          numeric(38, 0) not null check (points <> 0),
    debtor_id       int,
    creditor_id     int,
    price           numeric(12, 6) not null,
    amount          numeric(38, 0) not null,
    currency        text not null,
    reason          text not null,
    onward_id       int,
    onward_reason   text,
    check (about_window_id < window_id),
    check (debtor_id <> creditor_id),
    check (num_nulls(debtor_id, creditor_id) <> 1),
    check (onward_id is null or onward_reason is not null)
);

-- Each row as it was, and the redeemer's side beside it where that had a price of its own.
insert into path
select window_id, origin_id, redeemer_id, kind, about_window_id, points,
       case when is_cross then nullif(origin_id, 0) else debtor_id end,
       case when is_cross then case when origin_id <> 0 then 0 end else creditor_id end,
       price, amount, currency,
       case when is_cross then 'burn' when is_redeemed then 'own' when kind = 'expiry' then 'breakage'
            else kind end,
       case when is_cross and paid_price is null then nullif(redeemer_id, 0) end,
       case when is_cross and paid_price is null then 'redeem' end
from (select *, kind in ('redemption', 'cash_out', 'donation') as is_redeemed,
             kind in ('redemption', 'cash_out', 'donation') and origin_id <> redeemer_id as is_cross
      from path_before) p;
insert into path
select window_id, origin_id, redeemer_id, kind, about_window_id, points,
       case when redeemer_id <> 0 then 0 end, nullif(redeemer_id, 0),
       paid_price, paid_amount, paid_currency, 'redeem', null, null
from path_before where paid_price is not null;
drop table path_before;

create index path_window on path using brin (window_id) with (pages_per_range = 32);
create trigger path_is_history before update or delete or truncate on path
    for each statement execute function refuse_change();
create trigger path_while_netting after insert on path referencing new table as added
    for each statement execute function only_while_netting();

-- One debt of one party to another, in minor units and always positive: what the lines of path owe,
-- and the nets that are passed on.
create view obligation as
select window_id, case when points > 0 then debtor_id else creditor_id end as debtor_id,
       case when points > 0 then creditor_id else debtor_id end as creditor_id,
       abs(amount) as amount, currency, reason, abs(points) as quantity, price as unit_price
from path where debtor_id is not null and amount <> 0
union all
select window_id, case when points > 0 then 0 else onward_id end,
       case when points > 0 then onward_id else 0 end,
       abs(amount), currency, onward_reason, abs(points), price
from path where onward_id is not null and amount <> 0
union all
select n.window_id, n.debtor_id, n.creditor_id, n.amount, n.currency, 'through:' || m.code,
       null, null
from passed_net n join merchant m on m.merchant_id = n.party_id;
