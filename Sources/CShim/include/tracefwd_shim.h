// What Swift cannot call or write itself: variadic C functions, macros, ancillary data. No logic.
#pragma once
#include "tracefwd_scan.h"
#include "tracefwd_keys.h"
#include "tracefwd_thread.h"
#include "tracefwd_wal.h"
#include "tracefwd_curl.h"
#include "tracefwd_socket.h"
#include "tracefwd_process.h"
#include "tracefwd_child.h"
#include "tracefwd_checksum.h"
#include "tracefwd_sqlite.h"
