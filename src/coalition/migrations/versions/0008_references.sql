-- A till reverses a movement by its own reference: found among its member's by one look, however
-- long the history. Without the index that is every posting of the member, read under its lock. It
-- costs an earn with a reference some 5 % of its time and 120 bytes of write-ahead log; one without a
-- reference writes nothing here.
create index posting_called on posting (member_id, merchant_id, reference) where reference is not null;
