-- What names a person is encrypted as it lies here, with keys that the database does not know, and is
-- found by a keyed hash. The old columns are emptied by the program, which has the keys: `coalition
-- migrate` and `coalition serve` seal what is left in them.
--
-- birth_month alone stays open, for rules of earning. The columns come without a value, so that no row is
-- written anew by this.
alter table member
    add column external_ref_sealed bytea,
    add column external_ref_digest bytea check (length(external_ref_digest) = 32),
    add column phone_sealed bytea,
    add column phone_digest bytea check (length(phone_digest) = 32),
    add column birthday_sealed bytea,
    add column birth_month smallint check (birth_month between 1 and 12),
    -- When what names the person was taken away, for good: the ledger stays.
    add column erased_at timestamptz,
    add check ((external_ref_sealed is null) = (external_ref_digest is null)),
    add check ((phone_sealed is null) = (phone_digest is null)),
    add check ((birthday_sealed is null) = (birth_month is null)),
    add check (erased_at is null or num_nonnulls(
        external_ref, phone, birthday, locale, external_ref_sealed, phone_sealed, birthday_sealed,
        request_id, body_hash) = 0);
create unique index member_of_ref_digest on member (enrolled_by, external_ref_digest)
    where external_ref_digest is not null and not repeats_ref;
create index member_of_phone_digest on member (phone_digest) where phone_digest is not null;

create function member_stays_erased() returns trigger language plpgsql as $$
begin
    raise exception 'member % is erased: who they were is not written again', old.member_id
        using errcode = 'restrict_violation';
end $$;
create trigger member_erased before update on member
    for each row when (old.erased_at is not null) execute function member_stays_erased();
