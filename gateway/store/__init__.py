"""The database: tables, group-commit writer, queries, migrations. Nothing outside this room knows SQL."""
