// sink: an OTLP/HTTP collector that only counts, so that it costs the daemon under test as little as possible.
//
//   sink [--port P] [--expect N]            prints the port it took, then serves until SIGTERM
//
// HTTP/1.1 on 127.0.0.1 with keep-alive and Content-Length; protobuf bodies, not compressed. `POST /K/...` counts for
// destination K (0 to 63), any other path for 0. Spans are found by walking ResourceSpans / ScopeSpans / Span; with
// `--expect N` the span id (1 to N, as loadgen writes it) is looked up in a bitmap, so that lost and repeated spans
// show. The first half of a trace id is when loadgen sent the span, so how long it took is known to within 1 %. A body of text
// (Content-Type: text/plain) is loadgen's lines as another forwarder passes them on. `GET /stats` answers the counts as JSON,
// `GET /stats/last` for the last time: how long later ones took is counted anew; SIGTERM prints them. Times are CLOCK_MONOTONIC
// seconds.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { DESTINATIONS = 64, HEAD_MAX = 16384, BODY_MAX = 64 << 20, EVENTS = 64 };

/// Durations in microseconds, by buckets: the 128th of an octave, so none is wider than 1 % of what is in it.
enum { STEP_BITS = 8, STEPS = 1 << STEP_BITS, OCTAVES = 32 };
static uint64_t took[OCTAVES * STEPS];

static struct {
    uint64_t spans, unique, repeated, unknown;
    uint8_t *seen;
} destinations[DESTINATIONS];

static uint64_t requests, bytes_total, malformed, expected, arrived_ns;
static double first_at, last_at;

struct client {
    int fd;
    char *buffer;
    size_t held, room;
    bool continued;
};

static void fail(const char *what) {
    perror(what);
    exit(1);
}

