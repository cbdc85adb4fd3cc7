-- Files of rows that a merchant sent, how far each is posted, and what became of its rows. The rows'
-- points are in the ledger; nothing here is needed to know a balance.

create type batch_status as enum ('running', 'done', 'failed');

-- place is the data folder that holds the file. The next row to post begins read_to_bytes into it,
-- after line_count lines. reason says why a batch failed.
create table batch (
    batch_id      uuid primary key,
    merchant_id   int not null references merchant,
    scopes        text[] not null,
    format        text not null check (format in ('ndjson', 'csv')),
    place         uuid not null,
    size_bytes    bigint not null check (size_bytes >= 0),
    status        batch_status not null default 'running',
    row_count     int not null default 0 check (row_count >= 0),
    posted        int not null default 0 check (posted >= 0),
    replayed      int not null default 0 check (replayed >= 0),
    refused       int not null default 0 check (refused >= 0),
    read_to_bytes bigint not null default 0 check (read_to_bytes between 0 and size_bytes),
    line_count    int not null default 0 check (line_count >= 0),
    created_at    timestamptz not null,
    finished_at   timestamptz,
    reason        text,
    check (row_count = posted + replayed + refused),
    check ((status = 'running') = (finished_at is null)),
    check ((status = 'failed') = (reason is not null))
);
create index batch_running on batch (created_at) where status = 'running';

-- The results of consecutive rows, first_row (from 1) and what follows, packed: batches/results.py.
create table batch_chunk (
    batch_id  uuid not null references batch,
    first_row int not null check (first_row > 0),
    results   bytea not null,
    primary key (batch_id, first_row)
);
