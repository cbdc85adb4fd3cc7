-- What the role coalition_app may do with each table: the one list of it, run by the owner at the end
-- of every `coalition migrate` that changed something. Whatever is not here is refused: nobody deletes,
-- truncates, alters, or disables a trigger but the owner (see docs/decisions/0025-who-may-connect.md).
--
-- A new table may be read and appended to, and nothing more, until a line here says otherwise. A new
-- column that the program changes is added to its table's line. tests/coalition/test_grants.py holds
-- that every table is named here, and what it comes to.

alter default privileges in schema public grant select, insert on tables to coalition_app;
grant usage on schema public to coalition_app;
grant usage on all sequences in schema public to coalition_app;
revoke all on all tables in schema public from coalition_app;
grant select, insert on all tables in schema public to coalition_app;

-- ------------------------------------------------------------------ read only
revoke insert on alembic_version, obligation from coalition_app;
-- `coalition seal` runs as the owner: what makes older rows good, and moves marks on, is nobody else's.
revoke insert on sealing, earlier_digest from coalition_app;

-- ------------------------------------------------------------------ appended to, never changed
grant select, insert on
    posting, reversed_lot, counted, price, terms, beginning, batch_chunk, audit,   -- as it happens
    voucher_event,
    coalition_mode,                                  -- once, when the database is prepared
    path, passed_net, position, window_terms         -- while a window is netted
to coalition_app;

-- ------------------------------------------------------------------ changed in these columns only
-- The ledger: what a posting moves on.
grant update (available, held, owed, last_no, expires_next_on, spent_on, spent_points, spent_after_no,
               digest, pending_until)
    on account to coalition_app;
grant update (points) on debt to coalition_app;
grant update (spent, points, times) on tally to coalition_app;
grant update (last_moved_on) on activity to coalition_app;
grant update (remaining, expires_on, first_expires_on) on lot to coalition_app;
grant update (points, returned, status, occurred_on, window_id) on burn to coalition_app;
grant update (occurred_on, window_id) on leg to coalition_app;

-- Rewards: how many are gone, where a voucher stands, and which code went to it.
grant update (sold, stock) on reward_count to coalition_app;
grant update (status, remaining) on voucher to coalition_app;
-- The digest and what is sealed, with a newer key.
grant update (member_id, voucher_no, digest, sealed) on voucher_code to coalition_app;

-- Cards are blocked and replaced, PINs set and tried, keys revoked, merchants synced from their files.
grant update (status, blocked_by, blocked_at) on card to coalition_app;
grant update (hash, wrong, locked_until, set_at) on pin to coalition_app;
grant update (revoked_at, expires_on, last_used_at) on api_key to coalition_app;
grant update (name, time_zone, joined_on, suspended, terms, synced_at) on merchant to coalition_app;

-- What names a person is put right, sealed with another key, and erased; whose member it is, and
-- since when, is not.
grant update (external_ref, phone, birthday, locale, external_ref_sealed, external_ref_digest,
              phone_sealed, phone_digest, birthday_sealed, birth_month, erased_at, request_id, body_hash)
    on member to coalition_app;

-- A person is disabled, gets a password and a second factor, and is sealed with another key; of what
-- party and role it is stays. A proposal is decided once, as its triggers say.
grant update (email_sealed, email_digest, name_sealed, disabled_at, password_hash, totp_sealed,
              totp_step, setup_digest, setup_until)
    on person to coalition_app;
grant update (status, decided_by, decided_at, reason) on approval to coalition_app;

-- A price and terms get their digest when they are recorded, and keep it, as the triggers say.
grant update (digest) on price to coalition_app;
grant update (digest) on terms to coalition_app;

-- How far a file of rows, or of history, is posted.
grant update (status, row_count, posted, replayed, refused, read_to_bytes, line_count, finished_at,
              reason) on batch to coalition_app;
grant update (posted, replayed, refused, read_to_bytes, line_count, results_bytes, clock_at,
              finished_at) on import_file to coalition_app;

-- ------------------------------------------------------------------ needed for a while only
-- Files on their way in, and how often a key asked for cards that there are none of; of the latter a
-- trigger keeps what the house was told of.
grant delete, update (good_until) on upload to coalition_app;
grant delete, update (cards, last_at, level_until, told_at) on unknown_cards to coalition_app;
-- A PIN goes with its member's name, when that is erased; a session when it ends.
grant delete on pin to coalition_app;
grant delete, update (used_at) on session to coalition_app;

-- ------------------------------------------------------------------ changed as a whole
-- A close locks the table, which a right to some of its columns does not allow; what may change in
-- it, and when, its triggers say.
grant update on settlement_window to coalition_app;
