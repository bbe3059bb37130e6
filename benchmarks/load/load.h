/* What the parts of the load generator share.  `load.c` says what it does. */
#ifndef LOAD_H
#define LOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>

enum {
    PERIOD = 64,        /* what is sent repeats after so many bytes */
    CHUNK = 256 * 1024, /* bytes in one call of send or receive, at most */
};

/* -- options.c: what the arguments say -------------------------------------------------------- */

struct address {
    struct sockaddr_storage raw;
    socklen_t length;
    int type;           /* SOCK_STREAM or SOCK_DGRAM */
    bool tls;
};

struct options {
    const char *mode;
    struct address server;
    long connections;
    long idle;          /* connections beside these that have nothing to do */
    long size;          /* bytes of a message */
    long window;        /* bytes of one connection that may not be back yet */
    double seconds, warm_up;
    pid_t server_pid;
    bool spinning;
    bool text;          /* send characters of one to three bytes */
};

extern struct options options;
void parse_options(int argc, char **argv);

/* -- connection.c: sockets, and bytes over them ----------------------------------------------- */

struct connection {
    int fd;
    uint32_t interest;  /* the epoll events that are asked for */
    bool connected;     /* data can flow, over TLS too */
    bool idle;
    bool confirmed;     /* something came back once */
    void *tls;          /* the session, NULL without TLS */
    uint64_t goal;      /* bytes to send, with those already sent */
    uint64_t sent, received;
    uint64_t counted;   /* finished since the measurement began */
    double started;     /* when the present operation began */
};

void open_connection(struct connection *);
void close_connection(struct connection *);
void send_up_to_goal(struct connection *);
void shut(struct connection *);          /* say that no more comes */
void want_writable(struct connection *); /* be told when more can be sent */
bool answered(const struct connection *);
void prepare_connections(void);
void turn(void);                         /* see to all that is ready */

/* -- tls.c: the same results as send and recv, EAGAIN in `errno` too --------------------------- */

enum tls_state { TLS_DONE, TLS_WANTS_READ, TLS_WANTS_WRITE };

void prepare_tls(void);
void tls_open(struct connection *);
enum tls_state tls_handshake(struct connection *);
ssize_t tls_send(struct connection *, const char *, size_t);
ssize_t tls_receive(struct connection *, char *, size_t);
bool tls_has_more(const struct connection *);
void tls_shut(struct connection *);
void tls_close(struct connection *);

/* -- modes.c: what the clients do -------------------------------------------------------------- */

struct mode {
    const char *name;
    void (*connected)(struct connection *);
    void (*writable)(struct connection *);
    void (*echoed)(struct connection *, size_t);
    void (*ended)(struct connection *);
    void (*begin)(void); /* when all are open, or NULL */
    bool in_turns;       /* not every connection needs to have had an answer */
};

extern const struct mode *mode;
const struct mode *mode_of(const struct connection *);
void choose_mode(const char *name);
void open_all(void);
void forget_counts(void);
bool enough_counted(void); /* has every connection had an answer since then? */
uint64_t sum_counts(void);

/* -- clocks.c: errors, times, latencies -------------------------------------------------------- */

/* What a measurement subtracts at its two ends, in seconds. */
struct clocks {
    double now, server_cpu, server_wait, load_wait;
};

__attribute__((noreturn, format(printf, 1, 2))) void fail(const char *format, ...);
double now(void);
struct clocks read_clocks(void);
void add_latency(double);
void forget_latencies(void);
void print_latencies(void);

#endif
