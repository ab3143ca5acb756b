// What a socket says beside its bytes: ancillary data, and credentials of the peer. Swift cannot read the CMSG macros. The includes bring
// what Swift's Glibc module leaves out: epoll, eventfd, statfs.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/types.h>
#include <sys/vfs.h>

/// Datagrams of one look at a socket.
struct tracefwd_datagrams {
    unsigned count;
    /// Of each: bytes read, and whether the kernel cut it because the buffer was too small.
    unsigned *lengths;
    bool *cut;
    /// Of each: the sender's address as IPv4 in host order, where there is one, and its uid, where it is known (else UINT32_MAX).
    uint32_t *addresses;
    uint32_t *uids;
    /// Datagrams that the kernel dropped on this socket since it was made, modulo 2^32 (SO_RXQ_OVFL; where nothing is left to read,
    /// SO_MEMINFO); valid where dropped_known.
    uint32_t dropped;
    bool dropped_known;
};

/// Reads up to `most` datagrams (at most 64) without waiting, each into `stride` bytes of `buffer`. Returns 0 or an errno.
int tracefwd_receive(int descriptor, uint8_t *buffer, size_t stride, unsigned most, struct tracefwd_datagrams *out);

/// The uid, gid and pid of a connected Unix socket's peer (SO_PEERCRED). Returns 0 or an errno.
int tracefwd_peer(int descriptor, uint32_t *uid, uint32_t *gid, int32_t *pid);

/// Asks for the counter of drops, and (Unix sockets) the sender's credentials, with each datagram.
void tracefwd_datagram_options(int descriptor, bool credentials);

/// Sets the receive buffer, past the system's limit where the process may (SO_RCVBUFFORCE). Returns the bytes it has then.
int tracefwd_receive_buffer(int descriptor, int bytes);

/// The bytes of the receive buffer.
int tracefwd_receive_buffer_of(int descriptor);

/// send(2) without SIGPIPE; `waits` as the socket does, or not at all. Returns what send(2) returns.
ssize_t tracefwd_send(int descriptor, const void *bytes, size_t count, bool waits);

/// accept4(2), which needs _GNU_SOURCE: close-on-exec and without waiting. Returns a descriptor or minus an errno.
int tracefwd_accept(int listener);
