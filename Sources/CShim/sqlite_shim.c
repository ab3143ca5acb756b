#include "tracefwd_sqlite.h"

int tracefwd_sqlite_leave_wal(sqlite3 *connection) {
    return sqlite3_db_config(connection, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, (int *)0);
}
