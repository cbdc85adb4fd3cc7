-- One card with ten thousand movements: what a burn, a capture or a reversal looks up among its
-- member's rows, and what a file sent again looks up for each of its rows, is found by its number.

-- A burn's legs, those that were given back later with them.
create index leg_of_burn on leg (member_id, burn_no);

-- The captures, voids and reversals of one earn or burn. Earns and burns are about none, so that
-- they write nothing here.
create index posting_about on posting (member_id, target_no) where target_no is not null;
