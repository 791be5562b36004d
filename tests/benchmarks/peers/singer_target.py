"""The target of `singer_sqlite.py`: a SQL sink of singer-sdk that upserts what its standard input brings into SQLite."""

from __future__ import annotations

import os
import sys
from typing import Any

os.environ["LOGLEVEL"] = "ERROR"

import sqlalchemy as sa
from phase import TASK, cpu
from singer_sdk.sql import SQLConnector, SQLSink, SQLTarget
from singer_sdk.sql.connector import FullyQualifiedName
from sqlalchemy.dialects.sqlite import insert


class Connector(SQLConnector):
    """SQLite."""

    def get_sqlalchemy_url(self, config: dict[str, Any]) -> str:
        return f"sqlite:///{config['path']}"


class Sink(SQLSink[Connector]):
    """Rows that take the place of those with the same key; everything else is the SDK's own."""

    connector_class = Connector

    def generate_insert_statement(self, full_table_name: str | FullyQualifiedName, schema: dict[str, Any]) -> sa.Insert:
        statement = insert(self.connector.get_table(full_table_name))
        taken = {name: statement.excluded[name] for name in self.conform_schema(schema)["properties"]}
        return statement.on_conflict_do_update(index_elements=list(self.key_properties), set_=taken)


class Target(SQLTarget):
    """A target of one sink, which flattens the country into columns by itself."""

    name = "target-bench"
    default_sink_class = Sink
    config_jsonschema = {"properties": {"path": {"type": "string"}}}  # noqa: RUF012 - as the SDK declares it


print(cpu(), flush=True)  # noqa: T201 - the tap waits for it
config = {"path": f"{TASK['folder']}/singer.db", "flattening_enabled": True, "flattening_max_depth": 1}
Target(config=config).listen(sys.stdin)