static uint64_t monotonic_ns(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

// MARK: how long it took

static void note_duration(uint64_t us) {
    int octave = us < STEPS ? 0 : 64 - STEP_BITS - __builtin_clzll(us);
    uint64_t bucket = octave == 0 ? us : (uint64_t)octave * (STEPS / 2) + (us >> octave);
    took[bucket < OCTAVES * STEPS ? bucket : OCTAVES * STEPS - 1]++;
}

static uint64_t bucket_us(uint64_t bucket) {
    if (bucket < STEPS) return bucket;
    uint64_t octave = bucket / (STEPS / 2) - 1;
    return (bucket - octave * (STEPS / 2)) << octave;
}

static uint64_t duration_us(double share) {
    uint64_t all = 0, below = 0;
    for (int i = 0; i < OCTAVES * STEPS; i++) all += took[i];
    for (int i = 0; i < OCTAVES * STEPS; i++)
        if ((below += took[i]) > (uint64_t)((double)all * share)) return bucket_us((uint64_t)i);
    return 0;
}

// MARK: protobuf

struct field {
    uint64_t number;
    unsigned wire;
    const uint8_t *at;
    uint64_t length;
};

static const uint8_t *varint(const uint8_t *at, const uint8_t *end, uint64_t *value) {
    *value = 0;
    for (unsigned shift = 0; at < end && shift < 64; shift += 7) {
        *value |= (uint64_t)(*at & 0x7f) << shift;
        if (!(*at++ & 0x80)) return at;
    }
    return NULL;
}

/// The field at `at`; returns where the next one begins, or NULL where the bytes are no protobuf.
static const uint8_t *next_field(const uint8_t *at, const uint8_t *end, struct field *field) {
    uint64_t tag;
    if (!(at = varint(at, end, &tag))) return NULL;
    field->number = tag >> 3;
    field->wire = tag & 7;
    field->length = 0;
    if (field->wire == 0) return varint(at, end, &field->length);
    if (field->wire == 1) field->length = 8;
    else if (field->wire == 5) field->length = 4;
    else if (field->wire != 2 || !(at = varint(at, end, &field->length))) return NULL;
    field->at = at;
    return field->length <= (uint64_t)(end - at) ? at + field->length : NULL;
}

/// Marks a span as seen; false where the id is none of loadgen's.
static bool note_id(int destination, uint64_t id) {
    if (id == 0 || id > expected) return false;
    uint8_t bit = (uint8_t)(1u << (id & 7)), *byte = &destinations[destination].seen[id >> 3];
    if (*byte & bit) destinations[destination].repeated++;
    else destinations[destination].unique++;
    *byte |= bit;
    return true;
}

static void count_span(int destination, const uint8_t *at, uint64_t length) {
    destinations[destination].spans++;
    if (expected == 0) return;
    const uint8_t *end = at + length;
    for (struct field field; at < end && (at = next_field(at, end, &field));) {
        uint64_t id;
        if (field.number == 1 && field.length == 16) {
            memcpy(&id, field.at, 8);
            note_duration((arrived_ns - __builtin_bswap64(id)) / 1000);
        }
        if (field.number != 2 || field.length != 8) continue;
        memcpy(&id, field.at, 8);
        if (note_id(destination, __builtin_bswap64(id))) return;
        break;
    }
    destinations[destination].unknown++;
}

// MARK: lines

/// The 16 hexadecimal digits at `at`; 0 where they are none.
static uint64_t hex64(const char *at) {
    char digits[17] = {0};
    memcpy(digits, at, 16);
    char *end;
    uint64_t value = strtoull(digits, &end, 16);
    return end == digits + 16 ? value : 0;
}

/// The id stands where loadgen writes it: as the second member, so nothing else of the line is read.
static void count_line(int destination, const char *line, size_t length) {
    static const char trace[] = "{\"trace_id\":\"", span[] = "\",\"span_id\":\"";
    enum { SENT = sizeof trace - 1, MIDDLE = SENT + 32, ID = MIDDLE + sizeof span - 1 };
    destinations[destination].spans++;
    if (expected == 0) return;
    if (length < ID + 16 || memcmp(line, trace, SENT) || memcmp(line + MIDDLE, span, sizeof span - 1)) {
        destinations[destination].unknown++;
        return;
    }
    note_duration((arrived_ns - hex64(line + SENT)) / 1000);
    if (!note_id(destination, hex64(line + ID))) destinations[destination].unknown++;
}

static void count_lines(int destination, const char *body, uint64_t length) {
    const char *end = body + length;
    for (const char *line = body, *stop; line < end; line = stop + 1) {
        stop = memchr(line, '\n', (size_t)(end - line));
        if (!stop) stop = end;
        if (stop > line) count_line(destination, line, (size_t)(stop - line));
    }
}

// MARK: a message's path

/// Follows field `path[0]`, in it field `path[1]`, ... down to the spans.
static bool walk(int destination, const uint8_t *at, uint64_t length, const int *path) {
    const uint8_t *end = at + length;
    for (struct field field; at < end;) {
        if (!(at = next_field(at, end, &field))) return false;
        if (field.wire != 2 || field.number != (uint64_t)path[0]) continue;
        if (path[1] == 0) count_span(destination, field.at, field.length);
        else if (!walk(destination, field.at, field.length, path + 1)) return false;
    }
    return true;
}

// MARK: HTTP

static int stats(char *text, size_t room) {
    int length = snprintf(
        text, room, "{\"requests\":%" PRIu64 ",\"bytes\":%" PRIu64 ",\"malformed\":%" PRIu64 ",\"first_at\":%.6f,\"last_at\":%.6f",
        requests, bytes_total, malformed, first_at, last_at);
    uint64_t spans = 0, unique = 0, repeated = 0, unknown = 0;
    length += snprintf(text + length, room - (size_t)length, ",\"destinations\":{");
    const char *comma = "";
    for (int i = 0; i < DESTINATIONS; i++) {
        if (destinations[i].spans == 0) continue;
        length += snprintf(text + length, room - (size_t)length, "%s\"%d\":%" PRIu64, comma, i, destinations[i].spans);
        comma = ",";
        spans += destinations[i].spans;
        unique += destinations[i].unique;
        repeated += destinations[i].repeated;
        unknown += destinations[i].unknown;
    }
    length += snprintf(
        text + length, room - (size_t)length,
        "},\"spans\":%" PRIu64 ",\"unique\":%" PRIu64 ",\"repeated\":%" PRIu64 ",\"unknown\":%" PRIu64
        ",\"took_us\":{\"p50\":%" PRIu64 ",\"p99\":%" PRIu64 "}}",
        spans, unique, repeated, unknown, duration_us(0.50), duration_us(0.99));
    return length;
}

static bool answer(int fd, const char *status, const char *type, const char *body, int length) {
    char text[8192];
    int size = snprintf(
        text, sizeof text, "HTTP/1.1 %s\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n%.*s", status, type, length, length, body);
    return send(fd, text, (size_t)size, MSG_NOSIGNAL) == size;
}

/// The value of a header, or NULL; `head` is the request's head, ended by a NUL.
static const char *header(const char *head, const char *name) {
    size_t length = strlen(name);
    for (const char *line = strchr(head, '\n'); line; line = strchr(line + 1, '\n'))
        if (!strncasecmp(line + 1, name, length) && line[1 + length] == ':') return line + length + 2 + strspn(line + length + 2, " ");
    return NULL;
}

static int destination_of(const char *head) {
    const char *slash = strchr(head, '/');
    if (!slash) return 0;
    char *end;
    long number = strtol(slash + 1, &end, 10);
    return end > slash + 1 && *end == '/' && number >= 0 && number < DESTINATIONS ? (int)number : 0;
}

static bool serve(struct client *client, const char *head, const char *body, uint64_t length) {
    if (!strncmp(head, "GET /stats", 10)) {
        char text[4096];
        int written = stats(text, sizeof text);
        if (!strncmp(head, "GET /stats/last", 15)) memset(took, 0, sizeof took);
        return answer(client->fd, "200 OK", "application/json", text, written);
    }
    if (strncmp(head, "POST ", 5)) return answer(client->fd, "405 Method Not Allowed", "text/plain", "", 0);
    if (header(head, "Content-Encoding")) return answer(client->fd, "415 Unsupported Media Type", "text/plain", "", 0);
    arrived_ns = monotonic_ns();
    last_at = (double)arrived_ns / 1e9;
    if (requests++ == 0) first_at = last_at;
    bytes_total += length;
    static const int path[] = {1, 2, 2, 0};
    const char *type = header(head, "Content-Type");
    if (type && !strncasecmp(type, "text/plain", 10)) {
        count_lines(destination_of(head), body, length);
        return answer(client->fd, "200 OK", "text/plain", "", 0);
    }
    if (!walk(destination_of(head), (const uint8_t *)body, length, path)) {
        malformed++;
        return answer(client->fd, "400 Bad Request", "text/plain", "", 0);
    }
    return answer(client->fd, "200 OK", "application/x-protobuf", "", 0);
}

/// Takes the whole requests out of the buffer; false ends the connection.
static bool consume(struct client *client) {
    for (;;) {
        client->buffer[client->held] = 0;
        char *gap = memmem(client->buffer, client->held, "\r\n\r\n", 4);
        if (!gap) return client->held < HEAD_MAX;
        *gap = 0;
        const char *text = header(client->buffer, "Content-Length");
        uint64_t length = text ? strtoull(text, NULL, 10) : 0;
        size_t head = (size_t)(gap - client->buffer) + 4, whole = head + length;
        if (length > BODY_MAX) return false;
        if (client->held < whole) {
            if (!client->continued && header(client->buffer, "Expect")) {
                client->continued = true;
                send(client->fd, "HTTP/1.1 100 Continue\r\n\r\n", 25, MSG_NOSIGNAL);
            }
            *gap = '\r';
            if (client->room < whole + 1) {
                client->room = whole + 1;
                if (!(client->buffer = realloc(client->buffer, client->room))) fail("realloc");
            }
            return true;
        }
        client->continued = false;
        if (!serve(client, client->buffer, client->buffer + head, length)) return false;
        client->held -= whole;
        memmove(client->buffer, client->buffer + whole, client->held);
        if (client->held == 0) return true;
    }
}

static bool receive(struct client *client) {
    if (client->room - client->held < 2) {
        client->room = client->room ? client->room * 2 : HEAD_MAX * 2;
        if (!(client->buffer = realloc(client->buffer, client->room))) fail("realloc");
    }
    ssize_t count = recv(client->fd, client->buffer + client->held, client->room - client->held - 1, 0);
    if (count < 0 && (errno == EINTR || errno == EAGAIN)) return true;
    if (count <= 0) return false;
    client->held += (size_t)count;
    return consume(client);
}

static int listen_on(int port) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), yes = 1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof address) != 0 || listen(fd, 128) != 0) fail("listen");
    socklen_t length = sizeof address;
    getsockname(fd, (struct sockaddr *)&address, &length);
    printf("%d\n", ntohs(address.sin_port));
    fflush(stdout);
    return fd;
}

