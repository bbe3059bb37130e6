/* One connection: opened, over TLS too, and the bytes that it sends and compares.  All share one epoll
 * descriptor.  `modes.c` says what is sent, and is told what came back. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "load.h"

enum {
    SOURCES = 64, /* loopback addresses that clients come from */
    EVENTS = 256,
    NAP = 10      /* when not spinning: milliseconds until the clock is looked at again */
};

#define ASCII "The quick brown fox jumps over the lazy dog; 0123456789 (twice)\n"
#define UTF_8 "Größe 10 €: naïve café, 漢字, любовь, plain words\n"
_Static_assert(sizeof ASCII - 1 == PERIOD, "the ASCII text must be one period long");
_Static_assert(sizeof UTF_8 - 1 == PERIOD, "the UTF-8 text must be one period long");

static int epoll;
static char payload[CHUNK + PERIOD], arrived[CHUNK];

void prepare_connections(void)
{
    epoll = epoll_create1(EPOLL_CLOEXEC);
    if (epoll < 0)
        fail("no epoll: %s", strerror(errno));
    for (size_t at = 0; at < sizeof payload; at += PERIOD)
        memcpy(payload + at, options.text ? UTF_8 : ASCII, PERIOD);
    if (options.server.tls)
        prepare_tls();
}

static void want(struct connection *c, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.ptr = c};
    if (events == c->interest)
        return;
    if (epoll_ctl(epoll, c->interest ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, c->fd, &event))
        fail("cannot watch a socket: %s", strerror(errno));
    c->interest = events;
}

void want_writable(struct connection *c)
{
    want(c, EPOLLIN | EPOLLOUT);
}

/* -- opening ---------------------------------------------------------------------------------- */

/* Clients come from many loopback addresses, because the ports of a closed connection rest for a
 * minute and one address has but some 28,000. */
static void use_another_source(int fd)
{
    static uint32_t last;
    const int on = 1;
    const struct sockaddr_in *to = (const struct sockaddr_in *)&options.server.raw;
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
    int family = options.server.raw.ss_family, type = options.server.type;
    int fd = socket(family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        fail("cannot make a socket: %s", strerror(errno));
    if (family != AF_UNIX && type == SOCK_STREAM)
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    use_another_source(fd);
    return fd;
}

static void continue_handshake(struct connection *c)
{
    switch (tls_handshake(c)) {
    case TLS_WANTS_READ: want(c, EPOLLIN); return;
    case TLS_WANTS_WRITE: want_writable(c); return;
    case TLS_DONE: break;
    }
    c->connected = true;
    mode_of(c)->connected(c);
}

static void finish_connect(struct connection *c)
{
    int error = 0;
    socklen_t length = sizeof error;
    getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &length);
    if (error)
        fail("cannot connect: %s", strerror(error));
    if (options.server.tls) {
        tls_open(c);
        continue_handshake(c);
        return;
    }
    c->connected = true;
    mode_of(c)->connected(c);
}

void open_connection(struct connection *c)
{
    *c = (struct connection){
        .started = now(), .fd = new_socket(),
        .idle = c->idle, .confirmed = c->confirmed, .counted = c->counted,
    };
    if (!connect(c->fd, (const struct sockaddr *)&options.server.raw, options.server.length))
        finish_connect(c);
    else if (errno == EINPROGRESS)
        want(c, EPOLLOUT);
    else
        fail("cannot connect: %s", strerror(errno));
}

void close_connection(struct connection *c)
{
    if (c->tls)
        tls_close(c);
    close(c->fd);
}

void shut(struct connection *c)
{
    if (c->tls)
        tls_shut(c);
    shutdown(c->fd, SHUT_WR);
}

/* -- data ------------------------------------------------------------------------------------- */

bool answered(const struct connection *c)
{
    return c->received == c->goal;
}

static ssize_t send_some(struct connection *c, const char *data, size_t length)
{
    return c->tls ? tls_send(c, data, length) : send(c->fd, data, length, MSG_NOSIGNAL);
}

void send_up_to_goal(struct connection *c)
{
    while (c->sent < c->goal) {
        uint64_t rest = c->goal - c->sent;
        size_t length = rest < CHUNK ? (size_t)rest : CHUNK;
        ssize_t done = send_some(c, payload + c->sent % PERIOD, length);
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

/* Takes what one call gives.  False if there was nothing. */
static bool receive(struct connection *c)
{
    ssize_t length = c->tls ? tls_receive(c, arrived, sizeof arrived)
                            : recv(c->fd, arrived, sizeof arrived, 0);
    if (length < 0 && errno == EAGAIN)
        return false;
    if (length < 0)
        fail("cannot receive: %s", strerror(errno));
    if (length == 0) {
        mode_of(c)->ended(c);
        return false;
    }
    check(c, (size_t)length);
    c->received += (size_t)length;
    mode_of(c)->echoed(c, (size_t)length);
    return true;
}

static void handle(struct connection *c, uint32_t events)
{
    if (!c->connected) {
        if (c->tls)
            continue_handshake(c);
        else
            finish_connect(c);
        return;
    }
    if (events & EPOLLOUT)
        mode_of(c)->writable(c);
    if (events & (EPOLLIN | EPOLLHUP | EPOLLERR))
        while (receive(c) && c->tls && tls_has_more(c))
            ;
}

void turn(void)
{
    struct epoll_event events[EVENTS];
    int count = epoll_wait(epoll, events, EVENTS, options.spinning ? 0 : NAP);
    if (count < 0 && errno != EINTR)
        fail("cannot wait for sockets: %s", strerror(errno));
    for (int i = 0; i < count; i++)
        handle(events[i].data.ptr, events[i].events);
}
