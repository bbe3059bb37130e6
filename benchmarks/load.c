/* The load: talks to an echo server as many clients do and prints what it saw as one line of JSON.
 *
 *     load [-s] [-u] [-p PID] [-w SECONDS] MODE ADDRESS CONNECTIONS SIZE SECONDS
 *
 * MODE      pingpong  each connection sends SIZE bytes, waits for all of them, sends again
 *           bulk      each connection sends pieces of SIZE bytes, with at most 1 MiB not yet back
 *           churn     connect, send SIZE bytes, wait for them, shut, wait for the server's end;
 *                     CONNECTIONS of these at a time
 *           idle      open CONNECTIONS, echo SIZE bytes once on each, say so with a line, hold them
 *                     until standard input ends, for SECONDS at most
 * ADDRESS   HOST:PORT in numbers, or the path of a UNIX socket, which begins with "/"
 * -s        sleep while there is nothing to do; otherwise the load spins, so that no time passes
 *           between an answer and the next request
 * -u        send text with characters of one to three bytes, not ASCII
 * -p PID    the server: its CPU time is part of the result
 * -w        seconds to run before the measurement begins
 *
 * Every byte that comes back is compared.  Whatever goes wrong ends the program with one line on
 * standard error and status 1; no wait is without a limit.
 *
 * The path of the data: open_connection, finish_connect, then push and pull, which call the
 * functions of the mode.  All connections share one epoll descriptor and one thread.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum {
    PERIOD = 64,           /* what is sent repeats after so many bytes */
    CHUNK = 256 * 1024,    /* bytes in one call of send or recv, at most */
    IN_FLIGHT = 1 << 20,   /* bulk: bytes of one connection that are not yet back */
    OPENING = 16,          /* connections that wait for their first echo at one time */
    SOURCES = 64,          /* loopback addresses that clients come from */
    EVENTS = 256,
    OPEN_LIMIT = 30,       /* seconds for all connections to have had their first echo */
    NAP = 10               /* with -s: milliseconds until the clock is looked at again */
};

#define ASCII "The quick brown fox jumps over the lazy dog; 0123456789 (twice)\n"
#define UTF_8 "Größe 10 €: naïve café, 漢字, любовь, plain words\n"
_Static_assert(sizeof ASCII - 1 == PERIOD, "the ASCII text must be one period long");
_Static_assert(sizeof UTF_8 - 1 == PERIOD, "the UTF-8 text must be one period long");

struct connection {
    int fd;
    uint32_t interest;     /* the epoll events that are asked for */
    bool connected;
    bool confirmed;        /* something came back once */
    uint64_t goal;         /* bytes to send, with those already sent */
    uint64_t sent, received;
    uint64_t counted;      /* finished since the measurement began */
    double started;        /* when the present operation began */
};

struct mode {
    const char *name;
    void (*connected)(struct connection *);
    void (*echoed)(struct connection *, size_t);
    void (*ended)(struct connection *);
};

struct address {
    struct sockaddr_storage raw;
    socklen_t length;
};

/* What a measurement subtracts at its two ends, in seconds. */
struct clocks {
    double now, server_cpu, server_wait, load_wait;
};

static const struct mode *mode;
static struct address server;
static long connections, size;
static double seconds, warm_up;
static pid_t server_pid;
static bool spinning = true, text;

static int epoll;
static struct connection *all;
static long opened, confirmed;
static char payload[CHUNK + PERIOD], arrived[CHUNK];
static float *latencies;
static size_t latency_count, latency_room;

/* -- errors and clocks ------------------------------------------------------------------------ */

