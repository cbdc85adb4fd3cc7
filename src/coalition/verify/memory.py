"""What rules of earning remember, held against the movements that they remember."""

from coalition.verify.rules import Rule

MEMORY = (
    Rule(
        "what a rule remembers of a member is what its earns counted, less what returns took back",
        """
        select format('member %s, rule "%s" of merchant %s, %s until %s: %s, but its earns: %s',
                      member_id, rule, merchant_id, span, until,
                      (t.spent, t.points, t.times), (c.spent, c.points, c.times))
        from tally t
        full join (select member_id, merchant_id, rule, span, until, sum(spent) as spent,
                          sum(points) as points, sum(times) as times
                   from counted group by 1, 2, 3, 4, 5) c
            using (member_id, merchant_id, rule, span, until)
        where (t.spent, t.points, t.times) is distinct from (c.spent, c.points, c.times)
        """,
    ),
    Rule(
        "what was counted was counted by an earn, and taken back by a reversal of it",
        """
        select format('posting %s of member %s counts for earn %s', c.posting_no, c.member_id,
                      c.earn_no)
        from counted c left join posting p using (member_id, posting_no)
        where p.posting_no is null or p.merchant_id <> c.merchant_id
           or case when c.posting_no = c.earn_no then p.kind <> 'earn'
                   else p.kind <> 'reverse_earn' or p.target_no is distinct from c.earn_no end
        """,
    ),
    Rule(
        "what an earn counted for a rule is the points of the lots that the rule made",
        """
        select format('earn %s of member %s counted %s points of rule "%s", but its lots have %s',
                      c.earn_no, c.member_id, c.points, c.rule, coalesce(l.points, 0))
        from counted c
        left join (select member_id, earn_no, rule, sum(points) as points from lot group by 1, 2, 3)
            l using (member_id, earn_no, rule)
        where c.posting_no = c.earn_no and c.rule <> '' and c.points <> coalesce(l.points, 0)
        """,
    ),
    Rule(
        "no returns of one period find more lapsed than expired of what its brackets gave",
        """
        select format('member %s, rule "%s" of merchant %s, until %s: %s found lapsed, %s expired',
                      member_id, rule, merchant_id, until, sum(lapsed), sum(expired))
        from (select c.member_id, c.rule, c.merchant_id, c.until, c.lapsed, x.expired
              from counted c
              left join lateral (
                  select sum(g.points) as expired from lot l join leg g using (member_id, lot_no)
                  where c.posting_no = c.earn_no and l.member_id = c.member_id
                    and l.earn_no = c.earn_no and l.rule = c.rule and g.kind = 'expiry') x on true
              where c.origin_id is not null) periods
        group by member_id, rule, merchant_id, until
        having sum(lapsed) > coalesce(sum(expired), 0)
        """,
    ),
    # To half a point, since a ratio of money has no last digit; and of brackets that never changed.
    Rule(
        "the points of a period's brackets are what the period's sum comes to",
        """
        select format('member %s, rule "%s" of merchant %s, until %s: %s points of %s, not %s',
                      member_id, rule, merchant_id, until, points, spent, round(comes_to, 3))
        from (select t.*, (
                  select coalesce(sum(ratio * greatest(
                      0, least(t.spent, coalesce(up_to, t.spent)) - above)), 0)
                  from (select (b ->> 'up_to')::bigint as up_to,
                               (b ->> 'points')::numeric / (b ->> 'per')::numeric as ratio,
                               coalesce(lag((b ->> 'up_to')::bigint) over (order by place), 0)
                                   as above
                        from jsonb_array_elements(r.brackets) with ordinality as bs (b, place)
                       ) brackets) as comes_to
              from tally t
              join lateral (
                  select min((e -> 'brackets')::text)::jsonb as brackets,
                         count(distinct e -> 'brackets') as ways
                  from terms x cross join jsonb_array_elements(x.terms -> 'rules') e
                  where x.merchant_id = t.merchant_id and e ->> 'name' = t.rule
                    and e ->> 'kind' = 'brackets') r on r.ways = 1
              where t.span = 'period') sums
        where abs(points - comes_to) > 0.5001
        """,
    ),
)
