-- A merchant's own reference names one member: who enrols under it again is answered the first one.
--
-- Members that were enrolled under one reference before this are all kept, with their cards and their
-- points; the first of them is the one that is answered. Only the later ones are written here.
alter table member add column repeats_ref boolean not null default false;

update member set repeats_ref = true
from (select member_id, row_number() over (
          partition by enrolled_by, external_ref order by enrolled_at, member_id) as place
      from member where external_ref is not null) as enrolled
where enrolled.member_id = member.member_id and enrolled.place > 1;

create unique index member_of_ref on member (enrolled_by, external_ref) where not repeats_ref;
