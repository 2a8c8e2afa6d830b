//! Databases: PostgreSQL's server and psql.
