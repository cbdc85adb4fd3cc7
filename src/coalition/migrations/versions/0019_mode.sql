-- Which of the two a database holds: the live coalition, or the test coalition that test keys reach. One
-- row, written when the database is prepared as the one or the other, and never changed: a test key
-- must not come to move live points by a setting that names the wrong database.
create table coalition_mode (
    is_only boolean primary key default true check (is_only),
    is_live boolean not null
);
create trigger coalition_mode_is_history before update or delete or truncate on coalition_mode
    for each statement execute function refuse_change();

-- Test keys worked on the only coalition there was. There they are refused from now on, and make room.
update api_key set revoked_at = now() where not is_live and revoked_at is null;

create function only_keys_of_the_mode() returns trigger language plpgsql as $$
begin
    if exists (select from coalition_mode where is_live <> new.is_live) then
        raise exception 'a % key belongs into the database of the % coalition',
            case when new.is_live then 'live' else 'test' end,
            case when new.is_live then 'live' else 'test' end
            using errcode = 'restrict_violation';
    end if;
    return new;
end $$;
create trigger api_key_of_mode before insert or update of is_live on api_key
    for each row execute function only_keys_of_the_mode();
