"""From when and until when points are good: what is pending, and what lapses by inactivity."""

from coalition.verify.rules import Rule

_HOUSE_DAY = """
    (p.recorded_at at time zone (select time_zone from merchant where merchant_id = 0))::date
"""

# A day more or less is allowed: the house may have moved to another time zone since.
VALIDITY = (
    Rule(
        "no open lot is pending longer than its account knows of",
        """
        select format('member %s: none pending from %s on, but lot %s is until %s',
                      a.member_id, a.pending_until, l.lot_no, l.active_from)
        from account a join lot l using (member_id)
        where l.is_open and l.active_from is not null
          and (a.pending_until is null or a.pending_until < l.active_from)
        """,
    ),
    Rule(
        "every posting states what of its member's lots was pending after it",
        f"""
        select format('posting %s of member %s: %s pending after it, but its lots come to %s',
                      p.posting_no, p.member_id, p.pending_after, s.pending[2])
        from posting p
        cross join lateral (
            select array[coalesce(sum(points), 0),
                         coalesce(sum(points) filter (where active_from > {_HOUSE_DAY}), 0),
                         coalesce(sum(points) filter (where active_from > {_HOUSE_DAY} + 1), 0)]
                   as pending
            from (select l.active_from, l.points - coalesce((
                      select sum(g.points) from leg g where g.member_id = l.member_id
                      and g.lot_no = l.lot_no and g.posting_no <= p.posting_no), 0) as points
                  from lot l
                  where l.member_id = p.member_id and l.earn_no <= p.posting_no
                    and l.active_from > {_HOUSE_DAY} - 1) then_pending) s
        where (p.pending_after <> 0 or p.member_id in (
            select member_id from lot where active_from is not null))
          and p.pending_after <> all(s.pending)
        """,
    ),
    Rule(
        "nothing was burned, held or given away while it was pending",
        f"""
        select format('leg (member %s, lot %s, posting %s): on %s it was pending until %s',
                      g.member_id, g.lot_no, g.posting_no, {_HOUSE_DAY}, l.active_from)
        from lot l join leg g using (member_id, lot_no)
        join posting p using (member_id, posting_no)
        where l.active_from is not null and g.points > 0 and g.kind <> 'clawback'
          and l.active_from > {_HOUSE_DAY} + 1
        """,
    ),
    Rule(
        "points that lapse by inactivity have moved, and not before the day their account knows of",
        """
        select format('member %s: next expiry known %s, but lot %s moved on %s and lives %s months',
                      a.member_id, a.expires_next_on, l.lot_no, m.last_moved_on, l.inactive_months)
        from lot l
        join account a using (member_id)
        left join activity m using (member_id, origin_id)
        where l.is_open and l.inactive_months is not null
          and (m.last_moved_on is null
               or not exists (
                   select from lot e where e.member_id = l.member_id and e.origin_id = l.origin_id
                   and (e.earned_on = m.last_moved_on or e.kind = 'transfer'))
                  and not exists (
                   select from leg g where g.member_id = l.member_id and g.origin_id = l.origin_id
                   and g.kind = 'redemption' and g.occurred_on = m.last_moved_on)
               or a.expires_next_on is null
               or a.expires_next_on > greatest(l.expires_on, (
                   m.last_moved_on + make_interval(months => l.inactive_months))::date))
        """,
    ),
)
