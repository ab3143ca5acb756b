#define _GNU_SOURCE
#include "tracefwd_child.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <unistd.h>

static void close_all(const int *files, int count) {
    for (int i = 0; i < count; i++) {
        if (files[i] >= 0) close(files[i]);
    }
}

/// A pipe of which no end is a standard stream: where the daemon was started without those, a pipe would get their numbers.
static int make_pipe(int ends[2]) {
    if (pipe2(ends, O_CLOEXEC)) return errno;
    for (int i = 0; i < 2; i++) {
        if (ends[i] > 2) continue;
        int higher = fcntl(ends[i], F_DUPFD_CLOEXEC, 3);
        if (higher < 0) return errno;
        close(ends[i]);
        ends[i] = higher;
    }
    return 0;
}

static int spawn(char *const arguments[], char *const environment[], const int streams[3], pid_t *pid) {
    posix_spawn_file_actions_t files;
    posix_spawn_file_actions_init(&files);
    for (int i = 0; i < 3; i++) posix_spawn_file_actions_adddup2(&files, streams[i], i);
    posix_spawn_file_actions_addclosefrom_np(&files, 3);

    posix_spawnattr_t attributes;
    posix_spawnattr_init(&attributes);
    sigset_t none, all;
    sigemptyset(&none);
    sigfillset(&all);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setsigdefault(&attributes, &all);
    posix_spawnattr_setpgroup(&attributes, 0);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);

    int code = posix_spawnp(pid, arguments[0], &files, &attributes, arguments, environment);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&files);
    return code;
}

int tracefwd_start_child(char *const arguments[], char *const environment[], struct tracefwd_child *child) {
    // Read end, write end: of its input, its output, its errors.
    int ends[6] = {-1, -1, -1, -1, -1, -1};
    int code = 0;
    for (int i = 0; i < 6 && code == 0; i += 2) code = make_pipe(ends + i);
    const int ours[3] = {ends[1], ends[2], ends[4]}, theirs[3] = {ends[0], ends[3], ends[5]};
    for (int i = 0; i < 3 && code == 0; i++) {
        if (fcntl(ours[i], F_SETFL, O_NONBLOCK)) code = errno;
    }
    pid_t pid = 0;
    if (code == 0) code = spawn(arguments, environment, theirs, &pid);
    if (code != 0) {
        close_all(ends, 6);
        return code;
    }
    close_all(theirs, 3);
    *child = (struct tracefwd_child){.pid = pid, .input = ours[0], .output = ours[1], .errors = ours[2]};
    return 0;
}
