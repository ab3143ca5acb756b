#define _GNU_SOURCE
#include "tracefwd_socket.h"
#include <errno.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

enum { MOST = 64 };

static void count_drops(int descriptor, struct tracefwd_datagrams *out) {
    uint32_t counts[SK_MEMINFO_VARS];
    socklen_t length = sizeof(counts);
    if (getsockopt(descriptor, SOL_SOCKET, SO_MEMINFO, counts, &length) != 0 || length <= SK_MEMINFO_DROPS * sizeof(counts[0])) return;
    out->dropped = counts[SK_MEMINFO_DROPS];
    out->dropped_known = true;
}

int tracefwd_receive(int descriptor, uint8_t *buffer, size_t stride, unsigned most, struct tracefwd_datagrams *out) {
    struct mmsghdr messages[MOST];
    struct iovec pieces[MOST];
    struct sockaddr_storage from[MOST];
    union {
        char bytes[CMSG_SPACE(sizeof(uint32_t)) + CMSG_SPACE(sizeof(struct ucred)) + 64];
        struct cmsghdr aligned;
    } control[MOST];
    if (most > MOST) most = MOST;
    memset(messages, 0, sizeof(struct mmsghdr) * most);
    for (unsigned i = 0; i < most; i++) {
        pieces[i].iov_base = buffer + i * stride;
        pieces[i].iov_len = stride;
        messages[i].msg_hdr.msg_iov = &pieces[i];
        messages[i].msg_hdr.msg_iovlen = 1;
        messages[i].msg_hdr.msg_name = &from[i];
        messages[i].msg_hdr.msg_namelen = sizeof(from[i]);
        messages[i].msg_hdr.msg_control = control[i].bytes;
        messages[i].msg_hdr.msg_controllen = sizeof(control[i].bytes);
    }
    out->count = 0;
    int count = recvmmsg(descriptor, messages, most, MSG_DONTWAIT, NULL);
    int error = count < 0 ? errno : 0;
    // A datagram bears what was dropped before it; what was dropped behind the last one must be asked for.
    if (count < (int)most) count_drops(descriptor, out);
    if (count < 0) return error;
    out->count = (unsigned)count;
    for (int i = 0; i < count; i++) {
        struct msghdr *header = &messages[i].msg_hdr;
        out->lengths[i] = messages[i].msg_len;
        out->cut[i] = header->msg_flags & MSG_TRUNC;
        out->uids[i] = UINT32_MAX;
        out->addresses[i] = 0;
        if (header->msg_namelen >= sizeof(struct sockaddr_in) && from[i].ss_family == AF_INET)
            out->addresses[i] = ntohl(((struct sockaddr_in *)&from[i])->sin_addr.s_addr);
        for (struct cmsghdr *c = CMSG_FIRSTHDR(header); c; c = CMSG_NXTHDR(header, c)) {
            if (c->cmsg_level != SOL_SOCKET) continue;
            if (c->cmsg_type == SO_RXQ_OVFL) {
                uint32_t dropped;
                memcpy(&dropped, CMSG_DATA(c), sizeof(dropped));
                // Not back behind what was asked for: this one may have been queued before.
                if (!out->dropped_known || (int32_t)(dropped - out->dropped) > 0) out->dropped = dropped;
                out->dropped_known = true;
            } else if (c->cmsg_type == SCM_CREDENTIALS) {
                struct ucred peer;
                memcpy(&peer, CMSG_DATA(c), sizeof(peer));
                out->uids[i] = peer.uid;
            }
        }
    }
    return 0;
}

int tracefwd_peer(int descriptor, uint32_t *uid, uint32_t *gid, int32_t *pid) {
    struct ucred peer;
    socklen_t length = sizeof(peer);
    if (getsockopt(descriptor, SOL_SOCKET, SO_PEERCRED, &peer, &length) != 0) return errno;
    *uid = peer.uid;
    *gid = peer.gid;
    *pid = peer.pid;
    return 0;
}

void tracefwd_datagram_options(int descriptor, bool credentials) {
    int on = 1;
    setsockopt(descriptor, SOL_SOCKET, SO_RXQ_OVFL, &on, sizeof(on));
    if (credentials) setsockopt(descriptor, SOL_SOCKET, SO_PASSCRED, &on, sizeof(on));
}

int tracefwd_receive_buffer(int descriptor, int bytes) {
    if (setsockopt(descriptor, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof(bytes)) != 0)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes));
    return tracefwd_receive_buffer_of(descriptor);
}

int tracefwd_receive_buffer_of(int descriptor) {
    int got = 0;
    socklen_t length = sizeof(got);
    getsockopt(descriptor, SOL_SOCKET, SO_RCVBUF, &got, &length);
    // The kernel doubles what it is told, for its own bookkeeping.
    return got / 2;
}

ssize_t tracefwd_send(int descriptor, const void *bytes, size_t count, bool waits) {
    return send(descriptor, bytes, count, MSG_NOSIGNAL | (waits ? 0 : MSG_DONTWAIT));
}

int tracefwd_accept(int listener) {
    int descriptor = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    return descriptor >= 0 ? descriptor : -errno;
}
