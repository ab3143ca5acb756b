// pthread_setname_np is hidden from Swift: glibc declares it for _GNU_SOURCE only, and Swift's Glibc module is built without.
#pragma once

/// Names the calling thread, at most 15 bytes.
void tracefwd_name_thread(const char *name);
