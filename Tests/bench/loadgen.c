// loadgen: writes LLM spans to tracefwd as fast as it takes them, or at a fixed rate, and times the acks.
//
//   loadgen --socket PATH [--spans N] [--first I] [--connections C] [--size BYTES] [--ack-every K] [--window W] [--rate R]
//   loadgen --udp PORT    [--spans N] [--size BYTES] [--rate R]          one span a datagram to 127.0.0.1, no answers
//
// The lines are built before the clock starts; on the way out only the ids of each line are rewritten. Span i (from `--first`,
// which is 0, on) has the span id i + 1, so a sink can tell a lost span from a repeated one, and a trace id of its own, whose
// first half is the time at which it was sent (CLOCK_MONOTONIC, ns), so it can tell how long that took. `--window W` lets at
// most W acks be outstanding on a connection (1 is a client that waits for each), 0 is no limit. Each connection is closed for
// writing at the end and read to its summary. Prints one JSON object; exit status 1 if the daemon did not take every span.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum { LINES = 64, LINE_MAX_BYTES = 60000, ANSWER_BYTES = 65536, STALL_SECONDS = 60 };

static struct {
    const char *socket_path;
    int udp_port;
    uint64_t spans;
    uint64_t first;
    int connections;
    int size;
    uint64_t ack_every;
    uint64_t window;
    double rate;
} options = {.spans = 100000, .connections = 1, .size = 1024};

/// One span line, and where its ids stand in it.
struct line {
    char *bytes;
    int length;
    char *trace_id;
    char *span_id;
};

/// One connection: a thread writes, another reads the answers.
struct connection {
    int fd;
    uint64_t first, count;
    pthread_t writer, reader;
    pthread_mutex_t mutex;
    pthread_cond_t answered;
    uint64_t asked, answers;  // under the mutex
    _Atomic uint64_t *asked_at;
    uint64_t *latency;
    uint64_t accepted, rejected, bytes;
    uint64_t written_at, closed_at;
    bool summary;
};

static uint64_t now_ns(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

static void fail(const char *what) {
    fprintf(stderr, "loadgen: %s: %s\n", what, strerror(errno));
    exit(1);
}

static void sleep_until(uint64_t at) {
    struct timespec time = {(time_t)(at / 1000000000u), (long)(at % 1000000000u)};
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &time, NULL) == EINTR) {}
}

static void put_hex(char *at, uint64_t value) {
    static const char digits[] = "0123456789abcdef";
    for (int i = 15; i >= 0; i--, value >>= 4) at[i] = digits[value & 15];
}

/// A bijection of 64 bits (SplitMix64's finaliser): trace ids that differ from span to span and look random.
static uint64_t mixed(uint64_t value) {
    value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9u;
    value = (value ^ (value >> 27)) * 0x94d049bb133111ebu;
    return value ^ (value >> 31);
}

static const char prose[] =
    "Summarise the customer's last three orders in two sentences, name the carrier, and say when the parcel arrives. "
    "She wrote: \\\"I ordered the blue one on Monday,\\nwhere is it?\\\" Answer politely, in her language (caf\u00e9, "
    "na\u00efve), and do not promise a refund. If the tracking number is unknown, ask for it once. The order was packed in "
    "Rotterdam, left the depot at 07:40 and was scanned in Lyon; the carrier expects it on Thursday before noon. ";

/// Copies `length` bytes of the prose, starting at a varying sentence, without cutting an escape or a UTF-8 sequence.
static int put_prose(char *at, int length, int turn) {
    const int size = (int)sizeof prose - 1;
    static const int starts[] = {0, 113};
    int from = starts[turn % 2], done = 0;
    while (done < length) {
        at[done++] = prose[from];
        from = (from + 1) % size;
    }
    for (int i = length - 4; i < length; i++) {
        bool whole = (at[i] & 0xc0) == 0x80 && (at[i - 1] & 0x80);  // the second byte of a sequence that began before
        if (!whole && (at[i] == '\\' || at[i] == '"' || (at[i] & 0x80))) at[i] = at[i - 1] == '\\' ? 'n' : ' ';
    }
    return length;
}

