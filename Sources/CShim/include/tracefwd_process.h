// What a long-lived process asks of the C library and the kernel once.
#pragma once

/// At the start: writes to a peer that has gone, or over a file size limit, are errors and no signals; and memory of up to a mebibyte, which
/// segments and request bodies come and go in, is kept for reuse instead of being mapped and faulted in anew each time.
void tracefwd_tune_process(void);

/// After the start: gives back the pages of code and constants that only the start needed (reading the configuration, above all). They are
/// clean pages of files; what is needed again is mapped again from the page cache.
void tracefwd_release_startup_pages(void);

/// Whether something keeps the system's clock right (adjtimex(2), STA_UNSYNC): 1 yes, 0 no, -1 where the kernel does not tell.
int tracefwd_clock_is_synchronised(void);
