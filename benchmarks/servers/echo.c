/* The limit: an echo server of one thread and one epoll descriptor, with nothing that is not needed.
 *
 *     echo DIRECTORY
 *
 * Serves TCP, UNIX sockets and UDP on loopback, TLS with the certificate in DIRECTORY, and a sink; prints where
 * as one line of JSON; ends when it is killed.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#ifndef WITHOUT_TLS
#include <openssl/err.h>
#include <openssl/ssl.h>
#endif

enum { CHUNK = 256 * 1024, EVENTS = 256, BACKLOG = 1024 };

enum service { TCP, UNIX, TLS, SINK, UDP };

struct peer {
    int fd;
    enum service service;
    bool listening;
    void *tls;
    char *pending;          /* what could not be sent at once */
    size_t length, sent;
};

static int epoll;
static char data[CHUNK];
static const char *directory;

static void fail(const char *what)
{
    perror(what);
    exit(1);
}

static void watch(struct peer *peer, int operation, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.ptr = peer};
    if (epoll_ctl(epoll, operation, peer->fd, &event))
        fail("epoll_ctl");
}

static struct peer *add(int fd, enum service service, bool listening)
{
    struct peer *peer = calloc(1, sizeof *peer);
    if (!peer)
        fail("calloc");
    *peer = (struct peer){.fd = fd, .service = service, .listening = listening};
    watch(peer, EPOLL_CTL_ADD, EPOLLIN);
    return peer;
}

/* -- TLS: the same results as recv and send ---------------------------------------------------- */

#ifdef WITHOUT_TLS
static void prepare_tls(void) {}
static void tls_begin(struct peer *p) { (void)p; }
static void tls_end(struct peer *p) { (void)p; }
static ssize_t tls_receive(struct peer *p) { (void)p; return 0; }
static ssize_t tls_send(struct peer *p, const char *d, size_t n) { (void)p; (void)d; (void)n; return -1; }
static bool tls_has_more(struct peer *p) { (void)p; return false; }
#else
static SSL_CTX *context;

static void prepare_tls(void)
{
    char certificate[4096], key[4096];
    snprintf(certificate, sizeof certificate, "%s/certificate.pem", directory);
    snprintf(key, sizeof key, "%s/key.pem", directory);
    context = SSL_CTX_new(TLS_server_method());
    if (!context || SSL_CTX_use_certificate_chain_file(context, certificate) != 1
            || SSL_CTX_use_PrivateKey_file(context, key, SSL_FILETYPE_PEM) != 1)
        fail("certificate");
    SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_read_ahead(context, 1);
    SSL_CTX_set_default_read_buffer_len(context, CHUNK);
}

static void tls_begin(struct peer *peer)
{
    peer->tls = SSL_new(context);
    SSL_set_fd(peer->tls, peer->fd);
    SSL_set_accept_state(peer->tls);
}

static void tls_end(struct peer *peer)
{
    SSL_shutdown(peer->tls);
    SSL_free(peer->tls);
}

static ssize_t outcome(struct peer *peer, int result)
{
    if (result > 0)
        return result;
    switch (SSL_get_error(peer->tls, result)) {
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE:
        errno = EAGAIN;
        return -1;
    default:
        return 0;
    }
}

/* Does the handshake too. */
static ssize_t tls_receive(struct peer *peer)
{
    ERR_clear_error();  /* another connection's error would be taken for this one's */
    return outcome(peer, SSL_read(peer->tls, data, sizeof data));
}

static ssize_t tls_send(struct peer *peer, const char *from, size_t length)
{
    ERR_clear_error();
    return outcome(peer, SSL_write(peer->tls, from, (int)length));
}

static bool tls_has_more(struct peer *peer)
{
    return SSL_has_pending(peer->tls);
}
#endif

/* -- connections ------------------------------------------------------------------------------- */

static void end(struct peer *peer)
{
    if (peer->tls)
        tls_end(peer);
    close(peer->fd);
    free(peer->pending);
    free(peer);
}

static void accept_all(struct peer *listener)
{
    const int on = 1;
    for (;;) {
        int fd = accept4(listener->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0)
            return;
        if (listener->service != UNIX)
            setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        struct peer *peer = add(fd, listener->service, false);
        if (peer->service == TLS)
            tls_begin(peer);
    }
}

