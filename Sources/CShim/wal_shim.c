#include "tracefwd_wal.h"

#include <pthread.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// 7 frames of 16 KiB pages. SQLite's own VFS for Unix writes no more than 0x1ffff bytes in one call (seekAndWriteFd in os_unix.c).
enum { GATHERED = 7 * (16384 + 24), FRAME_HEADER = 24 };

// SQLite allocates `szOsFile` bytes for it; the base's own file follows.
typedef struct {
    sqlite3_file file;
    unsigned char *bytes;
    sqlite3_int64 at;
    int used;
    // The frame whose page comes next ends a commit.
    int ends_commit;
} wal_file;

// The wrapper of a base, which is looked up by its name: a VFS that a test has removed is not called.
typedef struct {
    sqlite3_vfs vfs;
    const char *base;
} wal_vfs;

static sqlite3_file *real(wal_file *wal) { return (sqlite3_file *)(wal + 1); }

static int write_out(wal_file *wal) {
    int used = wal->used;
    // Where it fails it is gone, and with it the transaction that is told so.
    wal->used = 0;
    wal->ends_commit = 0;
    if (used == 0) return SQLITE_OK;
    return real(wal)->pMethods->xWrite(real(wal), wal->bytes, used, wal->at);
}

static int wal_write(sqlite3_file *file, const void *bytes, int count, sqlite3_int64 at) {
    wal_file *wal = (wal_file *)file;
    if (wal->used > 0 && (at != wal->at + wal->used || count > GATHERED - wal->used)) {
        // A header and its page stay together, so that the page still ends what the header said.
        int ends_commit = wal->ends_commit && at == wal->at + wal->used;
        int code = write_out(wal);
        if (code != SQLITE_OK) return code;
        wal->ends_commit = ends_commit;
    }
    if (wal->bytes == NULL) wal->bytes = malloc(GATHERED);
    if (wal->bytes == NULL || count > GATHERED) {
        wal->ends_commit = 0;
        return real(wal)->pMethods->xWrite(real(wal), bytes, count, at);
    }
    if (wal->used == 0) wal->at = at;
    memcpy(wal->bytes + wal->used, bytes, (size_t)count);
    wal->used += count;
    if (count == FRAME_HEADER) {
        // Bytes 4 to 7: the pages of the database after the commit that ends here, else zero (SQLite's file format, section 4.1).
        static const unsigned char none[4];
        wal->ends_commit = memcmp((const unsigned char *)bytes + 4, none, 4) != 0;
        return SQLITE_OK;
    }
    return wal->ends_commit || wal->used == GATHERED ? write_out(wal) : SQLITE_OK;
}

static int wal_read(sqlite3_file *file, void *bytes, int count, sqlite3_int64 at) {
    wal_file *wal = (wal_file *)file;
    int code = at < wal->at + wal->used && wal->at < at + count ? write_out(wal) : SQLITE_OK;
    return code != SQLITE_OK ? code : real(wal)->pMethods->xRead(real(wal), bytes, count, at);
}

static int wal_truncate(sqlite3_file *file, sqlite3_int64 size) {
    int code = write_out((wal_file *)file);
    return code != SQLITE_OK ? code : real((wal_file *)file)->pMethods->xTruncate(real((wal_file *)file), size);
}

static int wal_sync(sqlite3_file *file, int flags) {
    int code = write_out((wal_file *)file);
    return code != SQLITE_OK ? code : real((wal_file *)file)->pMethods->xSync(real((wal_file *)file), flags);
}

static int wal_size(sqlite3_file *file, sqlite3_int64 *size) {
    int code = write_out((wal_file *)file);
    return code != SQLITE_OK ? code : real((wal_file *)file)->pMethods->xFileSize(real((wal_file *)file), size);
}

static int wal_close(sqlite3_file *file) {
    wal_file *wal = (wal_file *)file;
    free(wal->bytes);
    wal->bytes = NULL;
    wal->used = 0;
    return real(wal)->pMethods->xClose(real(wal));
}

static int wal_lock(sqlite3_file *file, int lock) { return real((wal_file *)file)->pMethods->xLock(real((wal_file *)file), lock); }

static int wal_unlock(sqlite3_file *file, int lock) { return real((wal_file *)file)->pMethods->xUnlock(real((wal_file *)file), lock); }

static int wal_reserved(sqlite3_file *file, int *is) {
    return real((wal_file *)file)->pMethods->xCheckReservedLock(real((wal_file *)file), is);
}

static int wal_control(sqlite3_file *file, int operation, void *argument) {
    return real((wal_file *)file)->pMethods->xFileControl(real((wal_file *)file), operation, argument);
}

static int wal_sector(sqlite3_file *file) { return real((wal_file *)file)->pMethods->xSectorSize(real((wal_file *)file)); }

static int wal_characteristics(sqlite3_file *file) {
    return real((wal_file *)file)->pMethods->xDeviceCharacteristics(real((wal_file *)file));
}

// Version 1: shared memory and mapped pages belong to the database's file.
static const sqlite3_io_methods wal_methods = {
    .iVersion = 1, .xClose = wal_close, .xRead = wal_read, .xWrite = wal_write, .xTruncate = wal_truncate, .xSync = wal_sync,
    .xFileSize = wal_size, .xLock = wal_lock, .xUnlock = wal_unlock, .xCheckReservedLock = wal_reserved, .xFileControl = wal_control,
    .xSectorSize = wal_sector, .xDeviceCharacteristics = wal_characteristics,
};

static int open_file(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags, int *out_flags) {
    sqlite3_vfs *base = sqlite3_vfs_find(((wal_vfs *)vfs)->base);
    file->pMethods = NULL;
    if (base == NULL) return SQLITE_CANTOPEN;
    if (!(flags & SQLITE_OPEN_WAL)) return base->xOpen(base, name, file, flags, out_flags);
    wal_file *wal = (wal_file *)file;
    memset(wal, 0, sizeof *wal);
    int code = base->xOpen(base, name, real(wal), flags, out_flags);
    // A base that failed may have opened something all the same, which SQLite closes then.
    if (real(wal)->pMethods != NULL) wal->file.pMethods = &wal_methods;
    return code;
}

const char *tracefwd_wal_vfs(const char *base_name) {
    static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
    sqlite3_vfs *base = sqlite3_vfs_find(base_name);
    if (base == NULL) return NULL;
    pthread_mutex_lock(&mutex);
    char name[160];
    snprintf(name, sizeof name, "tracefwd-wal-%s", base->zName);
    sqlite3_vfs *found = sqlite3_vfs_find(name);
    wal_vfs *wrapper = NULL;
    // Kept for the life of the process, as its connections may be.
    if (found == NULL && (wrapper = calloc(1, sizeof *wrapper)) != NULL) {
        // What is not said here is the base's own, `pAppData` included, which its functions look into.
        wrapper->vfs = *base;
        wrapper->vfs.pNext = NULL;
        wrapper->vfs.zName = strdup(name);
        wrapper->vfs.szOsFile = (int)sizeof(wal_file) + base->szOsFile;
        wrapper->vfs.xOpen = open_file;
        wrapper->base = strdup(base->zName);
        if (wrapper->vfs.zName != NULL && wrapper->base != NULL && sqlite3_vfs_register(&wrapper->vfs, 0) == SQLITE_OK) {
            found = &wrapper->vfs;
        } else {
            free((void *)wrapper->vfs.zName);
            free((void *)wrapper->base);
            free(wrapper);
        }
    }
    pthread_mutex_unlock(&mutex);
    return found == NULL ? NULL : found->zName;
}
