"""Every invariant of the ledger as one set-based statement that names each row which breaks it.

The database's own constraints hold what one row can tell; here stands what takes several. A
statement answers no row where the rule holds. A rule counts from both sides: a row that is missing
breaks it as one that is wrong does. Which row belongs to which is sides.py.
"""

from dataclasses import dataclass

from coalition.clearing.kinds import ISSUE, REDEMPTIONS, listed
from settlement.obligation import REDEEM


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule in a sentence, and the statement that finds what breaks it, one text a row."""

    says: str
    statement: str


RULES = (
    Rule(
        "a lot's points are what remains of it and what its legs took",
        """
        select format('lot %s of member %s: %s points, but %s remain and legs took %s',
                      lot_no, member_id, points, remaining, taken)
        from (select l.member_id, l.lot_no, l.points, l.remaining,
                     coalesce((select sum(g.points) from leg g where g.member_id = l.member_id
                               and g.lot_no = l.lot_no), 0) as taken
              from lot l) lots
        where points <> remaining + taken
        """,
    ),
    Rule(
        "an account's available points are what remains in its lots",
        """
        select format('member %s: %s available, but %s remain in its lots',
                      member_id, a.available, coalesce(l.remaining, 0))
        from account a
        full join (select member_id, sum(remaining) as remaining from lot group by 1) l
            using (member_id)
        where coalesce(a.available, 0) <> coalesce(l.remaining, 0)
        """,
    ),
    Rule(
        "an account's held points are the legs of its held burns",
        """
        select format('member %s: %s held, but legs of held burns come to %s',
                      member_id, a.held, coalesce(h.points, 0))
        from account a
        full join (select b.member_id, sum(g.points) as points
                   from burn b join leg g using (member_id, burn_no)
                   where b.status = 'held' group by 1) h using (member_id)
        where coalesce(a.held, 0) <> coalesce(h.points, 0)
        """,
    ),
    Rule(
        "an account's available points are the sum of its journal",
        """
        select format('member %s: %s available, but its postings come to %s',
                      member_id, a.available, coalesce(p.change, 0))
        from account a
        full join (select member_id, sum(change) as change from posting group by 1) p
            using (member_id)
        where coalesce(a.available, 0) <> coalesce(p.change, 0)
        """,
    ),
    Rule(
        "what an account counts as spent on a day is what its burns, holds and transfers took",
        """
        select format('member %s: %s counted as spent on %s, but its postings took %s',
                      a.member_id, a.spent_points, a.spent_on, -coalesce(sum(p.change), 0))
        from account a
        left join posting p on p.member_id = a.member_id and p.posting_no > a.spent_after_no
            and p.kind in ('burn', 'hold', 'transfer_out')
        where a.spent_on is not null
        group by a.member_id having a.spent_points <> -coalesce(sum(p.change), 0)
        """,
    ),
    Rule(
        "every posting states the balance that the ones before it add up to",
        """
        select format('posting %s of member %s: %s available after it, but postings come to %s',
                      posting_no, member_id, available_after, so_far)
        from (select member_id, posting_no, available_after,
                     sum(change) over (partition by member_id order by posting_no) as so_far
              from posting) p
        where available_after <> so_far
        """,
    ),
    Rule(
        "what a member owes is the sum of its debts, each of a reversed earn",
        """
        select format('member %s: %s owed, but its debts come to %s',
                      member_id, a.owed, coalesce(d.points, 0))
        from account a
        full join (select member_id, sum(points) as points from debt group by 1) d
            using (member_id)
        where coalesce(a.owed, 0) <> coalesce(d.points, 0)
        """,
    ),
    Rule(
        "a burn's points are its legs, except what reversals returned",
        """
        select format('burn %s of member %s: %s points, %s returned, but legs come to %s',
                      burn_no, member_id, b.points, b.returned, coalesce(g.points, 0))
        from burn b
        full join (select member_id, burn_no, sum(points) as points from leg group by 1, 2) g
            using (member_id, burn_no)
        where coalesce(b.points - b.returned, 0) <> coalesce(g.points, 0)
        """,
    ),
    Rule(
        "a leg has its lot's origin and its burn's kind and redeemer",
        f"""
        select format('leg (member %s, lot %s, posting %s)', g.member_id, g.lot_no, g.posting_no)
        from leg g left join lot l using (member_id, lot_no)
        left join burn b using (member_id, burn_no)
        where l.lot_no is null or b.burn_no is null
           or g.origin_id <> l.origin_id or g.kind <> b.kind
           or g.redeemer_id <> case when b.kind in {listed(REDEMPTIONS)}
                                    then b.redeemer_id else g.origin_id end
        """,
    ),
    Rule(
        "every leg of a posted burn is in exactly one window, and no leg of another is in any",
        """
        select format('leg (member %s, lot %s, posting %s) of a %s burn: window %s',
                      g.member_id, g.lot_no, g.posting_no, b.status, g.window_id)
        from leg g left join burn b using (member_id, burn_no)
        where (b.status is not distinct from 'posted') <> (g.window_id is not null)
        """,
    ),
    Rule(
        "a burn never gives back to a lot more than it took from it",
        """
        select format('burn %s of member %s: lot %s was given %s too much',
                      burn_no, member_id, lot_no, -sum(points))
        from leg group by member_id, burn_no, lot_no having sum(points) < 0
        """,
    ),
    Rule(
        "a posting's change is the lots it made less the legs it wrote",
        """
        select format('posting %s of member %s: change %s, but its lots and legs come to %s',
                      posting_no, member_id, p.change,
                      coalesce(l.points, 0) - coalesce(g.points, 0))
        from posting p
        full join (select member_id, earn_no as posting_no, sum(points) as points
                   from lot group by 1, 2) l using (member_id, posting_no)
        full join (select member_id, posting_no, sum(points) as points from leg group by 1, 2) g
            using (member_id, posting_no)
        where p.change is distinct from coalesce(l.points, 0) - coalesce(g.points, 0)
        """,
    ),
    Rule(
        "what a member owes an origin is what reversed earns left owing, less what was paid since",
        """
        select format('member %s: origin %s is owed %s, but reversals and earns come to %s',
                      member_id, origin_id, sum(debt), sum(owed))
        from (select member_id, origin_id, points as debt, 0 as owed from debt
              union all
              select p.member_id, coalesce(l.origin_id, p.merchant_id), 0, coalesce(r.owed, p.owed)
              from posting p left join reversed_lot r using (member_id, posting_no)
              left join lot l using (member_id, lot_no)
              where p.kind = 'reverse_earn'
                and (r.lot_no is not null or not exists (
                    select from counted c where c.member_id = p.member_id
                    and c.posting_no = p.posting_no and c.origin_id is not null))
              union all
              select member_id, origin_id, 0, owed from counted where owed <> 0
              union all
              select g.member_id, g.origin_id, 0, -g.points
              from leg g left join posting p using (member_id, posting_no)
              where g.kind = 'clawback' and p.kind is distinct from 'reverse_earn') sides
        group by member_id, origin_id having sum(debt) <> sum(owed)
        """,
    ),
    Rule(
        "what is given back names the window of the leg it gives back, where that is another one",
        """
        select format('leg (member %s, lot %s, posting %s) is about window %s, not %s',
                      g.member_id, g.lot_no, g.posting_no, g.about_window_id, f.about)
        from leg g
        join lateral (
            select case when t.window_id = g.window_id then t.about_window_id
                        else t.window_id end as about
            from leg t
            where t.member_id = g.member_id and t.lot_no = g.lot_no and t.burn_no = g.burn_no
              and t.points > 0
            order by t.posting_no limit 1) f on true
        where g.points < 0 and g.window_id is not null
          and g.about_window_id is distinct from f.about
        """,
    ),
    Rule(
        "no earn is reversed beyond its points, nor any of its lots",
        """
        select format('earn %s of member %s: %s of %s points reversed', r.target_no, r.member_id,
                      r.points, l.points)
        from (select member_id, target_no, sum(owed + lapsed - change) as points from posting
              where kind = 'reverse_earn' group by 1, 2) r
        left join (select member_id, earn_no, sum(points) as points from lot group by 1, 2) l
            on l.member_id = r.member_id and l.earn_no = r.target_no
        where r.points > coalesce(l.points, 0)
          -- Those return what a period's sum says.
          and not exists (select from counted c where c.member_id = r.member_id
                          and c.earn_no = r.target_no and c.origin_id is not null)
        union all
        select format('lot %s of member %s: %s of %s points reversed', lot_no, member_id,
                      r.points, l.points)
        from (select member_id, lot_no, sum(points) as points from reversed_lot group by 1, 2) r
        join lot l using (member_id, lot_no) where r.points > l.points
        """,
    ),
    Rule(
        "a reversal of an earn of several lots takes back what it takes of each of them",
        """
        select format('reversal %s of member %s: %s points, %s lapsed, %s owed, but its lots: %s',
                      p.posting_no, p.member_id, points, lapsed, owed, r)
        from (select *, owed + lapsed - change as points from posting) p
        join (select member_id, earn_no from lot group by 1, 2 having count(*) > 1
              union select member_id, earn_no from counted where origin_id is not null) e
            on e.member_id = p.member_id and e.earn_no = p.target_no
        left join (select member_id, posting_no, sum(points), sum(lapsed), sum(owed)
                   from (select member_id, posting_no, points, lapsed, owed from reversed_lot
                         union all
                         select member_id, posting_no, -points, lapsed, owed from counted
                         where origin_id is not null) parts
                   group by 1, 2) r (m, no, points_of, lapsed_of, owed_of)
            on m = p.member_id and no = p.posting_no
        where kind = 'reverse_earn' and points > 0
          and (points, lapsed, owed) is distinct from (points_of, lapsed_of, owed_of)
        """,
    ),
    Rule(
        "no reversal of an earn finds more lapsed than expired of its lots",
        """
        select format('earn %s of member %s: %s points found lapsed, but %s expired',
                      r.target_no, r.member_id, r.points, coalesce(x.points, 0))
        from (select member_id, target_no, sum(lapsed) as points from posting
              where lapsed <> 0 group by 1, 2) r
        left join (select l.member_id, l.earn_no, sum(g.points) as points
                   from lot l join leg g using (member_id, lot_no)
                   where g.kind = 'expiry' group by 1, 2) x
            on x.member_id = r.member_id and x.earn_no = r.target_no
        where r.points > coalesce(x.points, 0)
          and not exists (select from counted c where c.member_id = r.member_id
                          and c.earn_no = r.target_no and c.origin_id is not null)
        """,
    ),
    Rule(
        "what one member gave, another received, with the same origins",
        """
        select format('points of origin %s given in transfers: %s, received: %s',
                      origin_id, given, received)
        from (select origin_id,
                     coalesce(sum(points) filter (where side = 'given'), 0) as given,
                     coalesce(sum(points) filter (where side = 'received'), 0) as received
              from (select 'given' as side, origin_id, points from leg where kind = 'transfer'
                    union all
                    select 'received', origin_id, points from lot where kind = 'transfer') t
              group by 1) sides
        where given <> received
        """,
    ),
    Rule(
        "no open lot expires before the day its account knows of",
        """
        select format('member %s: next expiry known %s, but lot %s expires on %s',
                      member_id, a.expires_next_on, l.lot_no, l.expires_on)
        from lot l left join account a using (member_id)
        where l.is_open and l.expires_on is not null
          and (a.expires_next_on is null or a.expires_next_on > l.expires_on)
        """,
    ),
    Rule(
        "an account's counter is not behind any number it gave out",
        """
        select format('member %s: counter %s, but number %s is in use',
                      member_id, a.last_no, n.no)
        from account a
        right join (select member_id, max(no) as no
                    from (select member_id, posting_no as no from posting
                          union all select member_id, lot_no from lot) numbers group by 1) n
            using (member_id)
        where n.no > coalesce(a.last_no, 0)
        """,
    ),
    Rule(
        "history was imported before the first live posting, by a clock of its own",
        """
        select format('posting %s of member %s is imported: recorded at %s, in window %s',
                      posting_no, member_id, recorded_at, window_id)
        from posting
        where imported
          and ((request_id is not null and recorded_at <> occurred_at)
               or recorded_at > (select began_at from beginning)
               or window_id > (select min(window_id) from posting where not imported))
        """,
    ),
    Rule(
        "exactly one window is open, and windows follow each other without a gap",
        """
        select format('%s windows are open', count(*)) from settlement_window
        where status = 'open' having count(*) <> 1
        union all
        select format('window %s opens at %s, but the one before closes at %s',
                      label, opens_at, before)
        from (select label, opens_at, lag(closes_at) over (order by window_id) as before
              from settlement_window) w
        where opens_at <> before
        """,
    ),
    Rule(
        "the net positions of a window add up to zero in every currency",
        """
        select format('window %s: positions in %s come to %s', window_id, currency, sum(net))
        from position group by window_id, currency having sum(net) <> 0
        """,
    ),
    Rule(
        "a position is what its obligations come to",
        """
        select format('window %s, party %s: receivable %s, payable %s, but obligations come to '
                      '%s and %s', window_id, party_id, p.receivable, p.payable,
                      coalesce(o.receivable, 0), coalesce(o.payable, 0))
        from position p
        full join (
            select window_id, party_id, currency, sum(receivable) as receivable,
                   sum(payable) as payable
            from (select window_id, creditor_id as party_id, currency, amount as receivable,
                         0 as payable from obligation
                  union all
                  select window_id, debtor_id, currency, 0, amount from obligation) sides
            group by 1, 2, 3) o using (window_id, party_id, currency)
        where coalesce(p.receivable, 0) <> coalesce(o.receivable, 0)
           or coalesce(p.payable, 0) <> coalesce(o.payable, 0)
        """,
    ),
    Rule(
        "a window's opening balance is the closing balance of the one before",
        """
        select format('window %s, party %s: opens at %s, but closed at %s before',
                      window_id, party_id, opening, before)
        from (select window_id, party_id, currency, opening,
                     coalesce(lag(closing) over (partition by party_id, currency
                                                 order by window_id), 0) as before
              from position) p
        where opening <> before
        """,
    ),
    Rule(
        "a window that is netted after one that keeps its terms keeps its own, of every merchant",
        """
        select format('window %s: the terms that merchant %s was netted by are not kept',
                      w.label, before.merchant_id)
        from settlement_window w
        join (select merchant_id, min(window_id) as first_id from window_terms group by 1) before
            on before.first_id < w.window_id
        left join window_terms t
            on t.window_id = w.window_id and t.merchant_id = before.merchant_id
        where w.netted_at is not null and t.window_id is null
        """,
    ),
    Rule(
        "every path of a closed window holds the points of its legs",
        f"""
        select format('window %s: paths hold %s points of burns, but its legs hold %s',
                      w.label, coalesce(p.points, 0), coalesce(g.points, 0))
        from settlement_window w
        left join (select window_id, sum(points) as points from path
                   where kind <> '{ISSUE}' and reason <> '{REDEEM}' group by 1) p using (window_id)
        left join (select window_id, sum(points) as points from leg group by 1) g
            using (window_id)
        where w.netted_at is not null and coalesce(p.points, 0) <> coalesce(g.points, 0)
        """,
    ),
)
