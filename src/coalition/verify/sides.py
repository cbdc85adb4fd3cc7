"""Which rows belong to each other, from both sides: none is missing, and none is there by itself.

With triggers and foreign keys set aside a row can be deleted, or made, that no sum notices.
"""

from coalition.clearing.kinds import REDEMPTIONS, listed
from coalition.verify.rules import Rule

SIDES = (
    Rule(
        "every member has an account, and whatever moves points is an account's",
        """
        select format('%s %s of member %s', what, no, member_id)
        from (select 'member' as what, member_id as no, member_id from member
              union all select 'posting', posting_no, member_id from posting
              union all select 'lot', lot_no, member_id from lot
              union all select 'burn', burn_no, member_id from burn
              union all select 'leg of posting', posting_no, member_id from leg
              union all select 'debt to party', origin_id, member_id from debt
              union all select 'activity of party', origin_id, member_id from activity
              union all select 'tally of merchant', merchant_id, member_id from tally) rows
        where not exists (select from account a where a.member_id = rows.member_id)
        union all
        select format('account of member %s, who is not there', member_id)
        from account a left join member m using (member_id) where m.member_id is null
        """,
    ),
    Rule(
        "every number that an account gave out is a posting's, a lot's or a voucher's",
        """
        select format('member %s: %s numbers given out, but %s are in use',
                      member_id, last_no, used)
        from (select a.member_id, a.last_no,
                     coalesce(p.used, 0) + coalesce(l.used, 0) + coalesce(v.used, 0) as used
              from account a
              left join (select member_id, count(*) as used from posting group by 1) p
                  using (member_id)
              left join (select member_id, count(*) as used from lot group by 1) l
                  using (member_id)
              left join (select member_id, count(*) as used from voucher group by 1) v
                  using (member_id)) numbers
        where last_no <> used
        """,
    ),
    Rule(
        "a lot was made by an earn or a transfer, and each of these made one",
        """
        select format('lot %s of member %s', l.lot_no, l.member_id)
        from lot l left join posting p on p.member_id = l.member_id and p.posting_no = l.earn_no
        where p.kind is null or p.kind not in ('earn', 'transfer_in')
        union all
        select format('posting %s of member %s has no lot', p.posting_no, p.member_id)
        from posting p left join lot l on l.member_id = p.member_id and l.earn_no = p.posting_no
        where p.kind in ('earn', 'transfer_in') and l.lot_no is null
          and not exists (select from counted c where c.member_id = p.member_id
                          and c.posting_no = p.posting_no and c.earn_no = p.posting_no)
        """,
    ),
    Rule(
        "a burn is what its postings made of it",
        f"""
        select format('burn %s of member %s', burn_no, member_id)
        from (select member_id, burn_no, kind, returned, status, window_id from burn) b
        full join (select member_id, posting_no as burn_no, kind as made_by, window_id as made_in
                   from posting) p using (member_id, burn_no)
        left join (select member_id, target_no as burn_no, max(window_id) as captured_in
                   from posting where kind = 'capture' group by 1, 2) c using (member_id, burn_no)
        left join (select member_id, target_no as burn_no, true as is_void
                   from posting where kind::text in ('void', 'cancel_voucher')
                   group by 1, 2) v using (member_id, burn_no)
        left join (select g.member_id, g.burn_no, -sum(g.points) as given_back
                   from leg g join posting r using (member_id, posting_no)
                   where g.points < 0 and r.kind::text in ('void', 'reverse_burn', 'cancel_voucher')
                   group by 1, 2) r
            using (member_id, burn_no)
        where p.made_by is null
           or (b.kind is null and p.made_by in ('burn', 'hold', 'transfer_out', 'expire'))
           or (b.kind is not null and (
               b.kind in {listed(REDEMPTIONS)} <> (p.made_by in ('burn', 'hold'))
               or (b.kind = 'transfer') <> (p.made_by = 'transfer_out')
               or (b.kind = 'expiry') <> (p.made_by = 'expire')
               or b.status <> case when p.made_by <> 'hold' or c.captured_in is not null
                                   then 'posted'::burn_status when v.is_void then 'voided'
                                   else 'held' end
               or b.window_id is distinct from
                  case when p.made_by = 'hold' then c.captured_in else p.made_in end
               or b.returned <> coalesce(r.given_back, 0)))
        """,
    ),
    Rule(
        "a captured hold's legs have the day and the window of its capture",
        """
        select format('leg (member %s, lot %s, posting %s)', g.member_id, g.lot_no, g.posting_no)
        from leg g join burn b using (member_id, burn_no)
        join posting p on p.member_id = b.member_id and p.posting_no = b.burn_no
        where p.kind = 'hold' and b.status = 'posted' and g.posting_no = g.burn_no
          and (g.window_id is distinct from b.window_id or g.occurred_on <> b.occurred_on)
        """,
    ),
    Rule(
        "a leg was written by a posting",
        """
        select format('leg (member %s, lot %s, posting %s)', g.member_id, g.lot_no, g.posting_no)
        from leg g left join posting p using (member_id, posting_no) where p.kind is null
        """,
    ),
    Rule(
        "what captures, voids and reverses is about a movement of its member",
        """
        select format('posting %s of member %s: about %s', p.posting_no, p.member_id, p.target_no)
        from posting p
        left join posting t on t.member_id = p.member_id and t.posting_no = p.target_no
        where case when p.kind in ('capture', 'void') then t.kind is distinct from 'hold'
                   when p.kind::text in ('reverse_burn', 'use_voucher', 'cancel_voucher')
                   then t.kind is null or t.kind not in ('burn', 'hold')
                   when p.kind = 'reverse_earn' then t.kind is distinct from 'earn'
                   else p.target_no is not null end
        """,
    ),
    # What a merchant's terms carry into its next period, or extend, no leg says. What lapses by
    # inactivity has only its grace here.
    Rule(
        "until when a lot is good is what it was granted with, or what a refund made of that",
        """
        select format('lot %s of member %s: good until %s, first %s, and by its legs %s',
                      l.lot_no, l.member_id, l.expires_on, l.first_expires_on, r.good_until)
        from lot l
        left join (select member_id, lot_no, max(good_until) as good_until
                   from leg where points < 0 and good_until is not null group by 1, 2) r
            using (member_id, lot_no)
        where case when l.inactive_months is not null
                   then l.first_expires_on is not null
                        or l.expires_on is distinct from r.good_until
                   when l.first_expires_on is not null and exists (
                       select from terms t where t.merchant_id = l.origin_id
                       and (t.terms #>> '{validity,extends_earned}' = 'true'
                            or cast(t.terms #>> '{validity,carried_share}' as numeric) > 0))
                   then l.expires_on < greatest(r.good_until, l.first_expires_on)
                   when r.good_until is null then l.first_expires_on is not null
                   else l.first_expires_on is null or l.expires_on <> r.good_until end
        """,
    ),
    Rule(
        "a posting's card is its member's",
        """
        select format('posting %s of member %s', p.posting_no, p.member_id)
        from posting p left join card c using (card_number)
        where (p.card_number is not null and c.member_id is distinct from p.member_id)
           or (p.card_number is null
               and p.kind in ('earn', 'burn', 'hold', 'transfer_out', 'transfer_in'))
        """,
    ),
    Rule(
        "whatever is in a window is in one that is there",
        """
        select format('%s in window %s', what, window_id)
        from (select 'posting' as what, window_id from posting
              union select 'lot', window_id from lot
              union select 'burn', window_id from burn
              union select 'leg', window_id from leg
              union select 'path', window_id from path
              union select 'passed net', window_id from passed_net
              union select 'position', window_id from position
              union select 'terms', window_id from window_terms) rows
        left join settlement_window w using (window_id)
        where window_id is not null and w.label is null
        """,
    ),
    Rule(
        "whatever was posted since digests are has one",
        """
        select format('posting %s of member %s', posting_no, member_id)
        from posting
        where digest is null and recorded_at >= (select begins_at from sealing)
        union all
        select format('posting %s of member %s: no transaction had the mark %s', posting_no,
                      member_id, mark)
        from posting
        where digest is not null and (mark is null or mark >= (
            select cast(cast(pg_snapshot_xmax(pg_current_snapshot()) as text) as bigint)
                   + mark_offset from sealing))
        union all
        select format('posting %s of member %s, of which there is a digest, is not there',
                      e.posting_no, e.member_id)
        from earlier_digest e left join posting p using (member_id, posting_no)
        where p.kind is null
        union all
        select 'nothing says since when digests are' where not exists (select from sealing)
        """,
    ),
)
