-- What a party agreed to, in force from a day on, until a later day's terms. Rows are only ever
-- added; of two for one day the later row counts. merchant.terms stays what the party's file without a
-- date said last. Prices are not in here: they have days of their own, in price.
create table terms (
    terms_no       bigint generated always as identity primary key,
    merchant_id    int not null references merchant,
    effective_from date not null,
    terms          jsonb not null,
    recorded_at    timestamptz not null,
    unique (merchant_id, terms_no)
);

-- The only terms there are were in force from the party's first day on; joined_on of the house is the
-- first day of its first window. The pool has none.
insert into terms (merchant_id, effective_from, terms, recorded_at)
select merchant_id, joined_on, terms - 'prices' - 'pair_prices', synced_at
from merchant where merchant_id <> 1 order by merchant_id;

-- Which terms of each merchant a window was netted by. A window that was netted before this table was
-- made has no rows: its terms may have been overwritten since, so its lines have to tell.
create table window_terms (
    window_id   int not null references settlement_window,
    merchant_id int not null,
    terms_no    bigint not null,
    primary key (window_id, merchant_id),
    foreign key (merchant_id, terms_no) references terms (merchant_id, terms_no)
);

create trigger terms_are_history before update or delete or truncate on terms
    for each statement execute function refuse_change();
create trigger window_terms_are_history before update or delete or truncate on window_terms
    for each statement execute function refuse_change();
create trigger window_terms_while_netting after insert on window_terms referencing new table as added
    for each statement execute function only_while_netting();
