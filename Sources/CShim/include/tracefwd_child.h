// A program that runs beside the daemon: posix_spawn(3) with what glibc adds to it and Swift's Glibc module leaves out.
#pragma once

#include <sys/types.h>

/// A program that was started, and our ends of its three streams. They do not block, and no other program inherits them.
struct tracefwd_child {
    pid_t pid;
    int input;
    int output;
    int errors;
};

/// Starts a program in a process group of its own, with no open file but its three streams and no signal blocked or ignored. `arguments` and
/// `environment` end with a null pointer; a name without a slash is looked for in the daemon's PATH. Returns 0, or an errno and leaves
/// nothing behind.
int tracefwd_start_child(char *const arguments[], char *const environment[], struct tracefwd_child *child);
