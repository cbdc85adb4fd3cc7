-- Who works at the house and at merchants, what proves it, and what one proposed and another approved.

-- A person is of one party (merchant_id 0: the house) and has one role for good; what a role may is
-- people/rights.py. E-mail and name are sealed as a member's phone is, and the e-mail is found by its
-- keyed digest. password_hash null: no password yet, nobody signs in. totp_step is the last step of
-- the clock whose code was taken, so that a code is good once. setup_digest is that of the one-time
-- secret that a password is set with.
create table person (
    person_id     text primary key check (person_id ~ '^per_[0-9A-Za-z]{12}$'),
    person_no     bigint generated always as identity unique,
    merchant_id   int not null references merchant check (merchant_id <> 1),
    role          text not null,
    email_sealed  bytea not null,
    email_digest  bytea not null check (length(email_digest) = 32),
    name_sealed   bytea not null,
    created_at    timestamptz not null,
    disabled_at   timestamptz,
    password_hash text,
    totp_sealed   bytea,
    totp_step     bigint,
    setup_digest  bytea unique check (length(setup_digest) = 32),
    setup_until   timestamptz,
    constraint role_of_its_party check (
        case when merchant_id = 0 then role in ('operator', 'finance', 'approver', 'auditor', 'care')
             else role in ('manager', 'finance', 'counter', 'auditor') end),
    check ((setup_digest is null) = (setup_until is null))
);
-- Of those who still are somebody; who left and comes back is another row.
create unique index person_email on person (email_digest) where disabled_at is null;
create trigger person_is_who_it_is
    before update of person_id, person_no, merchant_id, role, created_at or delete or truncate on person
    for each statement execute function refuse_change();

-- Who is signed in. token_digest is SHA-256 of what the cookie holds. A row that ended is deleted.
create table session (
    token_digest bytea primary key check (length(token_digest) = 32),
    person_id    text not null references person,
    began_at     timestamptz not null,
    used_at      timestamptz not null
);
create index session_of_person on session (person_id);

-- What needs a second person. content is what is to be done, as JSON of its kind (people/approvals.py).
-- void: it was approved, and could not be done any more; reason says why.
create table approval (
    approval_no   bigint generated always as identity primary key,
    approval_id   text not null unique check (approval_id ~ '^apr_[0-9A-Za-z]{12}$'),
    kind          text not null check (kind ~ '^[a-z]+[.][a-z]+$'),
    content       jsonb not null,
    proposed_by   text not null check (proposed_by ~ '^(key|person|command|job):[0-9A-Za-z_-]{1,40}$'),
    proposed_from text not null check (length(proposed_from) <= 255),
    proposed_at   timestamptz not null,
    status        text not null default 'proposed'
                  check (status in ('proposed', 'approved', 'rejected', 'void')),
    decided_by    text check (decided_by ~ '^person:[0-9A-Za-z_-]{1,40}$'),
    decided_at    timestamptz,
    reason        text check (length(reason) <= 1000),
    constraint by_a_second_person check (decided_by <> proposed_by),
    check ((status = 'proposed') = (decided_at is null)),
    check ((decided_by is null) = (decided_at is null))
);
-- The same thing is proposed once at a time.
create unique index approval_open on approval (kind, md5(content::text)) where status = 'proposed';
create trigger approval_is_what_was_proposed
    before update of approval_no, approval_id, kind, content, proposed_by, proposed_from, proposed_at
    or delete or truncate on approval
    for each statement execute function refuse_change();
create trigger approval_is_decided_once before update on approval
    for each row when (old.status <> 'proposed') execute function refuse_change();
