-- A netted window keeps the number of the format that its statements are issued in, so that each of
-- them is written again byte for byte in that format, whatever a later one looks like. 1: what all
-- windows netted before this were issued in.
--
-- From format 2 on a statement prints local times: the offsets from UTC, in seconds, of the window's
-- beginning and end by the house's clock. The offsets and not the zone are kept, because what a zone's
-- offset was may be corrected later, and an issued file keeps its bytes.
alter table settlement_window
    add column statement_format smallint check (statement_format > 0),
    add column opens_offset_s int,
    add column closes_offset_s int;
-- Without its triggers, since a window that was netted never changes again.
alter table settlement_window disable trigger window_forward;
update settlement_window set statement_format = 1 where netted_at is not null;
alter table settlement_window enable trigger window_forward;
alter table settlement_window
    add check ((statement_format is null) = (netted_at is null)),
    add check (num_nulls(opens_offset_s, closes_offset_s)
               = case when statement_format >= 2 then 0 else 2 end);

-- Its own function, so that whatever else a window may not do stays said in one place.
create function statement_format_stays() returns trigger language plpgsql as $$
begin
    raise exception 'window % is netted: its statements keep their format', old.label
        using errcode = 'restrict_violation';
end $$;
create trigger window_statement_format before update of
    statement_format, opens_offset_s, closes_offset_s on settlement_window
    for each row when (old.netted_at is not null and
        (old.statement_format, old.opens_offset_s, old.closes_offset_s) is distinct from
        (new.statement_format, new.opens_offset_s, new.closes_offset_s))
    execute function statement_format_stays();
