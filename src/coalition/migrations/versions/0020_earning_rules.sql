-- One earn may make several lots: one for each rule that gave points, and each merchant that pays.

alter type lot_kind add value 'standing';
alter type lot_kind add value 'reward';

-- The name of the rule that gave the points. Null: the rates of the merchant's file did, or nothing that
-- has a name: points outright, a transfer, a lot made before this.
alter table lot add column rule text check (length(rule) <= 60);
create trigger lot_rule_is_history before update of rule on lot
    for each statement execute function refuse_change();

-- What the reversal posting_no took back of one lot, where its earn made several. Of these points, lapsed
-- had expired unspent, and owed could not be taken: the member owes them to the lot's origin. The others
-- its legs took. An earn of one lot has no rows here: its reversals' lines in posting say the same.
create table reversed_lot (
    member_id  bigint not null,
    lot_no     int not null,
    posting_no int not null,
    points     bigint not null check (points > 0),
    lapsed     bigint not null check (lapsed >= 0),
    owed       bigint not null check (owed >= 0),
    primary key (member_id, lot_no, posting_no),
    check (lapsed + owed <= points),
    foreign key (member_id, lot_no) references lot,
    foreign key (member_id, posting_no) references posting
);
create trigger reversed_lot_is_history before update or delete or truncate on reversed_lot
    for each statement execute function refuse_change();
