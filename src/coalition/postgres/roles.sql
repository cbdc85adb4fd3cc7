-- The two roles of a coalition's database, run in it by a superuser; a second time it changes nothing.
-- The embedded server runs it at each start, docker-compose.yml when its database is made, and an
-- operator by hand (psql -f) on a server of their own. What the second role may do is grants.sql.

-- coalition_owner makes the tables and owns them: `coalition migrate` and
-- `coalition seal` run as it, and nothing else.
-- coalition_app is what the API, the jobs and every other command run as.
do $$
declare
    role text;
begin
    foreach role in array array['coalition_owner', 'coalition_app'] loop
        if not exists (select from pg_roles where rolname = role) then
            begin
                execute format('create role %I login', role);
            exception when duplicate_object or unique_violation then
                null;  -- Another database of this server was set up at the same moment.
            end;
        end if;
    end loop;
end $$;

-- Whoever is none of the two has no business in this database.
do $$
begin
    if (select datdba from pg_database where datname = current_database())
       <> 'coalition_owner'::regrole
    then
        execute format('alter database %I owner to coalition_owner', current_database());
        execute format('revoke all on database %I from public', current_database());
        execute format('grant connect, temporary on database %I to coalition_app',
                       current_database());
    end if;
end $$;

-- What a superuser made here before there were roles goes over to the owner; what an extension made
-- and what the system needs stays.
do $$
declare
    command text;
begin
    for command in
        with ours as (
            select oid from pg_namespace
            where nspname !~ '^pg_' and nspname <> 'information_schema'),
        owner as (select 'coalition_owner'::regrole::oid as oid),
        -- Of an extension, or following its table: an identity's sequence.
        bound as (
            select classid, objid from pg_depend where deptype in ('e', 'i', 'a'))
        select format('alter schema %I owner to coalition_owner', nspname)
        from pg_namespace, owner
        where nspname <> 'public' and pg_namespace.oid in (select oid from ours)
          and nspowner <> owner.oid
          and (pg_namespace.oid) not in (select objid from bound
                                         where classid = 'pg_namespace'::regclass)
        union all
        select format('alter %s %s owner to coalition_owner',
                      case relkind when 'v' then 'view' when 'm' then 'materialized view'
                                   when 'S' then 'sequence' else 'table' end, c.oid::regclass)
        from pg_class c, owner
        where relnamespace in (select oid from ours) and relkind in ('r', 'p', 'v', 'm', 'S')
          and relowner <> owner.oid
          and not (relkind = 'S' and exists (
              select from bound where classid = 'pg_class'::regclass and objid = c.oid))
          and not exists (select from pg_depend where classid = 'pg_class'::regclass
                          and objid = c.oid and deptype = 'e')
        union all
        select format('alter routine %s owner to coalition_owner', p.oid::regprocedure)
        from pg_proc p, owner
        where pronamespace in (select oid from ours) and proowner <> owner.oid
          and not exists (select from bound where classid = 'pg_proc'::regclass and objid = p.oid)
        union all
        select format('alter type %s owner to coalition_owner', t.oid::regtype)
        from pg_type t, owner
        where typnamespace in (select oid from ours)
          -- A table's own row type goes with its table.
          and (typtype in ('e', 'd', 'r')
               or exists (select from pg_class where oid = typrelid and relkind = 'c'))
          and typowner <> owner.oid
          and not exists (select from bound where classid = 'pg_type'::regclass and objid = t.oid)
    loop
        execute command;
    end loop;
end $$;

-- Of the owner of the database, since PostgreSQL 15; in one that began as an older version, of a
-- superuser, and open to all.
do $$
begin
    if (select nspowner from pg_namespace where nspname = 'public')
       not in ('pg_database_owner'::regrole, 'coalition_owner'::regrole)
    then
        alter schema public owner to pg_database_owner;
        revoke create on schema public from public;
    end if;
end $$;
