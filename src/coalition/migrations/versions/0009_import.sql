-- A coalition may bring its history along before it begins: movements of the past, posted with the
-- clock of their own time. Once something is posted live, nothing is imported any more.

-- Whether a movement came with the history. Nobody's till asked for it, and its recorded_at is the
-- time of the history and not the time at which it was written.
alter table posting add column imported boolean not null default false;

-- One row, from the first live posting on: whether a coalition has begun may be asked often, and the
-- journal of its history may be long.
create table beginning (
    is_only  boolean primary key default true check (is_only),
    began_at timestamptz not null
);
insert into beginning (began_at)
select recorded_at from posting order by recorded_at limit 1;
create trigger beginning_is_history before update or delete or truncate on beginning
    for each statement execute function refuse_change();

create function only_before_the_beginning() returns trigger language plpgsql as $$
begin
    if exists (select from beginning) then
        raise exception 'history is imported only before the first live posting'
            using errcode = 'restrict_violation';
    end if;
    return new;
end $$;
create trigger posting_imported before insert on posting
    for each row when (new.imported) execute function only_before_the_beginning();

-- A file of history and how far it is imported: rows and lines read, bytes of the file, bytes of its
-- results. digest (SHA-256 of its content) is its name: the same file goes on where it was left.
-- clock_at: the latest time of a movement so far.
create table import_file (
    digest         bytea primary key check (length(digest) = 32),
    name           text not null,
    posted         bigint not null default 0,
    replayed       bigint not null default 0,
    refused        bigint not null default 0,
    read_to_bytes  bigint not null default 0,
    line_count     bigint not null default 0,
    results_bytes  bigint not null default 0,
    clock_at       timestamptz,
    started_at     timestamptz not null,
    finished_at    timestamptz
);
