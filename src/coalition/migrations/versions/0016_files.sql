-- The key that a file came with, which is looked at again for each group of its rows. Null: the house
-- sent it from the command line, or it came before keys were kept.
alter table batch add column key_id text references api_key;
