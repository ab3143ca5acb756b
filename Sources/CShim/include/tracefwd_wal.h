// A VFS that writes a WAL in large pieces.
#pragma once

/// The name of a VFS of SQLite's that is `base` (NULL: the system's) but for WAL files: what is written to one gathers, and goes to `base` in
/// pieces of up to 112 KiB. SQLite writes a frame in two calls, of 24 bytes and of a page; for each the kernel looks up, locks and marks what it
/// touches, and in small pieces it keeps the file in small ones too, which cost again when they are synced.
///
/// What may not wait does not: all that gathered is written before the call returns that ends a commit (its frame says so itself, and readers of
/// the index are told of it only then), before an fsync, and before anything else that looks at the file. So an error is told within the
/// transaction it belongs to. What gathered and was not written by the end of the process belongs to no commit.
///
/// For the one connection that writes: another one does not see what gathers here. NULL where memory is short, or where there is no such base.
const char *_Nullable tracefwd_wal_vfs(const char *_Nullable base);
