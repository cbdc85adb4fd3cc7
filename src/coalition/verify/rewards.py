"""What holds of rewards and vouchers: of what is gone, and of where each voucher stands."""

from coalition.verify.rules import Rule

REWARDS = (
    Rule(
        "of each reward as many pieces are gone as its burns have",
        """
        select format('reward %s of merchant %s: %s are counted, but burns have %s',
                      reward, merchant_id, coalesce(c.sold, 0), coalesce(b.pieces, 0))
        from reward_count c
        full join (select redeemer_id as merchant_id, reward,
                          sum(div(cast(quantity as numeric) * (points - returned), points))
                              as pieces
                   from burn where reward is not null group by 1, 2) b
            using (merchant_id, reward)
        where coalesce(c.sold, 0) <> coalesce(b.pieces, 0)
        """,
    ),
    Rule(
        "of no reward more is gone than its merchant's terms ever had in stock",
        """
        select format('reward %s of merchant %s: %s are gone, and %s were in stock',
                      c.reward, c.merchant_id, c.sold, s.most)
        from reward_count c
        cross join lateral (
            select max(coalesce(cast(r ->> 'stock' as bigint), 9223372036854775807)) as most
            from terms t
            cross join jsonb_array_elements(coalesce(t.terms -> 'rewards', '[]')) r
            where t.merchant_id = c.merchant_id and r ->> 'code' = c.reward) s
        where c.sold > coalesce(s.most, 0)
        """,
    ),
    Rule(
        "a burn of a reward has a voucher for each piece or none, and those of pieces that were "
        "given back are cancelled or expired",
        """
        select format('burn %s of member %s: %s pieces, %s of them back, but %s vouchers, %s '
                      'cancelled', burn_no, member_id, quantity, back, vouchers, cancelled)
        from (select v.member_id, v.burn_no, b.quantity, v.vouchers, v.cancelled,
                     div(cast(b.quantity as numeric) * b.returned, b.points) as back
              from (select member_id, burn_no, count(*) as vouchers,
                           count(*) filter (where status in ('cancelled', 'expired'))
                               as cancelled
                    from voucher group by 1, 2) v
              left join burn b using (member_id, burn_no)) burns
        where quantity is distinct from vouchers or back is distinct from cancelled
        """,
    ),
    Rule(
        "a voucher is what was done with it",
        """
        select format('voucher %s of member %s: %s with %s left, by what was done %s with %s',
                      v.voucher_no, v.member_id, v.status, v.remaining, e.status, e.remaining)
        from voucher v
        left join lateral (
            select coalesce(max(kind) filter (where place = 1), 'issued') as kind,
                   case when max(kind) filter (where place = 1) is null then 'issued'
                        when max(kind) filter (where place = 1) in ('cancelled', 'expired')
                        then max(kind) filter (where place = 1)
                        when v.value > coalesce(sum(amount), 0) then 'part_used'
                        else 'used' end as status,
                   v.value - coalesce(sum(amount), 0) as remaining,
                   max(said) filter (where place = 1) as said
            from (select kind, amount, remaining as said,
                         row_number() over (order by posting_no desc) as place
                  from voucher_event e
                  where e.member_id = v.member_id and e.voucher_no = v.voucher_no) events) e
            on true
        where v.status <> e.status or v.remaining is distinct from e.remaining
           or (e.kind <> 'issued' and e.said is distinct from e.remaining)
        """,
    ),
    Rule(
        "what was done with a voucher was posted about its burn, and what was posted was done",
        """
        select format('posting %s of member %s', coalesce(e.posting_no, p.posting_no),
                      coalesce(e.member_id, p.member_id))
        from (select e.member_id, e.posting_no, e.kind, e.amount, v.burn_no
              from voucher_event e left join voucher v using (member_id, voucher_no)) e
        full join (select member_id, posting_no, kind::text as made_by, target_no, amount
                   from posting where kind::text in
                       ('use_voucher', 'cancel_voucher', 'reverse_burn', 'void')) p
            on p.member_id = e.member_id and p.posting_no = e.posting_no
        where case when e.kind is null then p.made_by in ('use_voucher', 'cancel_voucher')
                   else p.target_no is distinct from e.burn_no
                        or p.amount is distinct from e.amount
                        or (e.kind = 'used') <> (p.made_by = 'use_voucher') end
        """,
    ),
    Rule(
        "a voucher has a code, which is of its burn's reward",
        """
        select format('voucher %s of member %s', coalesce(v.voucher_no, c.voucher_no),
                      coalesce(v.member_id, c.member_id))
        from (select v.member_id, v.voucher_no, b.redeemer_id, b.reward
              from voucher v left join burn b using (member_id, burn_no)) v
        full join (select * from voucher_code where member_id is not null) c
            using (member_id, voucher_no)
        where c.digest is null or v.redeemer_id is distinct from c.merchant_id
           or v.reward is distinct from c.reward
        """,
    ),
)
