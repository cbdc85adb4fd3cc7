"""Whether the coalition has begun: something was posted live, so that no history comes any more.

The statements of it, for whoever asks: the door (post.py), the jobs, an import.
"""

# What an import holds for as long as it runs, and the first live posting for a moment.
_LOCK = "hashtext('coalition import')"

HAS_BEGUN = "select exists (select from beginning)"
BEGIN_AT = "insert into beginning (began_at) values ($1) on conflict do nothing"
# Whether no import is under way; none can start until the end of the database transaction.
HOLD_OFF_IMPORTS = f"select pg_try_advisory_xact_lock_shared({_LOCK})"
# Whether nothing else is imported, and nothing is about to begin; it stays so until END_IMPORT, or
# the end of the connection.
START_IMPORT = f"select pg_try_advisory_lock({_LOCK})"
END_IMPORT = f"select pg_advisory_unlock({_LOCK})"
