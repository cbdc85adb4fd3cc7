"""What Alembic runs to migrate: it takes the connection that database.migrate() opened and locked.

There is no offline mode and no alembic.ini; `coalition migrate` is the only way in.
"""

from alembic import context

connection = context.config.attributes["connection"]
context.configure(connection=connection)
with context.begin_transaction():
    context.run_migrations()
