/* The modes: what the clients send, when, and what of it is counted. */
#include <stdlib.h>
#include <string.h>

#include "load.h"

enum {
    OPENING = 16,   /* connections that wait for their first answer at one time */
    OPEN_LIMIT = 60 /* seconds for all connections to have had their first answer */
};

const struct mode *mode;
static struct connection *all;
static long total, opened, confirmed;

/* -- opening and counting --------------------------------------------------------------------- */

/* Never so many at once that a server's backlog is full. */
static void open_more(void)
{
    while (opened < total && opened - confirmed < OPENING)
        open_connection(&all[opened++]);
}

static void count(struct connection *c, uint64_t amount)
{
    c->counted += amount;
    if (c->confirmed)
        return;
    c->confirmed = true;
    confirmed++;
    open_more();
}

void open_all(void)
{
    double limit = now() + OPEN_LIMIT;
    total = options.connections + options.idle;
    all = calloc((size_t)total, sizeof *all);
    if (!all)
        fail("no memory for %ld connections", total);
    for (long i = options.connections; i < total; i++)
        all[i].idle = true;
    open_more();
    while (confirmed < total) {
        if (now() > limit)
            fail("only %ld of %ld connections had an answer in %d s", confirmed, total, OPEN_LIMIT);
        turn();
    }
    if (mode->begin)
        mode->begin();
}

void forget_counts(void)
{
    forget_latencies();
    for (long i = 0; i < total; i++)
        all[i].counted = 0;
}

bool enough_counted(void)
{
    long without = 0;
    for (long i = 0; i < options.connections; i++)
        without += !all[i].counted;
    return mode->in_turns ? without < options.connections : !without;
}

uint64_t sum_counts(void)
{
    uint64_t sum = 0;
    for (long i = 0; i < options.connections; i++)
        sum += all[i].counted;
    if (!enough_counted())
        fail("a connection had no answer");
    return sum;
}

/* -- what all modes share --------------------------------------------------------------------- */

static void request(struct connection *c)
{
    c->goal += (uint64_t)options.size;
    send_up_to_goal(c);
}

static void ended_early(struct connection *c)
{
    fail("the server closed a connection after %llu bytes", (unsigned long long)c->received);
}

/* -- idle: one echo, then nothing -------------------------------------------------------------- */

static void idle_echoed(struct connection *c, size_t length)
{
    (void)length;
    if (answered(c))
        count(c, 1);
}

/* -- pingpong: the next request when the answer is whole --------------------------------------- */

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

/* -- bulk: always as much under way as the window allows ---------------------------------------- */

static void bulk_fill(struct connection *c)
{
    while (c->goal + (uint64_t)options.size <= c->received + (uint64_t)options.window)
        c->goal += (uint64_t)options.size;
    send_up_to_goal(c);
}

static void bulk_echoed(struct connection *c, size_t length)
{
    count(c, length);
    bulk_fill(c);
}

/* -- sink: nothing comes back ------------------------------------------------------------------- */

static void sink_writable(struct connection *c)
{
    uint64_t before = c->sent;
    if (c->goal == c->sent)
        c->goal += (uint64_t)options.size;
    send_up_to_goal(c);
    count(c, c->sent - before);
    want_writable(c);
}

/* -- churn: connect, one echo, shut, wait for the server's end, close ---------------------------- */

static void churn_echoed(struct connection *c, size_t length)
{
    (void)length;
    if (answered(c))
        shut(c);
}

static void churn_ended(struct connection *c)
{
    if (!answered(c))
        ended_early(c);
    add_latency(now() - c->started);
    close_connection(c);
    count(c, 1);
    open_connection(c);
}

/* -- beside: the first connection is in bulk, the others ask one after the other ------------------ */

static void ask(struct connection *c)
{
    c->started = now();
    request(c);
}

static void beside_begin(void)
{
    bulk_fill(&all[0]);
    ask(&all[1]);
}

static void beside_echoed(struct connection *c, size_t length)
{
    if (!c->confirmed) {
        idle_echoed(c, length);
        return;
    }
    if (c == all) {
        bulk_fill(c);
        return;
    }
    if (!answered(c))
        return;
    add_latency(now() - c->started);
    count(c, 1);
    ask(c + 1 < all + options.connections ? c + 1 : all + 1);
}

/* -- the table ----------------------------------------------------------------------------------- */

static const struct mode modes[] = {
    {"pingpong", request, send_up_to_goal, pingpong_echoed, ended_early, NULL, false},
    {"bulk", bulk_fill, send_up_to_goal, bulk_echoed, ended_early, NULL, false},
    {"sink", sink_writable, sink_writable, idle_echoed, ended_early, NULL, false},
    {"churn", request, send_up_to_goal, churn_echoed, churn_ended, NULL, false},
    {"beside", request, send_up_to_goal, beside_echoed, ended_early, beside_begin, true},
    {"idle", request, send_up_to_goal, idle_echoed, ended_early, NULL, true},
};

static const struct mode *mode_called(const char *name)
{
    for (size_t i = 0; i < sizeof modes / sizeof *modes; i++)
        if (!strcmp(modes[i].name, name))
            return &modes[i];
    fail("there is no mode %s", name);
}

void choose_mode(const char *name)
{
    mode = mode_called(name);
}

const struct mode *mode_of(const struct connection *c)
{
    static const struct mode *idle;
    if (!c->idle)
        return mode;
    if (!idle)
        idle = mode_called("idle");
    return idle;
}
