-- Whose act a file is, and files on their way in.

-- The key that a file came with, which is looked at again for each group of its rows. Null: the house
-- sent it from the command line, or it came before keys were kept.
alter table batch add column key_id text references api_key;

-- Files that are being sent, by whichever process: each counts among its merchant's until it is
-- recorded in batch, or given up. One whose process died counts no longer once good_until has passed.
create table upload (
    upload_id   uuid primary key,
    merchant_id int not null references merchant,
    good_until  timestamptz not null
);
