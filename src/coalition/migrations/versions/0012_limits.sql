-- Whoever knows a card's number and has a merchant's key could empty the card: in small burns, or by a
-- transfer. Now an account counts what is spent of it on one day, transfers need a scope of their
-- own, and members have PINs.

-- What burns, holds and transfers took of the member's points on spent_on, by the house's date; nothing
-- is subtracted from it when points come back. It counts the postings numbered above spent_after_no,
-- so that it can be checked whatever clocks and time zones did. spent_on null: nothing yet.
alter table account
    add column spent_on date,
    add column spent_points bigint not null default 0,
    add column spent_after_no int not null default 0,
    add constraint account_spent check (
        spent_points >= 0 and spent_after_no >= 0 and (spent_on is not null or spent_points = 0));

-- Keys that may burn went on to give points away, and still may.
alter table api_key drop constraint api_key_scopes_check;
update api_key set scopes = scopes || array['transfer'] where 'burn' = any(scopes);
alter table api_key add constraint api_key_scopes_check check (
    scopes <@ array['earn', 'burn', 'transfer', 'members', 'statements', 'house']
    and cardinality(scopes) > 0);

-- A member's PIN: its argon2id hash, how often it was wrong in a row, and until when no attempt is
-- compared. A table of its own, since burns without a PIN and terms that ask for none never look here.
create table pin (
    member_id    bigint primary key references member,
    hash         text not null check (hash like '$argon2id$%'),
    wrong        int not null default 0 check (wrong >= 0),
    locked_until timestamptz,
    set_at       timestamptz not null
);
