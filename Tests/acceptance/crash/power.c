// A power cut for one process: LD_PRELOAD this, kill the process, and roll back what it had written and not synced.
//
// Before each write to a watched file (spool.db, its WAL, archive.ndjson and what it was renamed to) the bytes that it replaces go to
// $TRACEFWD_UNDO/<inode>.undo; a successful fsync or fdatasync empties that. So after SIGKILL the undo files hold exactly what a disk may have
// lost, in any choice: `power.py` draws one. Creating, renaming and deleting files is taken to be durable at once; memory maps are not seen
// (SQLite's index of the WAL is one, and is made anew at will).
//
// A record: offset, bytes replaced, size before, kind of change (0 a write of `length` bytes, 1 a truncation), length; then the bytes.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

typedef struct {
    uint64_t offset, replaced, size, truncates, length;
} Record;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

static int is_watched(const char *path) {
    const char *name = strrchr(path, '/');
    if (!name) return 0;
    name++;
    if (!strcmp(name, "spool.db") || !strcmp(name, "spool.db-wal")) return 1;
    return !strncmp(name, "archive.ndjson", 14);
}

// The undo file of a descriptor, or -1 where it is not watched.
static int undo_file(int fd, struct stat *status) {
    const char *folder = getenv("TRACEFWD_UNDO");
    if (!folder || fstat(fd, status) != 0 || !S_ISREG(status->st_mode)) return -1;
    char link[64], path[4096], undo[4200];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0) return -1;
    path[length] = 0;
    if (!is_watched(path)) return -1;
    snprintf(undo, sizeof undo, "%s/%lu.undo", folder, (unsigned long)status->st_ino);
    return open(undo, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
}

static void remember(int fd, int64_t offset, uint64_t length, int truncates) {
    struct stat status;
    int undo = undo_file(fd, &status);
    if (undo < 0) return;
    uint64_t size = (uint64_t)status.st_size;
    uint64_t begin = offset < 0 ? size : (uint64_t)offset;
    uint64_t end = truncates ? size : begin + length;
    if (end > size) end = size;
    Record record = {begin, begin < end ? end - begin : 0, size, (uint64_t)truncates, length};
    char *bytes = malloc(sizeof record + record.replaced);
    memcpy(bytes, &record, sizeof record);
    // The descriptor may be for writing only: read by another.
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    int reading = record.replaced ? open(link, O_RDONLY | O_CLOEXEC) : -1;
    ssize_t got = reading < 0 ? 0 : pread(reading, bytes + sizeof record, record.replaced, (off_t)begin);
    if (reading >= 0) close(reading);
    if (got != (ssize_t)record.replaced || REAL(write)(undo, bytes, sizeof record + record.replaced) < 0) abort();
    free(bytes);
    close(undo);
}

static void forget(int fd) {
    struct stat status;
    int undo = undo_file(fd, &status);
    if (undo < 0) return;
    if (REAL(ftruncate)(undo, 0) != 0) abort();
    close(undo);
}

#define GUARDED(type, before, call, after) \
    pthread_mutex_lock(&lock);             \
    before;                                \
    type result = call;                    \
    after;                                 \
    pthread_mutex_unlock(&lock);           \
    return result;

static int is_file(int fd) {
    struct stat status;
    return fstat(fd, &status) == 0 && S_ISREG(status.st_mode);
}

ssize_t write(int fd, const void *bytes, size_t length) {
    if (!is_file(fd)) return REAL(write)(fd, bytes, length);
    int64_t offset = fcntl(fd, F_GETFL) & O_APPEND ? -1 : lseek(fd, 0, SEEK_CUR);
    GUARDED(ssize_t, remember(fd, offset, length, 0), REAL(write)(fd, bytes, length), )
}

ssize_t pwrite(int fd, const void *bytes, size_t length, off_t offset) {
    GUARDED(ssize_t, remember(fd, offset, length, 0), REAL(pwrite)(fd, bytes, length, offset), )
}

ssize_t pwrite64(int fd, const void *bytes, size_t length, off64_t offset) {
    GUARDED(ssize_t, remember(fd, offset, length, 0), REAL(pwrite64)(fd, bytes, length, offset), )
}

int ftruncate(int fd, off_t size) {
    GUARDED(int, remember(fd, size, 0, 1), REAL(ftruncate)(fd, size), )
}

int ftruncate64(int fd, off64_t size) {
    GUARDED(int, remember(fd, size, 0, 1), REAL(ftruncate64)(fd, size), )
}

int fsync(int fd) {
    if (!is_file(fd)) return REAL(fsync)(fd);
    GUARDED(int, , REAL(fsync)(fd), if (result == 0) forget(fd))
}

int fdatasync(int fd) {
    if (!is_file(fd)) return REAL(fdatasync)(fd);
    GUARDED(int, , REAL(fdatasync)(fd), if (result == 0) forget(fd))
}

int unlink(const char *path) {
    struct stat status;
    const char *folder = getenv("TRACEFWD_UNDO");
    if (folder && is_watched(path) && stat(path, &status) == 0) {
        char undo[4200];
        snprintf(undo, sizeof undo, "%s/%lu.undo", folder, (unsigned long)status.st_ino);
        REAL(unlink)(undo);
    }
    return REAL(unlink)(path);
}