/* How much was sent; -1 when the connection is gone. */
static ssize_t some(struct peer *peer, const char *from, size_t length)
{
    ssize_t done = peer->tls ? tls_send(peer, from, length) : send(peer->fd, from, length, MSG_NOSIGNAL);
    if (done > 0)
        return done;
    return done < 0 && errno == EAGAIN ? 0 : -1;
}

/* False when the connection is gone. */
static bool answer(struct peer *peer, size_t length)
{
    ssize_t sent = some(peer, data, length);
    if (sent < 0)
        return false;
    peer->length = length - (size_t)sent;
    if (!peer->length)
        return true;
    peer->pending = malloc(peer->length);
    if (!peer->pending)
        fail("malloc");
    memcpy(peer->pending, data + sent, peer->length);
    peer->sent = 0;
    watch(peer, EPOLL_CTL_MOD, EPOLLOUT);
    return true;
}

static void receive(struct peer *peer)
{
    do {
        ssize_t length = peer->tls ? tls_receive(peer) : recv(peer->fd, data, sizeof data, 0);
        if (length < 0 && errno == EAGAIN)
            return;
        if (length <= 0 || (peer->service != SINK && !answer(peer, (size_t)length))) {
            end(peer);
            return;
        }
    } while (!peer->pending && peer->tls && tls_has_more(peer));
}

static void flush(struct peer *peer)
{
    while (peer->sent < peer->length) {
        ssize_t done = some(peer, peer->pending + peer->sent, peer->length - peer->sent);
        if (done < 0)
            end(peer);
        if (done <= 0)
            return;
        peer->sent += (size_t)done;
    }
    free(peer->pending);
    peer->pending = NULL;
    watch(peer, EPOLL_CTL_MOD, EPOLLIN);
    if (peer->tls)
        receive(peer);
}

static void answer_packet(struct peer *peer)
{
    struct sockaddr_in from;
    socklen_t size = sizeof from;
    ssize_t length = recvfrom(peer->fd, data, sizeof data, 0, (struct sockaddr *)&from, &size);
    if (length >= 0)
        sendto(peer->fd, data, (size_t)length, 0, (struct sockaddr *)&from, size);
}

static void handle(struct peer *peer, uint32_t events)
{
    if (peer->listening)
        accept_all(peer);
    else if (peer->service == UDP)
        answer_packet(peer);
    else if (peer->pending) {
        if (events & EPOLLOUT)
            flush(peer);
        else
            end(peer);
    } else
        receive(peer);
}

/* -- listening --------------------------------------------------------------------------------- */

static int listen_inet(enum service service)
{
    int type = service == UDP ? SOCK_DGRAM : SOCK_STREAM;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    int fd = socket(AF_INET, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, length)
            || (service != UDP && listen(fd, BACKLOG))
            || getsockname(fd, (struct sockaddr *)&address, &length))
        fail("cannot listen");
    add(fd, service, service != UDP);
    return ntohs(address.sin_port);
}

static const char *listen_unix(void)
{
    static struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    snprintf(address.sun_path, sizeof address.sun_path, "%s/%d.socket", directory, (int)getpid());
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof address) || listen(fd, BACKLOG))
        fail("cannot listen");
    add(fd, UNIX, true);
    return address.sun_path;
}

/* A reply in pieces is not sent in pieces here: this is the limit. */
static void announce(void)
{
    int tcp = listen_inet(TCP);
    printf("{\"tcp\": \"tcp:127.0.0.1:%d\", \"pieces\": \"tcp:127.0.0.1:%d\", ", tcp, tcp);
#ifndef WITHOUT_TLS
    printf("\"tls\": \"tls:127.0.0.1:%d\", ", listen_inet(TLS));
#endif
    printf("\"sink\": \"tcp:127.0.0.1:%d\", ", listen_inet(SINK));
    printf("\"udp\": \"udp:127.0.0.1:%d\", ", listen_inet(UDP));
    printf("\"unix\": \"unix:%s\"}\n", listen_unix());
    fflush(stdout);
}

int main(int argc, char **argv)
{
    struct epoll_event events[EVENTS];
    if (argc != 2)
        return 2;
    directory = argv[1];
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    signal(SIGPIPE, SIG_IGN);
    epoll = epoll_create1(EPOLL_CLOEXEC);
    prepare_tls();
    announce();
    for (;;) {
        int count = epoll_wait(epoll, events, EVENTS, -1);
        for (int i = 0; i < count; i++)
            handle(events[i].data.ptr, events[i].events);
    }
}