/// A line of exactly `size` bytes, newline included, as an instrumented chat call would send it.
static struct line make_line(int turn, int size) {
    static const char *models[] = {"gpt-4o", "claude-sonnet-4-5", "gpt-4o-mini", "gemini-2.5-pro"};
    static const char *providers[] = {"openai", "anthropic", "openai", "gcp.gemini"};
    char head[1024], middle[64], tail[1024];
    const char *model = models[turn % 4];
    uint64_t start = 1760000000000000000u + (uint64_t)turn * 1234567u;
    int head_length = snprintf(
        head, sizeof head,
        "{\"trace_id\":\"%032d\",\"span_id\":\"%016d\",\"name\":\"chat %s\",\"kind\":\"client\",\"start_time\":%" PRIu64
        ",\"end_time\":%" PRIu64 ",\"model\":\"%s\",\"provider\":\"%s\",\"service\":\"shop\",\"environment\":\"prod\",\"input\":\"",
        0, 0, model, start, start + 812345678u, model, providers[turn % 4]);
    int middle_length = snprintf(middle, sizeof middle, "\",\"output\":\"");
    int tail_length = snprintf(
        tail, sizeof tail,
        "\",\"usage\":{\"input_tokens\":%d,\"output_tokens\":%d},\"session_id\":\"session-%d\",\"user_id\":\"user-%d\","
        "\"attributes\":{\"gen_ai.request.temperature\":0.2,\"gen_ai.request.max_tokens\":512,"
        "\"gen_ai.response.finish_reasons\":[\"stop\"]},\"status\":\"ok\"}\n",
        120 + turn, 30 + turn, turn % 16, turn % 8);
    int text = size - head_length - middle_length - tail_length;
    if (text < 16) {
        fprintf(stderr, "loadgen: --size %d is too small, the least is %d\n", size, size - text + 16);
        exit(2);
    }
    char *bytes = malloc((size_t)size), *at = bytes;
    if (!bytes) fail("malloc");
    at = (char *)memcpy(at, head, (size_t)head_length) + head_length;
    at += put_prose(at, text / 2, turn);
    at = (char *)memcpy(at, middle, (size_t)middle_length) + middle_length;
    at += put_prose(at, text - text / 2, turn + 1);
    memcpy(at, tail, (size_t)tail_length);
    return (struct line){bytes, size, strchr(bytes, ':') + 2, strstr(bytes, "\"span_id\":\"") + 11};
}

static void stamp(struct line line, uint64_t index, uint64_t now) {
    put_hex(line.trace_id, now);
    put_hex(line.trace_id + 16, mixed(index + 1));
    put_hex(line.span_id, index + 1);
}

static void write_all(int fd, const char *bytes, size_t length) {
    while (length > 0) {
        ssize_t count = send(fd, bytes, length, MSG_NOSIGNAL);
        if (count < 0 && errno == EINTR) continue;
        if (count < 0) fail("write to the daemon");
        bytes += count;
        length -= (size_t)count;
    }
}

/// Notes the time of ack number `asked` and waits while the window is full.
static void ask(struct connection *it) {
    pthread_mutex_lock(&it->mutex);
    struct timespec limit;
    clock_gettime(CLOCK_REALTIME, &limit);
    limit.tv_sec += STALL_SECONDS;
    while (options.window > 0 && it->asked - it->answers >= options.window)
        if (pthread_cond_timedwait(&it->answered, &it->mutex, &limit) != 0) {
            errno = ETIMEDOUT;
            fail("waiting for an ack");
        }
    it->asked++;
    pthread_mutex_unlock(&it->mutex);
}

static void *write_spans(void *argument) {
    struct connection *it = argument;
    struct line lines[LINES];
    char *chunk = malloc((size_t)LINES * ((size_t)options.size + 32));
    if (!chunk) fail("malloc");
    for (int i = 0; i < LINES; i++) lines[i] = make_line(i, options.size);
    double rate = options.rate / options.connections;
    uint64_t step = LINES, begin = now_ns();
    if (rate > 0 && rate / 1000 < LINES) step = rate < 1000 ? 1 : (uint64_t)(rate / 1000);
    if (options.ack_every > 0 && options.ack_every < step) step = options.ack_every;
    for (uint64_t done = 0, unasked = 0, acks = 0; done < it->count;) {
        uint64_t batch = it->count - done < step ? it->count - done : step;
        if (options.ack_every > 0 && options.ack_every - unasked < batch) batch = options.ack_every - unasked;
        if (rate > 0) sleep_until(begin + (uint64_t)((double)done * 1e9 / rate));
        size_t length = 0;
        uint64_t now = now_ns();
        for (uint64_t i = 0; i < batch; i++) {
            stamp(lines[i], it->first + done + i, now);
            memcpy(chunk + length, lines[i].bytes, (size_t)lines[i].length);
            length += (size_t)lines[i].length;
        }
        done += batch;
        unasked += batch;
        if (options.ack_every > 0 && unasked == options.ack_every) {
            ask(it);
            length += (size_t)sprintf(chunk + length, "{\"ack\":%" PRIu64 "}\n", acks);
            atomic_store(&it->asked_at[acks++], now_ns());
            unasked = 0;
        }
        write_all(it->fd, chunk, length);
        it->bytes += length;
    }
    it->written_at = now_ns();
    shutdown(it->fd, SHUT_WR);
    free(chunk);
    for (int i = 0; i < LINES; i++) free(lines[i].bytes);
    return NULL;
}

