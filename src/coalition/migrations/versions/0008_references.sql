-- A till reverses a movement by its own reference: found among its member's by one look, however
-- long the history. Whoever sends no reference writes nothing here.
create index posting_called on posting (member_id, merchant_id, reference) where reference is not null;