__attribute__((noreturn, format(printf, 1, 2)))
static void fail(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fputs("load: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    exit(1);
}

static double in_seconds(struct timespec time)
{
    return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return in_seconds(time);
}

static double cpu_seconds(pid_t pid)
{
    clockid_t clock;
    struct timespec time;
    if (clock_getcpuclockid(pid, &clock) || clock_gettime(clock, &time))
        fail("no process %d", (int)pid);
    return in_seconds(time);
}

/* Seconds in which the process could have run but another had its CPU; 0 where the kernel does not
 * count them. */
static double seconds_waited(pid_t pid)
{
    char path[64];
    unsigned long long waited = 0;
    snprintf(path, sizeof path, "/proc/%d/schedstat", (int)pid);
    FILE *file = fopen(path, "r");
    if (!file)
        return 0;
    if (fscanf(file, "%*u %llu", &waited) != 1)
        waited = 0;
    fclose(file);
    return (double)waited * 1e-9;
}

static struct clocks read_clocks(void)
{
    struct clocks clocks = {.now = now(), .load_wait = seconds_waited(getpid())};
    if (server_pid) {
        clocks.server_cpu = cpu_seconds(server_pid);
        clocks.server_wait = seconds_waited(server_pid);
    }
    return clocks;
}

/* -- opening a connection --------------------------------------------------------------------- */

static void want(struct connection *c, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.ptr = c};
    if (events == c->interest)
        return;
    if (epoll_ctl(epoll, c->interest ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, c->fd, &event))
        fail("cannot watch a socket: %s", strerror(errno));
    c->interest = events;
}

/* Clients come from many loopback addresses, because the ports of a closed connection rest for a
 * minute and one address has but some 28,000. */
static void use_another_source(int fd)
{
    static uint32_t last;
    const int on = 1;
    const struct sockaddr_in *to = (const struct sockaddr_in *)&server.raw;
    if (to->sin_family != AF_INET || ntohl(to->sin_addr.s_addr) >> 24 != IN_LOOPBACKNET)
        return;
    struct sockaddr_in from = {.sin_family = AF_INET};
    from.sin_addr.s_addr = htonl(INADDR_LOOPBACK + last++ % SOURCES);
    setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
    if (bind(fd, (struct sockaddr *)&from, sizeof from))
        fail("cannot use a loopback address: %s", strerror(errno));
}

static int new_socket(void)
{
    const int on = 1;
    int fd = socket(server.raw.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        fail("cannot make socket %ld: %s", opened, strerror(errno));
    if (server.raw.ss_family != AF_UNIX)
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    use_another_source(fd);
    return fd;
}

static void finish_connect(struct connection *c)
{
    int error = 0;
    socklen_t length = sizeof error;
    getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &length);
    if (error)
        fail("cannot connect: %s", strerror(error));
    c->connected = true;
    mode->connected(c);
}

static void open_connection(struct connection *c)
{
    *c = (struct connection){
        .started = now(), .fd = new_socket(), .confirmed = c->confirmed, .counted = c->counted,
    };
    if (!connect(c->fd, (struct sockaddr *)&server.raw, server.length))
        finish_connect(c);
    else if (errno == EINPROGRESS)
        want(c, EPOLLOUT);
    else
        fail("cannot connect: %s", strerror(errno));
}

/* Never so many at once that a server's backlog is full. */
static void open_more(void)
{
    while (opened < connections && opened - confirmed < OPENING)
        open_connection(&all[opened++]);
}

/* -- data ------------------------------------------------------------------------------------- */

static size_t at_most(uint64_t count, size_t limit)
{
    return count < limit ? (size_t)count : limit;
}

static void push(struct connection *c)
{
    while (c->sent < c->goal) {
        size_t length = at_most(c->goal - c->sent, CHUNK);
        ssize_t done = send(c->fd, payload + c->sent % PERIOD, length, MSG_NOSIGNAL);
        if (done < 0 && errno == EAGAIN)
            break;
        if (done < 0)
            fail("cannot send: %s", strerror(errno));
        c->sent += (size_t)done;
    }
    want(c, c->sent < c->goal ? EPOLLIN | EPOLLOUT : EPOLLIN);
}

static void check(const struct connection *c, size_t length)
{
    if (length > c->sent - c->received)
        fail("the server sent more than it was sent");
    if (memcmp(arrived, payload + c->received % PERIOD, length))
        fail("the server changed what it was sent");
}

static void pull(struct connection *c)
{
    ssize_t length = recv(c->fd, arrived, sizeof arrived, 0);
    if (length < 0 && errno == EAGAIN)
        return;
    if (length < 0)
        fail("cannot receive: %s", strerror(errno));
    if (length == 0) {
        mode->ended(c);
        return;
    }
    check(c, (size_t)length);
    c->received += (size_t)length;
    mode->echoed(c, (size_t)length);
}