static void accept_all(int listener, int epoll) {
    for (int fd; (fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC)) >= 0;) {
        int yes = 1;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
        struct client *client = calloc(1, sizeof *client);
        if (!client) fail("calloc");
        client->fd = fd;
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = client};
        epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
    }
}

static void drop(struct client *client) {
    close(client->fd);
    free(client->buffer);
    free(client);
}

int main(int count, char **words) {
    int port = 0;
    for (int i = 1; i + 1 < count; i += 2) {
        if (!strcmp(words[i], "--port")) port = atoi(words[i + 1]);
        else if (!strcmp(words[i], "--expect")) expected = strtoull(words[i + 1], NULL, 10);
    }
    for (int i = 0; i < DESTINATIONS && expected > 0; i++)
        if (!(destinations[i].seen = calloc(expected / 8 + 1, 1))) fail("calloc");
    sigset_t stop;
    sigemptyset(&stop);
    sigaddset(&stop, SIGTERM);
    sigaddset(&stop, SIGINT);
    sigprocmask(SIG_BLOCK, &stop, NULL);
    int listener = listen_on(port), epoll = epoll_create1(EPOLL_CLOEXEC), signals = signalfd(-1, &stop, SFD_CLOEXEC);
    static int listener_mark, signals_mark;
    epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &(struct epoll_event){.events = EPOLLIN, .data.ptr = &listener_mark});
    epoll_ctl(epoll, EPOLL_CTL_ADD, signals, &(struct epoll_event){.events = EPOLLIN, .data.ptr = &signals_mark});
    for (;;) {
        struct epoll_event events[EVENTS];
        int ready = epoll_wait(epoll, events, EVENTS, -1);
        for (int i = 0; i < ready; i++) {
            void *mark = events[i].data.ptr;
            if (mark == &signals_mark) {
                char text[4096];
                stats(text, sizeof text);
                puts(text);
                return 0;
            }
            if (mark == &listener_mark) accept_all(listener, epoll);
            else if (!receive(mark)) drop(mark);
        }
    }
}
