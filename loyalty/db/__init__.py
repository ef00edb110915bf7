"""The way to Postgres: connections, migrations, the SQL folder, the embedded server. Nothing about points."""
