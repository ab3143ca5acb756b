#define _GNU_SOURCE
#include "tracefwd_thread.h"
#include <pthread.h>

void tracefwd_name_thread(const char *name) { pthread_setname_np(pthread_self(), name); }
