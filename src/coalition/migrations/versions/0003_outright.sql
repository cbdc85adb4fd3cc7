-- Points that a merchant granted outright are called what they are: until now they were the only lots
-- of kind 'action', so the value is renamed under them, and real actions get one of their own.

alter type lot_kind rename value 'action' to 'outright';
alter type lot_kind add value 'action';