static uint64_t member(const char *answer, const char *name) {
    const char *at = strstr(answer, name);
    return at ? strtoull(at + strlen(name), NULL, 10) : 0;
}

static void take_answer(struct connection *it, const char *answer, uint64_t at) {
    it->accepted += member(answer, "\"accepted\":");
    it->rejected += member(answer, "\"rejected\":");
    if (strstr(answer, "\"ack\":null")) {
        it->summary = true;
        return;
    }
    uint64_t number = member(answer, "\"ack\":");
    pthread_mutex_lock(&it->mutex);
    it->latency[it->answers++] = at - atomic_load(&it->asked_at[number]);
    pthread_cond_signal(&it->answered);
    pthread_mutex_unlock(&it->mutex);
}

static void *read_answers(void *argument) {
    struct connection *it = argument;
    char buffer[ANSWER_BYTES + 1];
    size_t held = 0;
    for (;;) {
        ssize_t count = recv(it->fd, buffer + held, ANSWER_BYTES - held, 0);
        if (count < 0 && errno == EINTR) continue;
        if (count <= 0) break;
        uint64_t at = now_ns();
        held += (size_t)count;
        buffer[held] = 0;
        char *from = buffer;
        for (char *end; (end = memchr(from, '\n', held - (size_t)(from - buffer))); from = end + 1) {
            *end = 0;
            take_answer(it, from, at);
        }
        held -= (size_t)(from - buffer);
        memmove(buffer, from, held);
    }
    it->closed_at = now_ns();
    return NULL;
}

static int connect_unix(const char *path) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof address.sun_path) {
        errno = ENAMETOOLONG;
        fail(path);
    }
    strcpy(address.sun_path, path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) != 0) fail(path);
    return fd;
}

static int ascending(const void *left, const void *right) {
    uint64_t a = *(const uint64_t *)left, b = *(const uint64_t *)right;
    return a < b ? -1 : a > b;
}

static double percentile_us(const uint64_t *sorted, uint64_t count, double share) {
    if (count == 0) return 0;
    uint64_t rank = (uint64_t)((double)count * share);
    return (double)sorted[rank < count ? rank : count - 1] / 1000;
}

static int run_stream(void) {
    int many = options.connections;
    uint64_t acks_most = options.ack_every > 0 ? options.spans / options.ack_every + (uint64_t)many : 1;
    struct connection *all = calloc((size_t)many, sizeof *all);
    uint64_t *latencies = calloc(acks_most, sizeof *latencies);
    if (!all || !latencies) fail("calloc");
    for (int i = 0; i < many; i++) {
        struct connection *it = &all[i];
        it->first = options.spans * (uint64_t)i / (uint64_t)many;
        it->count = options.spans * (uint64_t)(i + 1) / (uint64_t)many - it->first;
        it->first += options.first;
        uint64_t acks = options.ack_every > 0 ? it->count / options.ack_every + 1 : 1;
        it->asked_at = calloc(acks, sizeof *it->asked_at);
        it->latency = calloc(acks, sizeof *it->latency);
        if (!it->asked_at || !it->latency) fail("calloc");
        pthread_mutex_init(&it->mutex, NULL);
        pthread_cond_init(&it->answered, NULL);
        it->fd = connect_unix(options.socket_path);
    }
    uint64_t started_at = now_ns(), written_at = 0, closed_at = 0;
    for (int i = 0; i < many; i++) {
        pthread_create(&all[i].reader, NULL, read_answers, &all[i]);
        pthread_create(&all[i].writer, NULL, write_spans, &all[i]);
    }
    uint64_t accepted = 0, rejected = 0, bytes = 0, answers = 0;
    bool summaries = true;
    for (int i = 0; i < many; i++) {
        struct connection *it = &all[i];
        pthread_join(it->writer, NULL);
        pthread_join(it->reader, NULL);
        if (it->written_at > written_at) written_at = it->written_at;
        if (it->closed_at > closed_at) closed_at = it->closed_at;
        memcpy(latencies + answers, it->latency, it->answers * sizeof *latencies);
        answers += it->answers;
        accepted += it->accepted;
        rejected += it->rejected;
        bytes += it->bytes;
        summaries = summaries && it->summary;
        close(it->fd);
        free(it->asked_at);
        free(it->latency);
    }
    qsort(latencies, answers, sizeof *latencies, ascending);
    printf(
        "{\"spans\":%" PRIu64 ",\"bytes\":%" PRIu64 ",\"connections\":%d,\"seconds\":%.6f,\"seconds_writing\":%.6f,"
        "\"started_at\":%.6f,\"accepted\":%" PRIu64 ",\"rejected\":%" PRIu64 ",\"summaries\":%s,\"acks\":%" PRIu64
        ",\"ack_us\":{\"p50\":%.1f,\"p99\":%.1f,\"max\":%.1f}}\n",
        options.spans, bytes, many, (double)(closed_at - started_at) / 1e9, (double)(written_at - started_at) / 1e9,
        (double)started_at / 1e9, accepted, rejected, summaries ? "true" : "false", answers,
        percentile_us(latencies, answers, 0.50), percentile_us(latencies, answers, 0.99), percentile_us(latencies, answers, 1));
    free(latencies);
    free(all);
    return accepted == options.spans && summaries ? 0 : 1;
}

