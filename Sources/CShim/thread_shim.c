#define _GNU_SOURCE
#include "tracefwd_thread.h"
#include <pthread.h>
#include <stddef.h>

static _Thread_local void *heartbeat = NULL;

void tracefwd_name_thread(const char *name) { pthread_setname_np(pthread_self(), name); }

void *tracefwd_heartbeat(void) { return heartbeat; }

void tracefwd_set_heartbeat(void *new) { heartbeat = new; }
