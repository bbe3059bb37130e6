/* The load: talks to an echo server as many clients do and prints what it saw as one line of JSON.
 *
 *     load [-s] [-u] [-i IDLE] [-f BYTES] [-p PID] [-w SECONDS] MODE ADDRESS CONNECTIONS SIZE SECONDS
 *
 * MODE      pingpong  each connection sends SIZE bytes, waits for all of them, sends again
 *           bulk      each connection sends messages of SIZE bytes, as many as the window allows
 *           sink      each connection sends pieces of SIZE bytes; nothing comes back
 *           churn     connect, send SIZE bytes, wait for them, shut, wait for the server's end;
 *                     CONNECTIONS of these at a time
 *           beside    the first connection is in bulk; of the others one at a time sends SIZE bytes and
 *                     waits for them
 *           idle      open CONNECTIONS, echo SIZE bytes once on each, say so with a line, hold them
 *                     until standard input ends, for SECONDS at most
 * ADDRESS   tcp:HOST:PORT, tls:HOST:PORT or udp:HOST:PORT in numbers, or unix:PATH
 * -s        sleep while there is nothing to do; otherwise the load spins, so that no time passes
 *           between an answer and the next request
 * -u        send text with characters of one to three bytes, not ASCII
 * -i        so many more connections, which have one echo and then nothing to do
 * -f        the window: how many bytes of one connection may not be back yet, 1 MiB without it
 * -p PID    the server: its CPU time is part of the result
 * -w        seconds to run before the measurement begins
 * SECONDS   to measure; as long again, 10 s at most, until every connection has had an answer
 *
 * Every byte that comes back is compared.  Whatever goes wrong ends the program with one line on
 * standard error and status 1; no wait is without a limit.
 *
 * The way of the data: this file, then `modes.c`, `connection.c` with `tls.c`, and `clocks.c`.
 */
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "load.h"

enum { PATIENCE = 10 /* seconds more, at most, until every connection has had an answer */ };

static void run_for(double duration)
{
    double end = now() + duration;
    while (now() < end)
        turn();
}

static void measure(void)
{
    run_for(options.warm_up);
    forget_counts();
    struct clocks begin = read_clocks();
    run_for(options.seconds);
    double limit = now() + PATIENCE;
    while (!enough_counted() && now() < limit)
        run_for(options.seconds);
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
    printf("{\"count\": %ld}\n", options.connections);
    fflush(stdout);
    if (poll(&input, 1, (int)(options.seconds * 1000)) == 0)
        fail("held the connections for %g s", options.seconds);
    options.spinning = true;
    turn();
}

int main(int argc, char **argv)
{
    signal(SIGPIPE, SIG_IGN);
    parse_options(argc, argv);
    choose_mode(options.mode);
    prepare_connections();
    open_all();
    if (!strcmp(options.mode, "idle"))
        hold();
    else
        measure();
    return 0;
}
