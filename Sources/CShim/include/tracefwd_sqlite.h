// SQLite's variadic calls.
#pragma once
#include <sqlite3.h>

/// From now on the connection's end neither checkpoints nor removes the WAL: for one whose file bears another name by now.
int tracefwd_sqlite_leave_wal(sqlite3 *_Nonnull connection);
