/* TLS for `connection.c`, by OpenSSL.  Certificates are not verified: the server's work is measured. */
#include <errno.h>

#include "load.h"

#ifdef WITHOUT_TLS

void prepare_tls(void) { fail("was built without OpenSSL"); }
void tls_open(struct connection *c) { (void)c; }
enum tls_state tls_handshake(struct connection *c) { (void)c; return TLS_DONE; }
ssize_t tls_send(struct connection *c, const char *d, size_t n) { (void)c; (void)d; (void)n; return -1; }
ssize_t tls_receive(struct connection *c, char *d, size_t n) { (void)c; (void)d; (void)n; return -1; }
bool tls_has_more(const struct connection *c) { (void)c; return false; }
void tls_shut(struct connection *c) { (void)c; }
void tls_close(struct connection *c) { (void)c; }

#else

#include <openssl/err.h>
#include <openssl/ssl.h>

static SSL_CTX *context;

static const char *reason(void)
{
    const char *text = ERR_reason_error_string(ERR_get_error());
    return text ? text : "the server closed the connection";
}

void prepare_tls(void)
{
    context = SSL_CTX_new(TLS_client_method());
    if (!context)
        fail("no TLS: %s", reason());
    SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_read_ahead(context, 1);
    SSL_CTX_set_default_read_buffer_len(context, CHUNK);
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    /* A server that just closes has closed. */
    SSL_CTX_set_options(context, SSL_OP_IGNORE_UNEXPECTED_EOF);
}

void tls_open(struct connection *c)
{
    c->tls = SSL_new(context);
    if (!c->tls || !SSL_set_fd(c->tls, c->fd))
        fail("no TLS: %s", reason());
    SSL_set_connect_state(c->tls);
}

enum tls_state tls_handshake(struct connection *c)
{
    ERR_clear_error();
    int result = SSL_do_handshake(c->tls);
    if (result == 1)
        return TLS_DONE;
    switch (SSL_get_error(c->tls, result)) {
    case SSL_ERROR_WANT_READ: return TLS_WANTS_READ;
    case SSL_ERROR_WANT_WRITE: return TLS_WANTS_WRITE;
    default: fail("the handshake failed: %s", reason());
    }
}

/* What send and recv would have returned. */
static ssize_t outcome(struct connection *c, int result)
{
    if (result > 0)
        return result;
    switch (SSL_get_error(c->tls, result)) {
    case SSL_ERROR_ZERO_RETURN:
        return 0;
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE:
        errno = EAGAIN;
        return -1;
    case SSL_ERROR_SYSCALL:
        return -1;
    default:
        fail("TLS failed: %s", reason());
    }
}

ssize_t tls_send(struct connection *c, const char *data, size_t length)
{
    ERR_clear_error();
    return outcome(c, SSL_write(c->tls, data, (int)length));
}

ssize_t tls_receive(struct connection *c, char *data, size_t length)
{
    ERR_clear_error();
    return outcome(c, SSL_read(c->tls, data, (int)length));
}

bool tls_has_more(const struct connection *c)
{
    return SSL_has_pending(c->tls);
}

void tls_shut(struct connection *c)
{
    ERR_clear_error();
    SSL_shutdown(c->tls);
}

void tls_close(struct connection *c)
{
    SSL_free(c->tls);
    c->tls = NULL;
}

#endif
