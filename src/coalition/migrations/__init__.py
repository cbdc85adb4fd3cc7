"""Alembic's folder: env.py runs the steps in versions/, each a .sql file with a .py beside it."""
