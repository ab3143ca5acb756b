#define _GNU_SOURCE
#include "tracefwd_process.h"
#include <link.h>
#include <malloc.h>
#include <signal.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/timex.h>
#include <unistd.h>

void tracefwd_tune_process(void) {
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN);
    mallopt(M_MMAP_THRESHOLD, 1 << 20);
    mallopt(M_TRIM_THRESHOLD, 4 << 20);
    mallopt(M_ARENA_MAX, 4);
}

static int release(struct dl_phdr_info *library, size_t size, void *context) {
    (void)size;
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    for (int i = 0; i < library->dlpi_phnum; i++) {
        const ElfW(Phdr) *part = &library->dlpi_phdr[i];
        // Never a part that may be written: its pages are ours alone, relocations included.
        if (part->p_type != PT_LOAD || part->p_flags & PF_W) continue;
        uintptr_t begin = (library->dlpi_addr + part->p_vaddr + page - 1) & ~(page - 1);
        uintptr_t end = (library->dlpi_addr + part->p_vaddr + part->p_filesz) & ~(page - 1);
        if (begin < end) madvise((void *)begin, end - begin, MADV_DONTNEED);
    }
    (void)context;
    return 0;
}

void tracefwd_release_startup_pages(void) {
    malloc_trim(0);
    dl_iterate_phdr(release, NULL);
}

int tracefwd_clock_is_synchronised(void) {
    struct timex state = {.modes = 0};
    if (adjtimex(&state) < 0) return -1;
    return (state.status & STA_UNSYNC) == 0;
}
