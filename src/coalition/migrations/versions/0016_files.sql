-- Files that are being sent, by whichever process: each counts among its merchant's until it is
-- recorded in batch, or given up. One whose process died counts no longer once good_until has passed.
create table upload (
    upload_id   uuid primary key,
    merchant_id int not null references merchant,
    good_until  timestamptz not null
);