static void handle(struct connection *c, uint32_t events)
{
    if (!c->connected) {
        finish_connect(c);
        return;
    }
    if (events & EPOLLOUT)
        push(c);
    if (events & (EPOLLIN | EPOLLHUP | EPOLLERR))
        pull(c);
}

static void turn(void)
{
    struct epoll_event events[EVENTS];
    int count = epoll_wait(epoll, events, EVENTS, spinning ? 0 : NAP);
    if (count < 0 && errno != EINTR)
        fail("cannot wait for sockets: %s", strerror(errno));
    for (int i = 0; i < count; i++)
        handle(events[i].data.ptr, events[i].events);
}

/* -- what is counted -------------------------------------------------------------------------- */

static void count(struct connection *c, uint64_t amount)
{
    c->counted += amount;
    if (c->confirmed)
        return;
    c->confirmed = true;
    confirmed++;
    open_more();
}

static void add_latency(double latency)
{
    if (latency_count == latency_room) {
        latency_room = latency_room ? 2 * latency_room : 1 << 20;
        latencies = realloc(latencies, latency_room * sizeof *latencies);
        if (!latencies)
            fail("no memory for %zu latencies", latency_room);
    }
    latencies[latency_count++] = (float)latency;
}

static int compare_floats(const void *left, const void *right)
{
    float a = *(const float *)left, b = *(const float *)right;
    return (a > b) - (a < b);
}

/* -- the modes -------------------------------------------------------------------------------- */

static void request(struct connection *c)
{
    c->goal += (uint64_t)size;
    push(c);
}

static bool answered(const struct connection *c)
{
    return c->received == c->goal;
}

static void ended_early(struct connection *c)
{
    fail("the server closed a connection after %llu bytes", (unsigned long long)c->received);
}

static void pingpong_echoed(struct connection *c, size_t length)
{
    (void)length;
    if (!answered(c))
        return;
    double time = now();
    add_latency(time - c->started);
    c->started = time;
    count(c, 1);
    request(c);
}

static void bulk_fill(struct connection *c)
{
    while (c->goal + (uint64_t)size <= c->received + IN_FLIGHT)
        c->goal += (uint64_t)size;
    push(c);
}

static void bulk_echoed(struct connection *c, size_t length)
{
    count(c, length);
    bulk_fill(c);
}

static void churn_echoed(struct connection *c, size_t length)
{
    (void)length;
    if (answered(c))
        shutdown(c->fd, SHUT_WR);
}

static void churn_ended(struct connection *c)
{
    if (!answered(c))
        ended_early(c);
    add_latency(now() - c->started);
    close(c->fd);
    count(c, 1);
    open_connection(c);
}

static void idle_echoed(struct connection *c, size_t length)
{
    (void)length;
    if (answered(c))
        count(c, 1);
}

static const struct mode modes[] = {
    {"pingpong", request, pingpong_echoed, ended_early},
    {"bulk", bulk_fill, bulk_echoed, ended_early},
    {"churn", request, churn_echoed, churn_ended},
    {"idle", request, idle_echoed, ended_early},
};

/* -- the course of a run ---------------------------------------------------------------------- */

static void open_all(void)
{
    double limit = now() + OPEN_LIMIT;
    open_more();
    while (confirmed < connections) {
        if (now() > limit)
            fail("only %ld of %ld connections had an echo in %d s", confirmed, connections, OPEN_LIMIT);
        turn();
    }
}

static void run_for(double duration)
{
    double end = now() + duration;
    while (now() < end)
        turn();
}

static void forget_counts(void)
{
    latency_count = 0;
    for (long i = 0; i < connections; i++)
        all[i].counted = 0;
}

static uint64_t sum_counts(void)
{
    uint64_t sum = 0;
    for (long i = 0; i < connections; i++) {
        if (!all[i].counted)
            fail("a connection had no answer in %g s", seconds);
        sum += all[i].counted;
    }
    return sum;
}

static void print_latencies(void)
{
    if (!latency_count)
        return;
    qsort(latencies, latency_count, sizeof *latencies, compare_floats);
    printf(", \"p50\": %.9f, \"p99\": %.9f", latencies[latency_count / 2],
           latencies[latency_count * 99 / 100]);
}

