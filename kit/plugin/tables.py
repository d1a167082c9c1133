"""The tables that the code has, and what to do if the database's are older."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kit.errors import DatabaseError

if TYPE_CHECKING:
    from sqlalchemy import Column, Connection, MetaData, Table
    from sqlalchemy.engine.interfaces import ExceptionContext
    from sqlmodel import SQLModel

MIGRATE = "python -m alembic upgrade head"  # in a folder that `kit export` wrote
_OLDER_STATES = ("42703", "42P01")  # SQLSTATE of PostgreSQL: undefined_column, undefined_table
_OLDER_TEXTS = re.compile(r"no such (column|table): |has no column named ")  # of SQLite


def required(*sources: type[SQLModel] | MetaData | Table) -> list[Table]:
    """The tables of table classes, their base class or a MetaData, with those that they refer to."""
    found = [table for source in sources for table in _tables(source)]
    for each in found:  # grows while it is read
        found += {key.column.table for key in each.foreign_keys}.difference(found)
    if not found:
        raise DatabaseError("There is no table to create.", "Name table classes. Does one lack table=True?")
    return found


def create(connection: Connection, tables: list[Table], where: str) -> None:
    """Creates those that are missing. Raises `DatabaseError` if one exists and lacks a column."""
    from sqlalchemy import inspect

    for metadata in {each.metadata for each in tables}:
        metadata.create_all(connection, [each for each in tables if each.metadata is metadata])
    for each in tables:
        existing = {column["name"] for column in inspect(connection).get_columns(each.name, each.schema)}
        if missing := [column for column in each.columns if column.name not in existing]:
            names = ", ".join(sorted(column.name for column in missing))
            by_hand = " ".join(f"{_added(column, connection)};" for column in missing)
            raise DatabaseError(
                f"The table {each.name} was created earlier, without {names}.",
                remedy(connection.dialect.name, where, by_hand),
                database=where,
            )


def remedy(dialect: str, where: str, by_hand: str = "") -> str:
    """What to do about a table that is older than the code."""
    if Path("alembic.ini").is_file():
        return f"Run `{MIGRATE}` here, with the same DATABASE_URL, before the server starts."
    change = f"Change it in {where}: {by_hand}" if by_hand else f"Change it in {where} with ALTER TABLE."
    anew = "delete that file" if dialect == "sqlite" else "drop the table"
    return f"{change} Or {anew}, if its rows may go. In a folder that `kit export` wrote: `{MIGRATE}`."


def outdated(context: ExceptionContext, where: str) -> DatabaseError | None:
    """The error for a query that names what the code's tables have and the database's do not."""
    from sqlalchemy import TextClause

    error, compiled = context.original_exception, getattr(context.execution_context, "compiled", None)
    is_older = getattr(error, "sqlstate", None) in _OLDER_STATES or _OLDER_TEXTS.search(str(error))
    # what was written as text may just be misspelt
    if not is_older or compiled is None or isinstance(compiled.statement, TextClause):
        return None
    return DatabaseError(
        f"{where} is older than the code: {str(error).splitlines()[0].rstrip('.')}.",
        remedy(context.dialect.name, where),
        database=where,
    )


def default(column: Column[Any]) -> str | None:
    """The default of a new column for the rows that exist, as a text that every database turns into the column's type.

    The models' defaults are Python's: the database does not know them. None for a default that is computed.
    """
    value = getattr(column.default, "arg", None)
    value = getattr(value, "name", value)  # an Enum is stored by its name
    if isinstance(value, bool):
        return str(int(value))
    return str(value) if isinstance(value, str | int | float) else None


def _added(column: Column[Any], connection: Connection) -> str:
    quote, text = connection.dialect.identifier_preparer, default(column)
    kind = column.type.compile(connection.dialect)
    known = "" if text is None else " DEFAULT '" + text.replace("'", "''") + "' NOT NULL"
    return f"ALTER TABLE {quote.format_table(column.table)} ADD COLUMN {quote.format_column(column)} {kind}{known}"


def _tables(source: Any) -> list[Table]:
    from sqlalchemy import MetaData, Table

    if isinstance(source, Table) or hasattr(source, "__table__"):
        return [getattr(source, "__table__", source)]
    metadata = source if isinstance(source, MetaData) else getattr(source, "metadata", MetaData())
    return list(metadata.tables.values())
