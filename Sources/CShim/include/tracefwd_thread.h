// pthread_setname_np is hidden from Swift: glibc declares it for _GNU_SOURCE only, and Swift's Glibc module is built without. Swift has no
// variables of a thread.
#pragma once

/// Names the calling thread, at most 15 bytes.
void tracefwd_name_thread(const char *_Nonnull name);

/// What the calling thread has set; null where it has not.
void *_Nullable tracefwd_heartbeat(void);

/// The calling thread's from now on. It must live until the thread sets another one, or null.
void tracefwd_set_heartbeat(void *_Nullable new);