static void measure(void)
{
    run_for(warm_up);
    forget_counts();
    struct clocks begin = read_clocks();
    run_for(seconds);
    struct clocks end = read_clocks();
    printf("{\"count\": %llu, \"seconds\": %.6f, \"server_cpu\": %.6f, \"server_wait\": %.6f, "
           "\"load_wait\": %.6f",
           (unsigned long long)sum_counts(), end.now - begin.now,
           end.server_cpu - begin.server_cpu, end.server_wait - begin.server_wait,
           end.load_wait - begin.load_wait);
    print_latencies();
    puts("}");
}

/* Nobody is to be heard of while the connections are held. */
static void hold(void)
{
    struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};
    printf("{\"count\": %ld}\n", confirmed);
    fflush(stdout);
    if (poll(&input, 1, (int)(seconds * 1000)) == 0)
        fail("held the connections for %g s", seconds);
    spinning = true;
    turn();
}

/* -- arguments -------------------------------------------------------------------------------- */

__attribute__((noreturn))
static void usage(void)
{
    fail("usage: load [-s] [-u] [-p PID] [-w SECONDS] MODE ADDRESS CONNECTIONS SIZE SECONDS");
}

static double number(const char *word, double least, double most)
{
    char *end;
    double value = strtod(word, &end);
    if (end == word || *end || !(value >= least && value <= most))
        fail("%s is not a number from %g to %g", word, least, most);
    return value;
}

static const struct mode *mode_called(const char *name)
{
    for (size_t i = 0; i < sizeof modes / sizeof *modes; i++)
        if (!strcmp(modes[i].name, name))
            return &modes[i];
    fail("there is no mode %s", name);
}

static struct address unix_address(const char *path)
{
    struct address address = {.length = sizeof(struct sockaddr_un)};
    struct sockaddr_un *raw = (struct sockaddr_un *)&address.raw;
    if (strlen(path) >= sizeof raw->sun_path)
        fail("the path %s is too long", path);
    raw->sun_family = AF_UNIX;
    strcpy(raw->sun_path, path);
    return address;
}

static struct address inet_address(char *word)
{
    struct address address = {.length = 0};
    const struct addrinfo hints = {
        .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV,
    };
    struct addrinfo *found;
    char *colon = strrchr(word, ':');
    if (!colon)
        fail("%s is neither HOST:PORT nor a path", word);
    *colon = 0;
    if (getaddrinfo(word, colon + 1, &hints, &found))
        fail("%s and %s are no address and port in numbers", word, colon + 1);
    memcpy(&address.raw, found->ai_addr, found->ai_addrlen);
    address.length = found->ai_addrlen;
    freeaddrinfo(found);
    return address;
}

static void parse_options(int argc, char **argv)
{
    for (int option; (option = getopt(argc, argv, "sup:w:")) != -1;) {
        switch (option) {
        case 's': spinning = false; break;
        case 'u': text = true; break;
        case 'p': server_pid = (pid_t)number(optarg, 1, INT32_MAX); break;
        case 'w': warm_up = number(optarg, 0, 60); break;
        default: usage();
        }
    }
}

static void parse(int argc, char **argv)
{
    parse_options(argc, argv);
    if (argc - optind != 5)
        usage();
    argv += optind;
    mode = mode_called(argv[0]);
    server = argv[1][0] == '/' ? unix_address(argv[1]) : inet_address(argv[1]);
    connections = (long)number(argv[2], 1, 1e6);
    size = (long)number(argv[3], 1, IN_FLIGHT);
    seconds = number(argv[4], 0.01, 600);
}

static void fill_payload(void)
{
    for (size_t at = 0; at < sizeof payload; at += PERIOD)
        memcpy(payload + at, text ? UTF_8 : ASCII, PERIOD);
}

int main(int argc, char **argv)
{
    parse(argc, argv);
    fill_payload();
    all = calloc((size_t)connections, sizeof *all);
    epoll = epoll_create1(EPOLL_CLOEXEC);
    if (!all || epoll < 0)
        fail("cannot begin: %s", strerror(errno));
    open_all();
    if (!strcmp(mode->name, "idle"))
        hold();
    else
        measure();
    return 0;
}
