// limit: what plain C reaches on this disk with the layout of tracefwd's spool, so that a figure of the daemon has
// something to stand beside.
//
//   limit DIRECTORY [SEGMENTS]      SQLite segments of 256 x 1 KiB, one a commit, all but the newest 64 trimmed; WAL,
//                                   synchronous=FULL, 16 KiB pages. Then 16 KiB overwritten and fdatasynced, 500 times.
//
// Prints one JSON object. What it writes in DIRECTORY it removes again.
#include <fcntl.h>
#include <inttypes.h>
#include <sqlite3.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

enum { SPANS = 256, SPAN_BYTES = 1024, KEPT = 64, PAGE = 16384, SYNCS = 500, SYNC_PAGES = 64 };

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static double cpu_seconds(void) {
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) + (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

static uint64_t bytes_written(void) {
    char line[128];
    uint64_t bytes = 0;
    FILE *file = fopen("/proc/self/io", "r");
    while (file && fgets(line, sizeof line, file)) sscanf(line, "write_bytes: %" SCNu64, &bytes);
    if (file) fclose(file);
    return bytes;
}

static void fail(sqlite3 *database, const char *what) {
    fprintf(stderr, "limit: %s: %s\n", what, database ? sqlite3_errmsg(database) : "failed");
    exit(1);
}

static void run(sqlite3 *database, const char *sql) {
    if (sqlite3_exec(database, sql, NULL, NULL, NULL) != SQLITE_OK) fail(database, sql);
}

static void step(sqlite3 *database, sqlite3_stmt *statement) {
    if (sqlite3_step(statement) != SQLITE_DONE) fail(database, "step");
    sqlite3_reset(statement);
}

static void write_segments(const char *path, int segments) {
    sqlite3 *database = NULL;
    sqlite3_stmt *begin, *insert, *trim, *commit;
    if (sqlite3_open(path, &database) != SQLITE_OK) fail(database, path);
    run(database, "PRAGMA page_size=16384; PRAGMA auto_vacuum=INCREMENTAL; PRAGMA secure_delete=FAST;"
                  "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;"
                  "CREATE TABLE segments(first_id INTEGER PRIMARY KEY, last_id INTEGER, payload BLOB)");
    sqlite3_prepare_v2(database, "BEGIN IMMEDIATE", -1, &begin, NULL);
    sqlite3_prepare_v2(database, "INSERT INTO segments VALUES (?, ?, ?)", -1, &insert, NULL);
    sqlite3_prepare_v2(database, "DELETE FROM segments WHERE first_id <= ?", -1, &trim, NULL);
    if (sqlite3_prepare_v2(database, "COMMIT", -1, &commit, NULL) != SQLITE_OK) fail(database, "prepare");
    char *payload = malloc(SPANS * SPAN_BYTES);
    for (int i = 0; i < SPANS * SPAN_BYTES; i++) payload[i] = (char)(i * 31 + (i >> 8));
    for (int64_t i = 0; i < segments; i++) {
        step(database, begin);
        sqlite3_bind_int64(insert, 1, i * SPANS + 1);
        sqlite3_bind_int64(insert, 2, (i + 1) * SPANS);
        sqlite3_bind_blob(insert, 3, payload, SPANS * SPAN_BYTES, SQLITE_STATIC);
        step(database, insert);
        sqlite3_bind_int64(trim, 1, (i - KEPT) * SPANS + 1);
        step(database, trim);
        step(database, commit);
    }
    sqlite3_finalize(begin);
    sqlite3_finalize(insert);
    sqlite3_finalize(trim);
    sqlite3_finalize(commit);
    if (sqlite3_close(database) != SQLITE_OK) fail(database, "close");
    free(payload);
}

static int ascending(const void *left, const void *right) {
    double a = *(const double *)left, b = *(const double *)right;
    return a < b ? -1 : a > b;
}

/// Overwrites pages of a preallocated file, as a WAL that has been reset is overwritten; fills `seconds`, sorted.
static void sync_pages(const char *path, double seconds[SYNCS]) {
    static char page[PAGE];
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    for (int i = 0; i < SYNC_PAGES; i++)
        if (pwrite(fd, page, PAGE, (off_t)i * PAGE) != PAGE) fail(NULL, path);
    fsync(fd);
    for (int i = 0; i < SYNCS; i++) {
        memset(page, i, PAGE);
        double begin = now();
        if (pwrite(fd, page, PAGE, (off_t)(i % SYNC_PAGES) * PAGE) != PAGE || fdatasync(fd) != 0) fail(NULL, path);
        seconds[i] = now() - begin;
    }
    close(fd);
    qsort(seconds, SYNCS, sizeof *seconds, ascending);
}

static void remove_with(const char *path, const char *suffix) {
    char name[4096];
    snprintf(name, sizeof name, "%s%s", path, suffix);
    unlink(name);
}

int main(int count, char **words) {
    if (count < 2) {
        fprintf(stderr, "usage: limit DIRECTORY [SEGMENTS]\n");
        return 2;
    }
    int segments = count > 2 ? atoi(words[2]) : 2000;
    char path[4000];
    snprintf(path, sizeof path, "%s/limit-%d.db", words[1], (int)getpid());
    double begin = now(), cpu = cpu_seconds();
    uint64_t written = bytes_written();
    write_segments(path, segments);
    double seconds = now() - begin, spans = (double)segments * SPANS;
    cpu = cpu_seconds() - cpu;
    written = bytes_written() - written;
    static double syncs[SYNCS];
    sync_pages(path, syncs);
    printf("{\"spans\":%.0f,\"seconds\":%.3f,\"spans_per_second\":%.0f,\"cpu_us_per_span\":%.3f,\"bytes_written_per_span\":%.0f,"
           "\"fdatasync_us\":{\"p50\":%.1f,\"p99\":%.1f}}\n",
           spans, seconds, spans / seconds, cpu * 1e6 / spans, (double)written / spans, syncs[SYNCS / 2] * 1e6,
           syncs[SYNCS * 99 / 100] * 1e6);
    remove_with(path, "");
    remove_with(path, "-wal");
    remove_with(path, "-shm");
    return 0;
}