static int run_udp(void) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)options.udp_port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) != 0) fail("udp");
    struct line lines[LINES];
    struct iovec vectors[LINES];
    struct mmsghdr messages[LINES] = {0};
    for (int i = 0; i < LINES; i++) {
        lines[i] = make_line(i, options.size);
        vectors[i] = (struct iovec){lines[i].bytes, (size_t)lines[i].length};
        messages[i].msg_hdr = (struct msghdr){.msg_iov = &vectors[i], .msg_iovlen = 1};
    }
    uint64_t step = LINES, begin = now_ns(), errors = 0;
    if (options.rate > 0 && options.rate / 1000 < LINES) step = options.rate < 1000 ? 1 : (uint64_t)(options.rate / 1000);
    for (uint64_t done = 0; done < options.spans;) {
        uint64_t batch = options.spans - done < step ? options.spans - done : step;
        if (options.rate > 0) sleep_until(begin + (uint64_t)((double)done * 1e9 / options.rate));
        uint64_t now = now_ns();
        for (uint64_t i = 0; i < batch; i++) stamp(lines[i], options.first + done + i, now);
        for (uint64_t sent = 0; sent < batch;) {
            int count = sendmmsg(fd, messages + sent, (unsigned)(batch - sent), 0);
            if (count < 0 && errno == EINTR) continue;
            errors += count < 0;
            sent += count < 0 ? 1 : (uint64_t)count;
        }
        done += batch;
    }
    double seconds = (double)(now_ns() - begin) / 1e9;
    printf("{\"spans\":%" PRIu64 ",\"seconds\":%.6f,\"started_at\":%.6f,\"send_errors\":%" PRIu64 "}\n", options.spans, seconds,
           (double)begin / 1e9, errors);
    for (int i = 0; i < LINES; i++) free(lines[i].bytes);
    return errors > 0;
}

static void usage(void) {
    fprintf(stderr, "usage: loadgen --socket PATH | --udp PORT  [--spans N] [--first I] [--connections C] [--size BYTES] "
                    "[--ack-every K] [--window W] [--rate R]\n");
    exit(2);
}

int main(int count, char **words) {
    for (int i = 1; i < count; i += 2) {
        if (i + 1 >= count) usage();
        const char *value = words[i + 1];
        if (!strcmp(words[i], "--socket")) options.socket_path = value;
        else if (!strcmp(words[i], "--udp")) options.udp_port = atoi(value);
        else if (!strcmp(words[i], "--spans")) options.spans = strtoull(value, NULL, 10);
        else if (!strcmp(words[i], "--first")) options.first = strtoull(value, NULL, 10);
        else if (!strcmp(words[i], "--connections")) options.connections = atoi(value);
        else if (!strcmp(words[i], "--size")) options.size = atoi(value);
        else if (!strcmp(words[i], "--ack-every")) options.ack_every = strtoull(value, NULL, 10);
        else if (!strcmp(words[i], "--window")) options.window = strtoull(value, NULL, 10);
        else if (!strcmp(words[i], "--rate")) options.rate = atof(value);
        else usage();
    }
    if (options.connections < 1 || options.size > LINE_MAX_BYTES || (!options.socket_path && !options.udp_port)) usage();
    return options.socket_path ? run_stream() : run_udp();
}
