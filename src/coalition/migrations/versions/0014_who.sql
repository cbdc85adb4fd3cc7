-- Who did what: on every posting, in a table of acts that is appended to only, and when a key was used.

-- Who asked for a movement: key:<key_id>, person:<id>, command:<name> or job:<name>. Null: not known, as
-- of everything that was posted before this. Checked by its beginning only: a pattern as below takes
-- 20 us a row, a posting's whole insert two.
alter table posting add column actor text check (
    length(actor) between 5 and 49
    and (actor ^@ 'key:' or actor ^@ 'job:' or actor ^@ 'person:' or actor ^@ 'command:'));

-- Who sent a file; its rows are posted in that name. Where it is a key, that is looked at again for each
-- group of them. Null: it came before this was kept.
alter table batch add column actor text
    check (actor ~ '^(key|person|command|job):[0-9A-Za-z_-]{1,40}$');

-- Changes of cards, keys, merchants, windows and of what is known of members, cancelled files and imports,
-- each written by the transaction that changes them. action is what was changed and how (card.block);
-- object is which one: a card's last four digits, the id of a key, file or member, a merchant's code, a
-- window's label. place is from where: an
-- address, or user and host of a terminal. before and after hold what the act changed, and nothing that
-- names a person.
create table audit (
    audit_no  bigint generated always as identity primary key,
    at        timestamptz not null,
    actor     text check (actor ~ '^(key|person|command|job):[0-9A-Za-z_-]{1,40}$'),
    place     text not null check (length(place) <= 255),
    action    text not null check (action ~ '^[a-z]+\.[a-z]+$'),
    object    text not null check (length(object) <= 255),
    member_id bigint,
    before    jsonb,
    after     jsonb
);
create index audit_since on audit (at);
create trigger audit_is_history before update or delete or truncate on audit
    for each statement execute function refuse_change();

-- expires_on is a key's last good day by its merchant's calendar; last_used_at is right to a minute.
alter table api_key
    add column last_used_at timestamptz,
    add column expires_on   date;
